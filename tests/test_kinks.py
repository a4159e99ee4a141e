"""Functions with a kink or jump at 0 that take the series: the emitted code against 30-digit quadrature."""

import itertools
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import jax
import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from ntkc import Compilation, compile_source
from ntkc.backends.exact import _damped_pair
from ntkc.backends.prelude import numerics
from ntkc.gaussian.bounds import VARIANCES, tails
from ntkc.gaussian.hermite import coefficients
from ntkc.gaussian.kinks import Damped, damped
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import expectation
from ntkc.gaussian.series import Series
from ntkc.gaussian.terms import Z
from ntkc.source import Source

FUNCTIONS = ("elu(h)", "selu(h)", "relu(erf(h))", "max(h, tanh(h))", "abs(tanh(h))")
Pieces: TypeAlias = tuple[Callable[[mp.mpf], mp.mpf], Callable[[mp.mpf], mp.mpf]]
ALPHA, SCALE = (mp.mpf(t, dps=40) for t in ("1.6732632423543772848170429916717", "1.0507009873554804934193349852946"))
EXACT: dict[str, tuple[Pieces, Pieces]] = {
    "elu(h)": ((lambda z: z, mp.expm1), (lambda z: mp.mpf(1), mp.exp)),
    "selu(h)": (
        (lambda z: SCALE * z, lambda z: SCALE * ALPHA * mp.expm1(z)),
        (lambda z: SCALE, lambda z: SCALE * ALPHA * mp.exp(z)),
    ),
    "relu(erf(h))": (
        (mp.erf, lambda z: mp.mpf(0)),
        (lambda z: 2 / mp.sqrt(mp.pi) * mp.exp(-z * z), lambda z: mp.mpf(0)),
    ),
}
"""Each function and its derivative, for z > 0 and z < 0."""
POINTS = [(1.0, 1.0, 0.3), (0.5, 2.0, 1 - 1e-7), (2.0, 4.0, -1 + 1e-7), (4.0, 4.0, 1.0), (0.1, 0.1, 1.0)]
"""Variances of u and v, and their correlation."""


@cache
def _net(function: str) -> Compilation:
    text = f"arch net {{\ninput x: vector(3)\nh = dense(x)\noutput dense({function})\n}}"
    return compile_source(Source("net.arch", text))


def _emitted(name: str, net: Compilation, c: float, a: float, b: float) -> float:
    with jax.enable_x64(True):
        return float(jax.jit(getattr(net.module(), name))(c, a, b))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_is_certified_without_a_warning(function: str) -> None:
    net = _net(function)
    assert net.warnings == ()
    for dual in net.recursion.duals:
        assert isinstance(dual.law, Series)
        squares = [t.square for t in tails(dual.law.f, dual.law.kinks, None)]
        assert max(b / s for b, s in zip(dual.law.bounds, squares, strict=True)) < (1e-8 if "abs" not in function else 1e-6)


@pytest.mark.parametrize("function", EXACT)
def test_agrees_with_quadrature(function: str) -> None:
    """Of the function and of its derivative."""
    net = _net(function)
    with mp.workdps(34):
        for dual, pieces in zip(net.recursion.duals, EXACT[function], strict=True):
            assert isinstance(dual.law, Series)
            for a, b, rho in POINTS:
                c = a if rho == 1 else rho * float(np.sqrt(a * b))
                bound = 0.0 if rho == 1 else max(dual.law.bounds)
                gap = abs(_emitted(dual.name, net, c, a, b) - _exact(pieces, a, b, c))
                assert gap < bound + 1e-13, (dual.name, a, b, rho)


@pytest.mark.parametrize("powers", [(0, 0), (1, 0), (0, 1), (2, 1)])
def test_the_part_apart_is_what_price_derives(powers: tuple[int, int]) -> None:
    i, j = powers
    f, g = (Z**k * sp.Heaviside(Z, sp.Rational(1, 2)) * sp.exp(-rate * Z**2) for k, rate in ((i, sp.Rational(1, 4)), (j, 1)))
    value = float(expectation(f, g).value.evalf(20, subs={A: 1.3, B: 0.7, C: -0.4}))
    p, q = (Damped(rate, tuple(float(n == k) for n in range(3))) for k, rate in ((i, 0.25), (j, 1.0)))
    with jax.enable_x64(True):
        emitted = numerics._damped_pair((p.rate, p.powers), (q.rate, q.powers), *map(jax.numpy.asarray, (-0.4, 1.3, 0.7)))
    assert float(emitted) == pytest.approx(value, abs=1e-15)
    assert _damped_pair(p, q, -0.4, 1.3, 0.7) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("rho", [-1.0, -0.999999, 0.3, 0.9999999, 1.0])
