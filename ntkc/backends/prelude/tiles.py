"""From the rows of two inputs to kernels, tile by tile."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


def _columns(arrays, *turns):
    """Moments of the samples of x1, those of the given turns of their loops, as columns (..., n1, 1)."""
    return [v[turns][..., :, None] for v in arrays]


def _rows(arrays, *turns):
    """Those of x2 as rows (..., 1, n2)."""
    return [v[turns][..., None, :] for v in arrays]


def _squares(xs):
    """<x_i, x_j> / d of the inputs in DATA with themselves, (positions..., n), in float64."""
    wide = [_cast(x, jnp.float64) for x in xs]
    return [jnp.moveaxis(_square(wide[i], wide[j]), 0, -1) for i, j in _unordered()]


def _square(x, y):
    """<x_p, y_p> / d of two inputs of the same samples, (..., positions...)."""
    return (x == y).astype(jnp.float64) if _are_tokens(x) else jnp.sum(x * y, -1) / x.shape[-1]


def _are_tokens(x):
    return jnp.issubdtype(x.dtype, jnp.integer)


def _position_count(xs):
    """The number of positions of the input that has most."""
    return max(math.prod(x.shape[1:] if _are_tokens(x) else x.shape[1:-1]) for x in xs[: len(INPUTS)])


def _cast(x, dtype):
    """Numbers in another type; tokens as they are."""
    return x if _are_tokens(x) else x.astype(dtype)


def _type_of(xs):
    """The type of the kernels: that of the inputs; tokens have the width of the type wanted."""
    numbers = [x.dtype for x in xs if not _are_tokens(x)]
    return numbers[0] if numbers else jnp.float64 if xs[0].dtype == jnp.int64 else jnp.float32


def _working_type(dtype, precision):
    """The type of the recursion for inputs of a type."""
    return jnp.float64 if precision == "accurate" and not BY_ANGLE else jnp.promote_types(dtype, jnp.float32)


def _units(x, dtype):
    """Rows of norm 1, or 0, in a type, and a function that makes some of them in float64."""
    norm = _sqrt(jnp.sum(x.astype(jnp.float64) ** 2, 1, keepdims=True))
    scale = _ratio(jnp.ones_like(norm), norm)

    def wide(cut):
        return cut(x).astype(jnp.float64) * cut(scale)

    apart = lax.optimization_barrier(x)  # else XLA keeps a float64 copy of x, for this and for the norms
    return (apart.astype(jnp.float64) * scale).astype(dtype), wide


def _half_angles(first, second, apart, dtype, precise):
    """d = sin^2(theta/2) and e = cos^2(theta/2) between rows of norm 1, d from their difference where they nearly agree;
    `apart` is False where the two rows are one sample, whose angle is 0.

    In float32 a product in that type leaves an absolute error of about 1e-7 in d, which is enough unless d or e is small
    somewhere in the tile; then the product is taken in float64, whose error is enough down to d = 1e-4 for float64, too.
    """

    (x, wide_x), (y, wide_y) = first, second

    def halves(product):
        d, e = (jnp.maximum((1 + sign * product) / 2, 0) for sign in (-1, 1))
        return jnp.where(apart, d, 0).astype(dtype), jnp.where(apart, e, 1).astype(dtype)

    def least(d, e):
        return jnp.min(jnp.where(apart, jnp.minimum(d, e), 1))

    if dtype == jnp.float32:
        d, e = halves(jnp.matmul(x, y.T, precision="highest"))
        if not precise:
            return d, e
        return lax.cond(least(d, e) < 1 / 64, lambda: halves(jnp.matmul(wide_x(), wide_y().T)), lambda: (d, e))
    d, e = halves(jnp.matmul(x, y.T, precision="highest"))
    return lax.cond(least(d, e) < 1e-4, lambda: _from_differences(x, y, d, e), lambda: (d, e))


def _from_differences(x, y, d, e):
    """|x - y|^2 / 4 where that is small, |x + y|^2 / 4 for e: slower, and exact for near duplicates."""

    def feature(k, sums):
        u, v = x[:, k][:, None], y[:, k][None, :]
        return sums[0] + (u - v) ** 2, sums[1] + (u + v) ** 2

    near, far = lax.fori_loop(0, x.shape[1], feature, (jnp.zeros_like(d), jnp.zeros_like(d)))
    return jnp.where(d < 1e-3, jnp.minimum(d, 1) * 0 + near / 4, d), jnp.where(e < 1e-3, far / 4, e)


def _tiled(tile, n1, n2, symmetric, size=512):
    """tile(i, j, t1, t2) -> arrays (t1, t2), tile by tile, which bounds the memory; where symmetric each unordered pair of
    tiles once. Tiles are of equal size, and the last ones overlap."""
    t1, t2 = (-(-n // -(-n // size)) for n in (n1, n2))
    starts = [(min(i, n1 - t1), min(j, n2 - t2)) for i in range(0, n1, t1) for j in range(0, n2, t2) if not symmetric or i <= j]

    def mirrored(found, i, j):
        """A tile on the diagonal, its lower half from its upper one, which XLA may round apart in the last digits."""
        lower = i + jnp.arange(t1)[:, None] > j + jnp.arange(t2)[None, :]
        return jax.tree.map(lambda t: jnp.where(lower, t.T, t), found)

    if len(starts) == 1:
        whole = tile(0, 0, n1, n2)
        # in a loop, which keeps the tile: else XLA computes it for each half anew, rounded apart
        return lax.fori_loop(0, 2, lambda _, t: mirrored(t, 0, 0), whole) if symmetric else whole
    table = jnp.asarray(starts, dtype=jnp.int32)

    def body(p, out):
        i, j = table[p, 0], table[p, 1]
        found = tile(i, j, t1, t2)
        if symmetric:
            found = lax.cond(i == j, mirrored, lambda t, i, j: t, found, i, j)
        out = jax.tree.map(lambda o, t: lax.dynamic_update_slice(o, t, (i, j)), out, found)
        if symmetric:
            out = jax.tree.map(lambda o, t: lax.dynamic_update_slice(o, t.T, (j, i)), out, found)
        return out

    leaves, tree = jax.tree.flatten(jax.eval_shape(lambda: tile(0, 0, t1, t2)))
    empty = [jnp.full((n1, n2), k, leaf.dtype) for k, leaf in enumerate(leaves)]  # equal ones would be copies of the first
    return lax.fori_loop(0, len(starts), body, jax.tree.unflatten(tree, empty))


@partial(jax.jit, static_argnames=("get", "symmetric", "precision"))
def _compiled(x1, x2, params, get, symmetric, precision):
    result = _type_of(x1)
    dtype = _working_type(result, precision)
    out = EVALUATE()[0](x1, x2, params, get, symmetric, dtype, precision)
    return jax.tree.map(lambda o: o.astype(result), out)


@partial(jax.jit, static_argnames=("get", "precision"))
def _compiled_own(x, params, get, precision):
    result = _type_of(x)
    out = EVALUATE()[1](x, params, get, _working_type(result, precision))
    return jax.tree.map(lambda o: o.astype(result), out)


def _on_diagonal(out, own):
    """Kernels between samples, with those of each sample with itself in their place."""

    def placed(o, v):
        n = jnp.arange(o.shape[0])
        return o.at[n, n].set(v.astype(o.dtype))

    return jax.tree.map(placed, out, own)


def _by_tiles(x1, x2, params, get, symmetric, dtype, precision):
    """A block of rows against a block of columns at a time; tables at matching positions have their positions in front."""
    run = partial(_tiles_of, x1, x2, symmetric, dtype, precision == "accurate")

    def recursion():
        between = _recursion(get, params, dtype)
        return run(lambda *arguments: between(*arguments, False), partial(_moments, params))

    if COLLAPSE and dtype == jnp.float32:
        good, series = _series_in_depth(params, get)
        # around the tiles, not in each of them: the series needs no moments of the layers, which are many numbers at depth 1000
        out = lax.cond(good, lambda: run(series, _squares), recursion)
    else:
        out = recursion()
    return _on_diagonal(out, _own(x1, params, get, dtype)) if symmetric else out


def _tiles_of(x1, x2, symmetric, dtype, precise, between, moments):
    """Every kernel by `between(starts..., left, right)` of what `moments` gives for the samples in float64."""
    left, rows1 = _prepared(x1, moments, dtype)
    right, rows2 = (left, rows1) if symmetric else _prepared(x2, moments, dtype)

    def tile(i, j, t1, t2):
        cut = partial(jax.tree.map, lambda v: lax.dynamic_slice_in_dim(v, i, t1, v.ndim - 1))
        other = partial(jax.tree.map, lambda v: lax.dynamic_slice_in_dim(v, j, t2, v.ndim - 1))
        xs, ys = _rows_of(rows1, i, t1), _rows_of(rows2, j, t2)
        apart = not symmetric or (i + jnp.arange(t1))[:, None] != (j + jnp.arange(t2))[None, :]
        return between(*_starts(xs, ys, apart, dtype, precise), cut(left), other(right))

    size = max(8, int(512 / math.sqrt(_position_count(x1))))
    return _tiled(tile, x1[0].shape[0], x2[0].shape[0], symmetric, size)


def _moments(params, xs):
    """Those of each sample with itself."""
    return jax.vmap(lambda *own: _sample(*own, params), in_axes=-1, out_axes=-1)(*_squares(xs), *_given(xs))


def _given(xs):
    """What comes with the inputs, the samples last, in float64."""
    return [jnp.moveaxis(v.astype(jnp.float64), 0, -1) for v in xs[len(INPUTS) :]]


def _prepared(xs, moments, dtype):
    """Moments of each sample in a type, and what cross moments are computed from."""
    rows = [(_cast(x, dtype), _units(x, dtype) if BY_ANGLE else None) for x in xs[: len(INPUTS)]]
    return jax.tree.map(lambda v: v.astype(dtype), moments(xs)), rows


def _rows_of(rows, start, size):
    """Those of a tile; float64 ones are cut inside the branch that wants them, which is seldom run."""
    cut = partial(lax.dynamic_slice_in_dim, start_index=start, slice_size=size)
    return [(cut(x), units and (cut(units[0]), partial(units[1], cut))) for x, units in rows]


def _starts(xs, ys, apart, dtype, precise):
    """What `_pair` starts from between the rows of two tiles."""
    for i, j in DATA:
        if BY_ANGLE and i == j:
            yield from _half_angles(xs[i][1], ys[j][1], apart, dtype, precise)
        else:
            yield _products(xs[i][0], ys[j][0], dtype)


def _products(x, y, dtype):
    """<x_p, y_p> / d between the rows of two tiles, (positions..., n1, n2)."""
    if _are_tokens(x):
        return (x.T[:, :, None] == y.T[:, None, :]).astype(dtype)
    return jnp.einsum("i...d,j...d->...ij", x, y, precision="highest") / x.shape[-1]


def _recursion(get, params, dtype):
    """`_pair` in a type, for the kernels asked for."""
    few = {name: value.astype(dtype) for name, value in params.items()}
    return lambda *arguments: {kind: value for kind, value in _pair(*arguments, few).items() if kind in get}


def _unordered():
    """Which inputs' second moments of one sample are used, each once."""
    return list(dict.fromkeys(tuple(sorted(pair)) for pair in DATA))


def _own(xs, params, get, dtype):
    """Every kernel at (x_i, x_i); of homogeneous networks from that of a sample with |x|^2 = d."""
    if COLLAPSE:
        unit = _own_of([jnp.ones(1, jnp.float64)], [], params, get, jnp.float64)
        return jax.tree.map(lambda v: v * _squares(xs)[0] ** COLLAPSE[0], unit)
    return _own_of(_squares(xs), _given(xs), params, get, dtype)


def _own_of(squares, given, params, get, dtype):
    """Every kernel at (x, x), where the angle is 0 and cross moments are the sample's own, one sample at a time."""
    pairs, run = _unordered(), _recursion(get, params, dtype)

    def starts(*own):
        for i, j in DATA:
            c = own[pairs.index((min(i, j), max(i, j)))].astype(dtype)[..., None, None]
            yield from ((jnp.zeros_like(c), jnp.ones_like(c)) if BY_ANGLE and i == j else (c,))

    def one(*own):
        sample = jax.tree.map(lambda v: v.astype(dtype)[..., None], _sample(*own, params))
        return jax.tree.map(lambda v: v[0, 0], run(*starts(*own), sample, sample, True))

    return jax.vmap(one, in_axes=-1)(*squares, *given)
