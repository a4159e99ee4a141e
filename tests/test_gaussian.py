"""Closed forms against quadrature, textbook formulas and Price's theorem."""

import time

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from ntkc.checker import chains
from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.hermite import coefficients
from ntkc.gaussian.moments import A, B, C, mean
from ntkc.gaussian.price import Expectation, expectation
from ntkc.gaussian.series import series
from ntkc.gaussian.slope import slope
from ntkc.gaussian.terms import NotClosed, Z
from ntkc.vocabulary import scalar_functions

HALF = sp.Rational(1, 2)
RELU = sp.Max(Z, 0)
CLOSED = {
    "relu": RELU,
    "leaky": RELU - HALF * sp.Max(-Z, 0) / 5,
    "abs": sp.Abs(Z),
    "sign": sp.sign(Z),
    "step": sp.Heaviside(Z, HALF),
    "relu2": RELU**2,
    "relu3": RELU**3,
    "piecewise": sp.Piecewise((Z**2, Z > 0), (-Z, True)),
    "erf": sp.erf(Z),
    "sigmoid_erf": (1 + sp.erf(Z / sp.sqrt(2))) / 2,
    "gelu": Z * (1 + sp.erf(Z / sp.sqrt(2))) / 2,
    "polynomial": Z**8 - Z**5 + 3 * Z - 2,
    "hermite": scalar_functions()["hermite"].formula(Z, sp.Integer(4)),
    "sin": sp.sin(Z),
    "cos": sp.cos(2 * Z),
    "exp": sp.exp(Z / 2),
    "gaussian": sp.exp(-(Z**2)),
    "z_erf": Z * sp.erf(Z),
    "z2_erf": Z**2 * sp.erf(Z / 2),
    "gaussian_cos": sp.exp(-(Z**2)) * sp.cos(Z),
    "gaussian_relu": sp.exp(-(Z**2)) * RELU,
    "gaussian_erf": sp.exp(-(Z**2)) * sp.erf(Z),
    "relu_plus_erf": RELU + sp.erf(Z),
    "gelu_plus_erf": Z * (1 + sp.erf(Z / sp.sqrt(2))) / 2 + sp.erf(2 * Z),
    "z_sin": Z * sp.sin(Z),
}


def _checked(law: Expectation) -> list[chains.Finding]:
    """The checker's findings, of the law as its own data."""
    parts = tuple(chains.Chain(c.f, c.g, c.links, c.value) for c in law.chains)
    return chains.check(chains.Expectation(law.f, law.g, law.value, parts))


@pytest.mark.parametrize("name", CLOSED)
def test_certificate_holds(name: str) -> None:
    """Each link of the chain, each boundary value, and a two-dimensional integral."""
    findings = _checked(expectation(CLOSED[name], CLOSED[name]))
    assert [finding for finding in findings if not finding.ok] == []


@pytest.mark.parametrize(
    ("f", "g"), [("relu", "erf"), ("step", "relu"), ("relu2", "step"), ("gelu", "relu"), ("erf", "polynomial")]
)
def test_mixed_pairs(f: str, g: str) -> None:
    findings = _checked(expectation(CLOSED[f], CLOSED[g]))
    assert [finding for finding in findings if not finding.ok] == []


def test_a_broken_chain_is_found() -> None:
    """The checker is able to fail."""
    right = expectation(RELU, RELU)
    wrong = type(right)(right.f, right.g, right.value + C / 100, right.chains)
    assert any(not finding.ok for finding in _checked(wrong))


@pytest.mark.parametrize("power", [2, 3])
def test_derives_in_seconds(power: int) -> None:
    """Of this process's own time: 0.5 and 1.1 s when written."""
    f = Z**power * sp.erf(Z / 3)
    start = time.process_time()
    expectation(f, f)
    assert time.process_time() - start < 4


