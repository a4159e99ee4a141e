"""Inputs so large that a Hermite series is too short for near duplicates: an error, NaN where traced, and no number."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from ntkc import Compilation, compile_source
from ntkc.backends.reference import evaluate
from ntkc.source import Source

SIZES = (6.0, 16.0, 1e4)
"""Of inputs; with the last, the quadrature of the coefficients is wrong, too."""
FAR, NEAR = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 2.0**-10]])


@pytest.fixture(scope="module")
def net() -> Compilation:
    return compile_source(Source("net.arch", "arch net {\ninput x: vector(2)\noutput dense(tanh(dense(x)))\n}"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("precision", ["accurate", "fast"])
def test_near_duplicates_are_refused(net: Compilation, size: float, precision: str) -> None:
    with pytest.raises(ValueError, match=r"not known: the Hermite series of `dual_tanh`, .* are too short for the variances"):
        net.kernel(size * NEAR, precision=precision)


def test_what_is_not_near_is_known(net: Compilation) -> None:
    """At correlation 0.8 what is left out is 1e-10 of it; u and v by their parts along the same and other directions."""
    x = 16.0 * np.array([[1.0, 0.0], [0.8, 0.6]])
    points, weights = np.polynomial.legendre.leggauss(2000)
    points, weights = 9 * points, weights * 9 * np.exp(-40.5 * points**2) / np.sqrt(2 * np.pi)
    root = 16 / np.sqrt(2)
    wanted = weights * np.tanh(root * points) @ np.tanh(root * (0.8 * points[:, None] + 0.6 * points)) @ weights
    with jax.enable_x64(True):
        assert float(net.nngp(x)[0, 1]) == pytest.approx(wanted, rel=1e-8)


def test_traced_ones_are_nan(net: Compilation) -> None:
    found = jax.jit(lambda x: net.kernel(x))(jnp.asarray(16 * NEAR))
    for kernel in found:
        assert np.array_equal(np.isnan(kernel), ~np.eye(2, dtype=bool))


def test_derivatives_where_samples_are_the_same(net: Compilation) -> None:
    """The kernels of a sample with itself are integrals, of which the derivatives are those of the series."""
    with jax.enable_x64(True):
        slope = jax.grad(lambda x: net.diagonal(x).ntk[0])
        assert np.isfinite(slope(jnp.asarray(NEAR))).all()
        assert not np.isfinite(slope(jnp.asarray(16 * NEAR))[0, 0])


def test_the_reference_does_not_know_either(net: Compilation) -> None:
    near = evaluate(net.recursion, (16 * NEAR[0],), (16 * NEAR[1],), 15)
    assert mp.isnan(near.nngp[""])
    assert mp.isnan(near.ntk[""])
    assert abs(evaluate(net.recursion, (16 * FAR[0],), (16 * FAR[1],), 15).nngp[""]) < 1e-15


def test_angles_beyond_a_right_one() -> None:
    """E sin(u^2) sin(v^2), of E exp(i(u^2 + s v^2)) = det^(-1/2): det has a negative real part for large variances."""
    net = compile_source(Source("net.arch", "arch net {\ninput x: vector(2)\noutput dense(sin(dense(x)^2))\n}"))
    x = 5 * np.array([[1.0, 0.0], [0.8, 0.6]])
    a, c = 12.5, 10.0
    plus, minus = (1 / np.sqrt((1 - 2j * a) * (1 - 2j * s * a) + 4 * s * c**2) for s in (1, -1))
    with jax.enable_x64(True):
        assert float(net.nngp(x)[0, 1]) == pytest.approx((minus - plus).real / 2, rel=1e-12)
