"""Second moments over positions. A full table has the axes of x first, then those of x'; a matched one has one set of axes.
Axes after these (pairs of samples) are carried along."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


def _taps(n, size, stride, dilation, padding, transposed):
    """For each tap of a pooling window, never transposed, on an axis of n: which position each output reads, None for none."""
    low, _, count = _margins(n, size, stride, dilation, padding, transposed)
    where = [[p * stride + k * dilation - low for p in range(count)] for k in range(size)]
    if padding == "circular":
        return [[i % n for i in row] for row in where]
    return [[i if 0 <= i < n else None for i in row] for row in where]


def _taken(x, axis, index):
    """x at the given positions of an axis: a slice where they are evenly spaced."""
    step = index[1] - index[0] if len(index) > 1 else 1
    if step > 0 and index == list(range(index[0], index[-1] + 1, step)):
        return lax.slice_in_dim(x, index[0], index[-1] + 1, step, axis)
    return jnp.take(x, jnp.asarray(index), axis)


@partial(jax.jit, static_argnames=("axes", "full"))
def _windowed(x, axes, full):
    """Sum over the taps of a window, which move x and x' together, one axis after the other; divided by nothing."""
    rank = len(axes)
    for axis, spec in enumerate(axes):
        both = (axis, rank + axis) if full else (axis,)
        size, stride, dilation, _padding, transposed = spec
        padded, counts = _padded(x, both, spec)
        total = 0
        for k in range(size):
            starts, limits, strides = [0] * x.ndim, list(padded.shape), [1] * x.ndim
            for a in both:
                starts[a], strides[a] = k * dilation, 1 if transposed else stride
                limits[a] = starts[a] + (counts[a] - 1) * strides[a] + 1
            total = total + lax.slice(padded, starts, limits, strides)
        x = total
    return x


def _padded(x, both, spec):
    """x with the positions around it that a window reaches: zeros, or itself where circular; and how many outputs there are."""
    _, stride, _, padding, transposed = spec
    widths, counts = [(0, 0, 0)] * x.ndim, {}
    for axis in both:
        low, high, counts[axis] = _margins(x.shape[axis], *spec)
        widths[axis] = (low, high, stride - 1 if transposed else 0)
    if padding != "circular":
        return lax.pad(x, jnp.zeros((), x.dtype), widths), counts
    if transposed:
        x = lax.pad(
            x, jnp.zeros((), x.dtype), [(0, i, i) if axis in both else (0, 0, 0) for axis, (_, _, i) in enumerate(widths)]
        )
    return jnp.pad(x, [(low, high) for low, high, _ in widths], "wrap"), counts