@pytest.mark.parametrize("f", [(Z + Z**2 + Z**3) * sp.erf(Z) + RELU, sp.exp(-(Z**2)) * sp.erf(Z), RELU * sp.exp(-(Z**2))])
def test_slopes_derive_in_seconds(f: sp.Expr) -> None:
    """Sums over tilted covariances: 1.7 s and less when written, minutes while SymPy looked for common denominators."""
    g = slope(f, Z)
    start = time.process_time()
    law = expectation(g, g)
    assert time.process_time() - start < 6
    assert law.value.count_ops() < 1000
    parts = chains.Expectation(law.f, law.g, law.value, ())
    point = {A: sp.Rational(13, 10), B: sp.Rational(7, 10), C: sp.Rational(2, 5)}
    assert float(law.value.evalf(20, subs=point)) == pytest.approx(chains._direct(parts, point), rel=1e-9)


def test_tilted_roots_are_written_without_nested_fractions() -> None:
    f = sp.exp(-(Z**2)) * RELU
    root = sp.sqrt((2 * A + 1) * (2 * B + 1) - 4 * C**2)
    kink = sp.sqrt(A * B - C**2)
    angle = C * (sp.atan2(C, root * kink) / (2 * sp.pi) + sp.Rational(1, 4)) / root**3
    assert sp.expand(expectation(f, f).value - angle - kink / (2 * sp.pi * root**2)) == 0


def test_textbook_formulas() -> None:
    a, b, c = 1.3, 0.6, 0.4
    theta = np.arccos(c / np.sqrt(a * b))
    textbook = {  # Cho and Saul 2009; Williams 1997
        "relu": np.sqrt(a * b) / (2 * np.pi) * (np.sin(theta) + (np.pi - theta) * np.cos(theta)),
        "erf": 2 / np.pi * np.arcsin(2 * c / np.sqrt((1 + 2 * a) * (1 + 2 * b))),
        "sin": np.exp(-(a + b) / 2) * np.sinh(c),
        "gaussian": 1 / np.sqrt((1 + 2 * a) * (1 + 2 * b) - 4 * c**2),
    }
    for name, value in textbook.items():
        f = CLOSED[name]
        assert float(expectation(f, f).value.evalf(subs={A: a, B: b, C: c})) == pytest.approx(value, rel=1e-13)
    assert mean(RELU, Z) == sp.sqrt(A) / sp.sqrt(2 * sp.pi)


def test_means_of_tilted_sines_are_real() -> None:
    f = sp.exp(Z) * sp.sin(Z) ** 2
    found, a = mean(f, Z), mp.mpf("0.7")
    exact = mp.quad(lambda z: mp.exp(z) * mp.sin(z) ** 2 * mp.npdf(z, 0, mp.sqrt(a)), [-9, 0, 9])
    assert not found.has(sp.I)
    assert float(found.subs(A, sp.Rational(7, 10))) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(
    "f", [sp.sin(Z) * sp.erf(Z), sp.erf(Z) ** 2, RELU * sp.erf(Z), sp.exp(Z**2), sp.tanh(Z), sp.Max(Z - 1, 0)]
)
def test_what_does_not_close_says_so(f: sp.Expr) -> None:
    with pytest.raises(NotClosed):
        expectation(f, f)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu"])
def test_series_bounds_are_honest(name: str) -> None:
    """At |rho| = 1 the series is E f^2 short of its tail; the bound covers it and quadrature agrees."""
    f = scalar_functions()[name].formula(Z)
    found = series(f, f)
    for variance, bound in zip(VARIANCES, found.bounds, strict=True):
        h, _ = coefficients(f, variance, found.kinks, found.terms)
        numeric = sp.lambdify(Z, f, "mpmath")
        exact = mp.quad(lambda x, s=variance, n=numeric: n(mp.sqrt(s) * x) ** 2 * mp.npdf(x), [-14, -3, 0, 3, 14])
        assert abs(float(exact) - float(np.sum(h**2))) <= bound + 1e-9 * float(exact)
