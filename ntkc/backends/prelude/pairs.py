"""Kernels of networks with tables over all pairs of positions: some pairs of samples at a time."""

import math

import jax
import jax.numpy as jnp
from jax import lax


def _at(arrays, *turns):
    """Moments of a sample, those of the given turns of their loops."""
    return [v[turns] for v in arrays]


def _by_pairs(x1, x2, params, get, symmetric, dtype, precision):
    """Unordered pairs of samples where symmetric, without the diagonal, in chunks whose tables stay in the cache."""
    left, wide1 = _prepared_tables(x1, params, dtype)
    right, wide2 = (left, wide1) if symmetric else _prepared_tables(x2, params, dtype)
    few = {name: value.astype(dtype) for name, value in params.items()}
    n1, n2 = x1[0].shape[0], x2[0].shape[0]
    between = _select(_pair, get, few)
    positions = math.prod(x1[0].shape[1:-1]) * math.prod(x2[0].shape[1:-1])
    chunk = max(1, min(2**17 // positions, n1 * n2 // (2 if symmetric else 1)))

    def one(xs, ys, a, b):
        starts = [jnp.tensordot(xs[i], ys[j], ((-1,), (-1,)), precision="highest") / xs[i].shape[-1] for i, j in DATA]
        return between(*starts, a, b, False)

    def pick(tree, i):
        return jax.tree.map(lambda v: v[i], tree)

    def pairs(i, j):
        if chunk == 1:
            return jax.tree.map(lambda v: v[None], one(pick(wide1, i[0]), pick(wide2, j[0]), pick(left, i[0]), pick(right, j[0])))
        last = [
            jax.tree.map(lambda v: jnp.moveaxis(v, 0, -1), pick(t, k)) for t, k in ((wide1, i), (wide2, j), (left, i), (right, j))
        ]
        return jax.vmap(one, in_axes=-1, out_axes=-1)(*last)

    rows = jnp.arange(n1)
    count = n1 * (n1 - 1) // 2 if symmetric else n1 * n2

    def index(k):
        """The k-th pair (i, j), j < i where symmetric; the last ones are repeated."""
        k = jnp.minimum(k, max(count - 1, 0))
        if not symmetric:
            return k // n2, k % n2
        i = jnp.searchsorted(rows * (rows - 1) // 2, k, side="right") - 1
        return i, k - i * (i - 1) // 2

    def body(step, out):
        i, j = index(step * chunk + jnp.arange(chunk))
        found = pairs(i, j)
        out = jax.tree.map(lambda o, v: o.at[i, j].set(v), out, found)
        return jax.tree.map(lambda o, v: o.at[j, i].set(v), out, found) if symmetric else out

    shapes = jax.eval_shape(lambda: pairs(rows[:1].repeat(chunk), rows[:1].repeat(chunk)))
    empty = jax.tree.map(lambda s: jnp.zeros((n1, n2), s.dtype), shapes)
    return lax.fori_loop(0, -(-count // chunk), body, empty)


def _prepared_tables(xs, params, dtype):
    """Moments of each sample, computed in float64 a few samples at a time, and the inputs."""
    wide = [x.astype(jnp.float64) for x in xs]
    sample = lax.map(lambda rows: _alone(rows, params), wide, batch_size=16)
    return jax.tree.map(lambda v: v.astype(dtype), sample), [x.astype(dtype) for x in wide]


def _alone(xs, params):
    """The sample part of one sample."""
    pairs = dict.fromkeys(tuple(sorted(pair)) for pair in DATA)
    starts = [jnp.sum(xs[i] * xs[j], -1) / xs[i].shape[-1] for i, j in pairs]
    if TABLES:
        starts += [jnp.tensordot(xs[i], xs[j], ((-1,), (-1,)), precision="highest") / xs[i].shape[-1] for i, j in DATA]
    return _sample(*starts, params)


def _own_by_pairs(xs, params, get, dtype):
    """Every kernel at (x_i, x_i)."""
    few = {name: value.astype(dtype) for name, value in params.items()}

    def one(rows):
        sample = jax.tree.map(lambda v: v.astype(dtype), _alone(rows, params))
        starts = [jnp.tensordot(rows[i], rows[j], ((-1,), (-1,)), precision="highest") / rows[i].shape[-1] for i, j in DATA]
        return _select(_pair, get, few)(*(c.astype(dtype) for c in starts), sample, sample, True)

    return lax.map(one, [x.astype(jnp.float64) for x in xs])