def _margins(n, size, stride, dilation, padding, transposed):
    """Positions to add below and above an axis of n, and the number of outputs."""
    reach = (size - 1) * dilation + 1
    if transposed:
        low = reach - 1 if padding == "valid" or stride > reach - 1 else -(-(reach + stride - 2) // 2)
        count = n * stride + (max(reach - stride, 0) if padding == "valid" else 0)
        inside = n * stride if padding == "circular" else (n - 1) * stride + 1
        return low, count + reach - 1 - low - inside, count
    if padding == "valid":
        count = (n - reach) // stride + 1
        return 0, (count - 1) * stride + reach - n, count
    count = -(-n // stride)
    total = (count - 1) * stride + reach - n
    total = max(total, 0) if padding == "circular" else total
    low = max(total, 0) // 2
    return low, total - low, count


def _pooled(x, first, axes, average, normalize):
    """Sums over windows on one side, whose axes start at `first`."""
    for k, spec in enumerate(axes):
        taps = _taps(x.shape[first + k], *spec)
        matrix = [[0.0] * x.shape[first + k] for _ in taps[0]]
        for index in taps:
            for p, i in enumerate(index):
                if i is not None:
                    matrix[p][i] += 1.0
        for row in matrix:
            count = (sum(row) or 1.0) if normalize else spec[0]
            row[:] = [v / count if average else v for v in row]
        x = _times(jnp.asarray(matrix, x.dtype), x, first + k)
    return x


def _times(matrix, x, axis):
    """A matrix applied along one axis."""
    return jnp.moveaxis(jnp.tensordot(matrix, x, ((1,), (axis,))), 0, axis)


def _global_pooled(x, first, rank, average):
    """Sum or mean over all positions of one side."""
    axes = tuple(range(first, first + rank))
    return jnp.mean(x, axes) if average else jnp.sum(x, axes)


def _selected(x, first, axes):
    """Positions by index on one side; an integer takes its axis away."""
    for k in reversed(range(len(axes))):
        x = jnp.take(x, axes[k], first + k) if isinstance(axes[k], int) else _taken(x, first + k, list(axes[k]))
    return x


def _resampled(x, first, axes):
    """A matrix on each axis of one side; None leaves the axis alone."""
    for k, matrix in enumerate(axes):
        x = x if matrix is None else _times(jnp.asarray(matrix, x.dtype), x, first + k)
    return x


def _shifted(x, axis):
    """Each position reads the one before it, the first one zero."""
    widths = [(1, -1, 0) if a == axis else (0, 0, 0) for a in range(x.ndim)]
    return lax.pad(x, jnp.zeros((), x.dtype), widths)


def _started(x, first, count):
    """A new axis of so many positions: x at the first of them, zero at the others."""
    widths = [(0, count - 1 if axis == first else 0, 0) for axis in range(x.ndim + 1)]
    return lax.pad(jnp.expand_dims(x, first), jnp.zeros((), x.dtype), widths)


def _zeros(like, *shape):
    """A table or moment before the first step."""
    return jnp.zeros(shape, like.dtype)


def _toeplitz(like, rows, columns, values):
    """A table whose entries depend on the distance of the positions."""
    return jnp.asarray(values, like.dtype)[abs(jnp.arange(rows)[:, None] - jnp.arange(columns))]


def _matching(x, rank):
    """A full table where the positions agree, zero elsewhere."""
    return jnp.where(_identity_of(x, rank), x, 0)


def _diagonal(x, rank):
    """A full table at matching positions."""
    grid, rest = x.shape[:rank], x.shape[2 * rank :]
    n = math.prod(grid)
    return jnp.moveaxis(jnp.diagonal(x.reshape(n, n, *rest)), -1, 0).reshape(*grid, *rest)


def _flat_mean(x, rank):
    """The mean over the first axes."""
    return jnp.mean(x, tuple(range(rank)))


def _present_after(mask, spec, axis=0):
    """Which positions are present after a window: where the position in its place is, with `valid` padding where all that it
    reads are."""
    _, stride, _, padding, transposed = spec
    n = mask.shape[axis]
    if transposed:
        return jnp.repeat(mask, stride, axis)
    if padding != "valid":
        return mask[(slice(None),) * axis + (slice(None, None, stride),)]
    taken = [jnp.take(mask, jnp.asarray(taps), axis) for taps in zip(*_taps(n, *spec), strict=True)]
    return jnp.stack([jnp.min(v, axis) for v in taken], axis)


def _last_present(mask, axis=0):
    """1 at the last position that is present, 0 elsewhere."""
    after = jnp.flip(jnp.cumsum(jnp.flip(mask, axis), axis), axis)
    return jnp.where(after == 1, mask, 0)


def _left(v, rank):
    """Moments of x alone, along the axes of x' as well."""
    return v.reshape(v.shape + (1,) * rank)


def _same_positions(same, like, rank):
    """`same` at matching positions of a full table, else 0; a table of the same shape says how many there are."""
    return _identity_of(like, rank) * same


def _with_diagonal(x, own, same, rank):
    """A full table, with x's own moments at matching positions where x and x' are one sample."""
    if not same:
        return x
    n = math.prod(x.shape[:rank])
    here = jnp.arange(n)
    return x.reshape(n, n).at[here, here].set(jnp.broadcast_to(own, x.shape[:rank]).reshape(n)).reshape(x.shape)


def _identity_of(x, rank):
    """Whether the positions of x and x' agree, for each entry of a full table."""
    match = True
    for k in range(rank):
        here = jnp.arange(x.shape[k]).reshape((-1,) + (1,) * (2 * rank - 1 - k))
        there = jnp.arange(x.shape[rank + k]).reshape((-1,) + (1,) * (rank - 1 - k))
        match = match & (here == there)
    return match


def _half_gap(c, inverse):
    """(1 - c inverse) / 2 within [0, 1]; 1/2 where the inverse of the scale is taken as 0 because the scale is. What rounding may
    have left of 0 (equal tokens or windows of different samples) is 0: its root would be 1e-8 even in float64."""
    d = jnp.clip(0.5 - 0.5 * (c * inverse), 0, 1)
    return jnp.where(d < 2 * jnp.finfo(d.dtype).eps, 0, d)


def _attention(table, mechanism, scale, shift, causal, present=None):
    """Mixing coefficients (P, P) of one sample from the second moments of its positions, those present."""
    shape = table.shape[: table.ndim // 2]
    n = math.prod(shape)
    logits = scale * table.reshape(n, n) + shift * jnp.eye(n, dtype=table.dtype)
    seen = jnp.tril(jnp.ones((n, n), bool)) if causal else jnp.ones((n, n), bool)
    if present is not None:
        seen = seen & (present > 0)
    if mechanism == "softmax":
        top = jnp.max(jnp.where(seen, logits, jnp.finfo(logits.dtype).min), 1, keepdims=True)
        weights = jnp.exp(jnp.where(seen, logits - top, -jnp.inf))
        total = jnp.sum(weights, 1, keepdims=True)
        weights = weights / jnp.where(total > 0, total, 1)
    else:
        weights = {"identity": logits, "relu": jnp.maximum(logits, 0), "abs": jnp.abs(logits)}[mechanism] * seen
    return weights.reshape(table.shape)


def _mixed(table, x, first):
    """Mixing coefficients applied to one side."""
    rank = table.ndim // 2
    sizes = table.shape[:rank]
    n = math.prod(sizes)
    flat = x.reshape((*x.shape[:first], n, *x.shape[first + rank :]))
    out = _times(table.reshape(n, n), flat, first)
    return out.reshape(x.shape)
