"""Tables over positions whose first axis on either side is the samples of a batch, which maps over positions do not see. Some
stand for what is called the same for single samples."""

import math

import jax.numpy as jnp


def _windowed_each(x, axes, full):
    """A window on the positions of each sample, or of both of each pair."""
    ends = ((0, 1 + len(axes)), (-2, -1)) if full else ((0,), (-1,))
    return jnp.moveaxis(_windowed(jnp.moveaxis(x, *ends), axes, full), ends[1], ends[0])


def _flat_mean(x, rank):
    """The mean over the positions of each sample, matching ones of each pair in a table."""
    if x.ndim == rank:
        return jnp.mean(x, tuple(range(1, rank)))
    n, m, positions = x.shape[0], x.shape[rank], math.prod(x.shape[1:rank])
    return jnp.trace(x.reshape(n, positions, m, -1), axis1=1, axis2=3) / positions


def _matching(x, rank):
    """A table where the positions agree, of whichever samples, zero elsewhere."""
    k = jnp.eye(math.prod(x.shape[1:rank]), dtype=x.dtype)
    return x * k.reshape((1, *x.shape[1:rank], 1, *x.shape[1:rank]))


def _full(x, like, trailing):
    """A kernel in the type of a table between two batches, for each pair of samples."""
    return jnp.broadcast_to(jnp.asarray(x, like.dtype), (like.shape[0], like.shape[like.ndim // 2]))


def _gram(x, y, dtype):
    """<x_p, y_q> / d between all positions of all samples, or whether tokens agree."""
    if _are_tokens(x):
        return (x.reshape(x.shape + (1,) * y.ndim) == y).astype(dtype)
    return jnp.tensordot(x, y, ((-1,), (-1,)), precision="highest") / x.shape[-1]
