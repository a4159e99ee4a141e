"""Pooling over positions: average and sum, over windows or over all of them."""

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax

from ntkc.backends.prelude.finite import _on_each_axis, _wrapped
from ntkc.ir.geometry import Axis, GlobalPool, Grid, Pool
from ntkc.ir.layer import Positional, choice, flag, on_axes, sizes
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class _WindowPool(Positional):
    window: int | tuple[int, ...] = sizes()
    stride: int | tuple[int, ...] | None = sizes(None)
    dilation: int | tuple[int, ...] = sizes(1)
    padding: str = choice("valid", "same", "circular")

    def axes(self, grid: Grid) -> tuple[Axis, ...]:
        window, dilation = on_axes(self.window, grid, "`window`"), on_axes(self.dilation, grid, "`dilation`")
        stride = window if self.stride is None else on_axes(self.stride, grid, "`stride`")
        return tuple(Axis(*a, self.padding) for a in zip(window, stride, dilation, strict=True))


@dataclass(frozen=True)
class AvgPool(_WindowPool):
    """Divides by the full window, or with `normalize_edges` by the taps in range (neural-tangents `stax.AvgPool`)."""

    name = "avg_pool"

    normalize_edges: bool = flag()

    def geometry(self, grid: Grid) -> Pool:
        return Pool(self.axes(grid), average=True, normalize=self.normalize_edges)

    def sample(self) -> Sample:
        return Sample(_pool, (self.window, self.stride, self.dilation, self.padding, True, self.normalize_edges))


@dataclass(frozen=True)
class SumPool(_WindowPool):
    """Sums over windows."""

    name = "sum_pool"

    def geometry(self, grid: Grid) -> Pool:
        return Pool(self.axes(grid), average=False)

    def sample(self) -> Sample:
        return Sample(_pool, (self.window, self.stride, self.dilation, self.padding, False, False))


@dataclass(frozen=True)
class GlobalAvgPool(Positional):
    """The mean over all positions."""

    name = "global_avg_pool"
    identity_on_vectors = True

    def geometry(self, grid: Grid) -> GlobalPool:
        return GlobalPool(average=True)

    def sample(self) -> Sample:
        return Sample(_global_pool, (True,))


@dataclass(frozen=True)
class GlobalSumPool(Positional):
    """The sum over all positions."""

    name = "global_sum_pool"
    identity_on_vectors = True

    def geometry(self, grid: Grid) -> GlobalPool:
        return GlobalPool(average=False)

    def sample(self) -> Sample:
        return Sample(_global_pool, (False,))


def _pool(h: Any, window: Any, stride: Any, dilation: Any, padding: str, average: bool, normalize: bool) -> Any:
    window, dilation = _on_each_axis(window, h), _on_each_axis(dilation, h)
    stride = window if stride is None else _on_each_axis(stride, h)
    if padding == "circular":
        h = _wrapped(h, window, stride, dilation)
        padding = "valid"

    def summed(v: Any) -> Any:
        return lax.reduce_window(v, 0.0, lax.add, (1, *window, 1), (1, *stride, 1), padding.upper(), None, (1, *dilation, 1))

    if not average:
        return summed(h)
    return summed(h) / (summed(jnp.ones_like(h)) if normalize else math.prod(window))


def _global_pool(h: Any, average: bool) -> Any:
    axes = tuple(range(1, h.ndim - 1))
    return jnp.mean(h, axes) if average else jnp.sum(h, axes)