def test_the_part_apart_by_recursion_and_in_polar_coordinates(rho: float) -> None:
    (p, *_), (*_, q) = damped(_law("elu(h)").f), damped(_law("abs(tanh(h))").f)
    a, b = 1.3, 0.7
    c = rho * float(np.sqrt(a * b))
    with jax.enable_x64(True):
        emitted = float(numerics._damped_pair((p.rate, p.powers), (q.rate, q.powers), *map(jax.numpy.asarray, (c, a, b))))
    assert emitted == pytest.approx(_damped_pair(p, q, c, a, b), abs=1e-14)


def _law(function: str) -> Series:
    law = _net(function).recursion.duals[0].law
    assert isinstance(law, Series)
    return law


def test_gradients_are_finite_and_right() -> None:
    """Also where u = v, and at variance 0."""
    module = _net("selu(h)").module()
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(module.dual_selu))(0.4, 1.3, 0.7)
        assert float(slope) == pytest.approx(_emitted("dual_selu_prime", _net("selu(h)"), 0.4, 1.3, 0.7), rel=1e-8)
        along = jax.jit(jax.grad(lambda t: module.dual_selu(t, t, t)))
        assert jax.numpy.isfinite(along(1.0))
        assert jax.numpy.isfinite(along(0.0))


def test_what_has_a_kink_elsewhere_keeps_its_bound() -> None:
    """Its crossings are found by numbers where SymPy cannot solve for them."""
    law = _law("min(h, erf(h))")
    assert [float(k) for k in law.kinks] == pytest.approx([-0.6174468790806, 0, 0.6174468790806])
    assert law.split is None
    a = 1.0
    exact = mp.quad(lambda x: min(x, mp.erf(x)) ** 2 * mp.npdf(x), [-12, -0.6174468790806, 0, 0.6174468790806, 12])
    h = coefficients(law.f, a, law.kinks, law.terms)[0]
    assert 0 <= float(exact) - float(np.sum(h**2)) <= law.bounds[VARIANCES.index(a)] + 1e-14


def _exact(f: Pieces, a: float, b: float, c: float) -> mp.mpf:
    """E f(u) f(v) in polar coordinates, sector by sector between the lines u = 0 and v = 0, in 34-digit arithmetic."""
    a, b, c = map(mp.mpf, (a, b, c))
    root, other = mp.sqrt(a), mp.sqrt(b)

    def at(z: mp.mpf) -> mp.mpf:
        return f[0](z) if z > 0 else f[1](z)

    if a == b == c:
        return mp.quad(lambda x: at(root * x) ** 2 * mp.npdf(x), [-12, -4, -1, 0, 1, 4, 12])
    angle = mp.atan2(mp.sqrt(a * b - c * c), c)
    edges = [-mp.pi / 2, angle - mp.pi / 2, mp.pi / 2, angle + mp.pi / 2, 3 * mp.pi / 2]
    edges = sorted([*edges, *((s + t) / 2 for s, t in itertools.pairwise(edges))])
    nodes, ends = _legendre(20), (0, 4, 13)
    radii = [(r, w * r * mp.exp(-r * r / 2)) for s, t in itertools.pairwise(ends) for r, w in _between(_legendre(48), s, t)]
    total = mp.mpf(0)
    for start, end in itertools.pairwise(edges):
        for phi, w in _between(nodes, start, end):
            p, q = root * mp.cos(phi), other * mp.cos(phi - angle)
            if (p > 0 or f[1](mp.mpf(-1))) and (q > 0 or f[1](mp.mpf(-1))):
                total += w * mp.fsum(v * at(r * p) * at(r * q) for r, v in radii)
    return total / (2 * mp.pi)


@cache
def _legendre(count: int) -> list[tuple[mp.mpf, mp.mpf]]:
    with mp.workdps(40):
        found = []
        for guess in np.polynomial.legendre.leggauss(count)[0]:
            x = mp.findroot(lambda t: mp.legendre(count, t), mp.mpf(guess))
            slope = count * (x * mp.legendre(count, x) - mp.legendre(count - 1, x)) / (x * x - 1)
            found.append((x, 2 / ((1 - x * x) * slope**2)))
        return found


def _between(rule: list[tuple[mp.mpf, mp.mpf]], start: mp.mpf, end: mp.mpf) -> list[tuple[mp.mpf, mp.mpf]]:
    half, middle = mp.mpf(end - start) / 2, mp.mpf(end + start) / 2
    return [(middle + half * x, half * w) for x, w in rule]


def test_the_kink_at_zero_stands_apart_from_those_elsewhere() -> None:
    """Of relu6, which is relu as far as small values go, for near duplicates, too: the jump of its slope is at 0."""
    few, x = _net("min(max(h, 0), 6)"), np.random.default_rng(0).normal(size=(3, 3))
    x[1] = x[0] + 1e-3 * x[1]
    with jax.enable_x64(True):
        for size in (1e-6, 0.3):
            found, wanted = few.kernel(size * x), _net("relu(h)").kernel(size * x)
            np.testing.assert_allclose(found.nngp, wanted.nngp, rtol=1e-12)
            np.testing.assert_allclose(found.ntk, wanted.ntk, rtol=1e-12)
