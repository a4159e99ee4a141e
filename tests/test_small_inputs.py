"""Kernels at small inputs keep their digits, whatever cancels in the formula of a function or of its expectation."""

import re
from typing import Any

import jax
import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from ntkc import Compilation, compile_source
from ntkc.backends.reference import evaluate
from ntkc.gaussian.near import near, values_of
from ntkc.gaussian.terms import Z
from ntkc.gaussian.values import formula_values
from ntkc.pipeline import Source

FUNCTIONS = (
    "gelu(z)",
    "z * erf(z)",
    "z^2 * erf(z)",
    "sin(z)",
    "cos(z) - 1",
    "relu(z)",
)
SLOW = ("exp(z) - 1 - z", "sin(z)^2", "1 - exp(-z^2)", "z - sin(z)", "elu(z)", "selu(z)", "tanh(z)", "silu(z)")
SIZES = (0.1, 1e-3, 1e-6)
rng = np.random.default_rng(0)
X = rng.normal(size=(2, 4))


def network(function: str) -> Compilation:
    text = f"activation f(z) = {function}\narch net {{\n    input x: vector(4)\n    output x |> dense |> f |> dense\n}}\n"
    return compile_source(Source("net.arch", text))


def gap(found: Any, net: Compilation, x: np.ndarray[Any, Any]) -> float:
    """The largest relative error of both kernels of two rows and of one with itself."""
    worst = 0.0
    for i in (0, 1):
        left = [x[0]]
        exact = evaluate(net.recursion, left, left if i == 0 else [x[i]], 100)
        for kind in ("nngp", "ntk"):
            (wanted,) = (np.ravel(v)[0] for v in getattr(exact, kind).values())
            worst = max(worst, float(abs(mp.mpf(float(getattr(found, kind)[0, i])) - wanted) / abs(wanted)))
    return worst


@pytest.mark.parametrize("function", [*FUNCTIONS, *(pytest.param(f, marks=pytest.mark.slow) for f in SLOW)])
def test_digits_are_kept(function: str) -> None:
    """To 1e-13 in float64 and 1e-5 in float32 throughout, where float32 can hold the result."""
    net = network(function)
    for size in SIZES:
        with jax.enable_x64(True):
            assert gap(net.kernel(size * X), net, size * X) < 1e-13, size
        single = (size * X).astype(np.float32)
        if float(net.kernel(single, get="nngp").nngp.min()) > 1e-30:
            assert gap(net.kernel(single, precision="fast"), net, single) < 1e-5, size


def test_small_beside_large() -> None:
    """Relative to both second moments, since the closed form cancels where either is small."""
    net = network("cos(z) - 1")
    x = X * np.array([[1e-6], [1.0]])
    with jax.enable_x64(True):
        assert gap(net.kernel(x), net, x) < 1e-12


@pytest.mark.parametrize("formula", [sp.exp(Z) - 1, Z - sp.sin(Z), sp.tanh(Z) - Z, sp.log(1 + sp.exp(Z)) - sp.log(2)], ids=str)
def test_formula_near_zero(formula: sp.Expr) -> None:
    """On both sides of where the polynomial ends, and where the formula itself has no digits left."""
    polynomial = near(formula)
    assert polynomial is not None
    z = np.array([s * t for t in (1e-8, 1e-3, 0.999 * polynomial.radius, 1.001 * polynomial.radius) for s in (1, -1)])
    with mp.workdps(60):
        exact = np.array([float(sp.lambdify(Z, formula, "mpmath")(mp.mpf(t))) for t in z])
    assert np.max(np.abs(values_of(formula, z) / exact - 1)) < 1e-13
    assert np.max(np.abs(formula_values(formula, z) / exact - 1)) > 1e-9


def test_what_underflows_is_refused() -> None:
    """One sample that is small beyond the type, but not zero; small entries of another do no harm."""
    net = network("relu(z)")
    x = X.astype(np.float32)
    x[1] *= 1e-20
    message = "x1, input x: a sample of size 1.3e-20 underflows in float32 (limit 1e-16); scale it up, or give all in float64"
    with pytest.raises(ValueError, match=re.escape(message)):
        net.kernel(x)
    x[1] = 0
    x[0, 0] = 1e-20
    assert np.isfinite(net.kernel(x).ntk).all()
    with jax.enable_x64(True):
        assert gap(net.kernel(X * 1e-120), net, X * 1e-120) < 1e-13
        with pytest.raises(ValueError, match="underflows in float64"):
            net.kernel(X * 1e-155)
