"""Homogeneous networks of any depth as one series in the angle."""

import math

import jax
import jax.numpy as jnp


def _series_in_depth(params, get):
    """The whole recursion as a Chebyshev series in y = s/(s + b(1 + c)), s = sin(theta/2), c = cos(theta/2), and whether that is
    good to 1e-6 at points between its nodes: a network that is homogeneous in its input is |x| |x'| to a power times a function
    of the angle, smooth in y for most activations however deep it is."""
    degree, depth, terms = COLLAPSE
    b = 1 / (1 + 0.15 * depth)
    top = 1 / (1 + b)
    unit = jax.tree.map(lambda v: v[..., None], _sample(jnp.ones((), jnp.float64), params))
    run = _recursion(get, params, jnp.float64)

    def exact(t):
        """At Chebyshev points cos(t) of the range of y."""
        y = top * (jnp.cos(t) + 1) / 2
        tangent = b * y / (1 - y)
        d, e = 4 * tangent**2 / (1 + tangent**2) ** 2, ((1 - tangent**2) / (1 + tangent**2)) ** 2
        found = run(d[:, None], e[:, None], unit, unit, False)
        return jax.tree.map(lambda v: v[:, 0], found)

    k = jnp.arange(terms)
    cosines = jnp.cos(math.pi * k[:, None] * (k + 0.5) / terms) * jnp.where(k == 0, 1, 2)[:, None] / terms
    series = jax.tree.map(lambda v: cosines @ v, exact(math.pi * (k + 0.5) / terms))
    between = math.pi * (jnp.arange(3 * terms) + 0.5) / (3 * terms)
    gaps = jax.tree.map(
        lambda c, v: jnp.max(jnp.abs(_clenshaw(c, 2 * jnp.cos(between)) - v)) / jnp.max(jnp.abs(v)), series, exact(between)
    )
    good = jnp.max(jnp.stack(jax.tree.leaves(gaps))) < 1e-6
    single = jax.tree.map(lambda c: c.astype(jnp.float32), series)

    def summed(d, e, left, right):
        s = jnp.sqrt(jnp.maximum(d, jnp.finfo(d.dtype).tiny))
        y = s / (s + b * (1 + _sqrt(e)))
        scale = _sqrt(left[0][:, None]) * _sqrt(right[0][None, :])
        return jax.tree.map(lambda c: scale**degree * _clenshaw(c, (4 / top) * y - 2), single)

    return good, summed


def _clenshaw(coefficients, twice):
    """sum_k c_k T_k(x) at twice = 2 x."""
    high, higher = jnp.full_like(twice, coefficients[-1]), jnp.zeros_like(twice)
    for k in range(coefficients.shape[0] - 2, 0, -1):
        high, higher = twice * high + (coefficients[k] - higher), high
    return twice * high / 2 + (coefficients[0] - higher)
