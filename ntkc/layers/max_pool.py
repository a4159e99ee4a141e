"""Maximum over windows of positions, channel by channel."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax

from ntkc.backends.prelude.finite import _on_each_axis, _wrapped
from ntkc.ir.geometry import Axis, BadGrid, Grid, Window
from ntkc.ir.layer import Joint, choice, linear_grid, on_axes, sizes
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class MaxPool(Joint):
    """The same windows as those of `avg_pool`; positions outside of the grid do not count."""

    name = "max_pool"
    needs_positions = True

    window: int | tuple[int, ...] = sizes()
    stride: int | tuple[int, ...] | None = sizes(None)
    dilation: int | tuple[int, ...] = sizes(1)
    padding: str = choice("valid", "same", "circular")

    def unclosed(self) -> str:
        return "the maximum of correlated values is a function of all of them; `avg_pool` has a closed form"

    def grid(self, grid: Grid) -> Grid:
        if not grid:
            raise BadGrid("this value has no positions")
        window, dilation = on_axes(self.window, grid, "`window`"), on_axes(self.dilation, grid, "`dilation`")
        stride = window if self.stride is None else on_axes(self.stride, grid, "`stride`")
        axes = tuple(Axis(*a, self.padding) for a in zip(window, stride, dilation, strict=True))
        return linear_grid(Window(axes), grid)

    def sample(self) -> Sample:
        return Sample(_max_pool, (self.window, self.stride, self.dilation, self.padding))


def _max_pool(h: Any, window: Any, stride: Any, dilation: Any, padding: str) -> Any:
    window, dilation = _on_each_axis(window, h), _on_each_axis(dilation, h)
    stride = window if stride is None else _on_each_axis(stride, h)
    if padding == "circular":
        h = _wrapped(h, window, stride, dilation)
        padding = "valid"
    return lax.reduce_window(h, -jnp.inf, lax.max, (1, *window, 1), (1, *stride, 1), padding.upper(), None, (1, *dilation, 1))
