"""E of products of erfs and Gaussian factors of several correlated Gaussian variables."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from ntkc.backends.prelude.numerics import _atan2, _gram_root, _sqrt


def _erf_moment(bells, *entries):
    """E exp(-v_1^2) ... exp(-v_k^2) erf(v_k+1) ... erf(v_n) for v ~ N(0, S), k = bells, S by its upper triangle row by row. Two
    erfs have a closed form, four take a single and six a double integral by 32 Gauss-Legendre nodes each: before rounding the
    error is below 1e-14 for variances up to 10, 1e-11 up to 64 and 1e-6 up to 1000 (where all v are equal, the worst case)."""
    entries = jnp.broadcast_arrays(*map(jnp.asarray, entries))
    size = (math.isqrt(8 * len(entries) + 1) - 1) // 2
    at = [[i * (2 * size - i - 1) // 2 + j for j in range(i, size)] for i in range(size)]
    rows = [[at[min(i, j)][max(i, j) - min(i, j)] for j in range(size)] for i in range(size)]
    s = jnp.stack(entries)[jnp.asarray(rows)]
    half = jnp.eye(size, dtype=s.dtype).reshape(size, size, *(1,) * (s.ndim - 2)) / 2
    s, scale = s + half, 1
    for _ in range(bells):  # v_1 + t = 0, t ~ N(0, 1/2)
        scale = scale / (2 * s[0, 0])
        s = s[1:, 1:] - s[1:, :1] * s[:1, 1:] / s[0, 0]
    return (_sqrt(scale) if bells else 1) * (_signs(s) if len(s) else 1)


def _erf_moments(bells, *calls):
    """Several of one kind, stacked."""
    rows = jnp.broadcast_arrays(*(jnp.asarray(entry) for entries in calls for entry in entries))
    count = len(calls[0])
    return _erf_moment(bells, *(jnp.stack(rows[i::count]) for i in range(count)))


def _part(stacked, i):
    return stacked[i]


def _signs(s):
    """E sign(v_1) ... sign(v_n), n even: the covariances of v_1 grow from 0, as t = sin(phi), and each derivative in one of them,
    v_j, is a density times E of the other signs, given that v_1 and v_j are 0 (Plackett 1954)."""
    n = len(s)
    if n == 2:
        return 2 / math.pi * _atan2(s[0, 1], _gram_root(s[0, 1], s[0, 0], s[1, 1]))
    j = jnp.arange(1, n)
    rest = jnp.asarray([[k for k in range(1, n) if k != i] for i in range(1, n)])
    pivot, c, beside = s[j, j], s[0, j], s[j[:, None], rest]
    share = s[0, rest] - (c / pivot)[:, None] * beside
    inner = s[rest[:, :, None], rest[:, None]] - beside[:, :, None] * beside[:, None] / pivot[:, None, None]
    moving = share[:, :, None] * share[:, None]

    def at(squared_sine, weight):
        own = s[0, 0] - squared_sine * c * c / pivot
        others = inner - moving * (squared_sine / own)[:, None, None]
        return weight * jnp.sum(c / jnp.sqrt(own * pivot) * _signs(jnp.moveaxis(others, 0, 2)), 0)

    nodes = [jnp.asarray(v, s.dtype) for v in _quarter_turn(32)]
    if n == 4:
        return jnp.sum(jax.vmap(at)(*nodes), 0)
    return lax.fori_loop(0, 32, lambda i, total: total + at(nodes[0][i], nodes[1][i]), jnp.zeros_like(s[0, 0]))


def _quarter_turn(count):
    """sin^2(phi) at Gauss-Legendre nodes on [0, pi/2], and weights times 2/pi cos(phi)."""
    squares, weights = [], []
    for k in range(count):
        x = math.cos(math.pi * (k + 0.75) / (count + 0.5))
        for _ in range(6):  # Newton's method
            low, high = 1, x
            for n in range(2, count + 1):
                low, high = high, ((2 * n - 1) * x * high - (n - 1) * low) / n
            slope = count * (low - x * high) / (1 - x * x)
            x -= high / slope
        phi = math.pi / 4 * (1 + x)
        squares.append(math.sin(phi) ** 2)
        weights.append(math.cos(phi) / ((1 - x * x) * slope * slope))
    return squares, weights
