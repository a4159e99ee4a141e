"""Kernels of networks with tables over all pairs of positions: some pairs of samples at a time."""

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
    n1, n2 = x1[0].shape[0], x2[0].shape[0]
    between = _recursion(get, params, dtype)
    chunk = max(1, min(2**17 // (_position_count(x1) * _position_count(x2)), n1 * n2 // (2 if symmetric else 1)))

    def one(xs, ys, a, b):
        return between(*_grams(xs, ys, dtype), a, b, False)

    def pick(tree, i):
        return jax.tree.map(lambda v: v[i], tree)

    @jax.jit
    def pairs(i, j):
        if chunk == 1:
            return jax.tree.map(lambda v: v[None], one(pick(wide1, i[0]), pick(wide2, j[0]), pick(left, i[0]), pick(right, j[0])))
        last = [
            jax.tree.map(lambda v: jnp.moveaxis(v, 0, -1), pick(t, k)) for t, k in ((wide1, i), (wide2, j), (left, i), (right, j))
        ]
        return jax.vmap(one, in_axes=-1, out_axes=-1)(*last)

    count = n1 * (n1 - 1) // 2 if symmetric else n1 * n2

    def places(step):
        return _nth_pair(jnp.minimum(step * chunk + jnp.arange(chunk), max(count - 1, 0)), n1, n2, symmetric)

    def body(step, out):
        i, j = places(step)
        found = pairs(i, j)
        out = jax.tree.map(lambda o, v: o.at[i, j].set(v), out, found)
        return jax.tree.map(lambda o, v: o.at[j, i].set(v), out, found) if symmetric else out

    shapes = jax.eval_shape(lambda: pairs(*places(0)))
    empty = jax.tree.map(lambda s: jnp.zeros((n1, n2), s.dtype), shapes)
    out = lax.fori_loop(0, -(-count // chunk), body, empty)
    return _on_diagonal(out, _own_tables(wide1, left, between, dtype)) if symmetric else out


def _nth_pair(k, n1, n2, symmetric):
    """The k-th pair (i, j), j < i where symmetric."""
    if not symmetric:
        return k // n2, k % n2
    rows = jnp.arange(n1)
    i = jnp.searchsorted(rows * (rows - 1) // 2, k, side="right") - 1
    return i, k - i * (i - 1) // 2


@jax.jit
def _kept(v):
    """The same table behind a loop that XLA cannot see through: on CPU it computes a layer again for each tap that reads it."""
    if jnp.ndim(v) < 2:
        return v
    first = v[(slice(0, 1),) * v.ndim]
    return lax.fori_loop(0, 2, lambda i, w: lax.dynamic_update_slice(w, jnp.where(i < 2, first, 0), (jnp.int32(0),) * w.ndim), v)


def _prepared_tables(xs, params, dtype):
    """Moments of each sample, computed in float64 a few samples at a time, and the inputs."""
    wide = [_cast(x, jnp.float64) for x in xs]
    entries = _position_count(xs) ** (2 if TABLES else 1)
    sample = lax.map(lambda rows: _alone(rows, params), wide, batch_size=min(16, 2**17 // entries) or None)
    return jax.tree.map(lambda v: v.astype(dtype), sample), [_cast(x, dtype) for x in wide[: len(INPUTS)]]


def _alone(xs, params):
    """The sample part of one sample."""
    starts = [_square(xs[i], xs[j]) for i, j in _unordered()]
    return _sample(*starts, *(_grams(xs, xs, jnp.float64) if TABLES else ()), *xs[len(INPUTS) :], params)


def _grams(xs, ys, dtype):
    """<x_p, y_q> / d of the inputs in DATA between all positions of two samples."""
    return [_gram(xs[i], ys[j], dtype) for i, j in DATA]


def _gram(x, y, dtype):
    if _are_tokens(x):
        return (x[:, None] == y).astype(dtype)
    return jnp.tensordot(x, y, ((-1,), (-1,)), precision="highest") / x.shape[-1]


def _own_by_pairs(xs, params, get, dtype):
    """Every kernel at (x_i, x_i)."""
    sample, wide = _prepared_tables(xs, params, dtype)
    return _own_tables(wide, sample, _recursion(get, params, dtype), dtype)


def _own_tables(wide, sample, between, dtype):
    """The same from the moments of the samples, which XLA would else cut out of the stacks again for every entry."""

    def one(stacks):
        x, own = jax.tree.map(_kept, stacks)
        return between(*_grams(x, x, dtype), own, own, True)

    return lax.map(one, (wide, sample))
