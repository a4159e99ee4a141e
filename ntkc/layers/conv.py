"""Convolutions over any number of axes: shared weights, weights of their own at each position, transposed."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import sympy as sp
from jax import lax

from ntkc.ir.geometry import Axis, BadGrid, Grid, Window
from ntkc.ir.layer import Weighted, choice, inherited, linear_grid, number, on_axes, optional, size, sizes
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Convolution(Weighted):
    """What all convolutions share."""

    transposed: ClassVar[bool] = False

    filter: int | tuple[int, ...] = sizes()
    stride: int | tuple[int, ...] = sizes(1)
    dilation: int | tuple[int, ...] = sizes(1)
    padding: str = choice("same", "valid", "circular")
    W_std: sp.Expr = number(1)
    b_std: sp.Expr | None = optional()
    width: int | None = size()
    parameterization: str | None = inherited("ntk", "standard")
    fan_in: int | None = None
    taps: int = 1

    @property
    def standard(self) -> bool:
        return self.parameterization == "standard"

    def axes(self, grid: Grid) -> tuple[Axis, ...]:
        if not grid:
            raise BadGrid("this value has no positions")
        each = (on_axes(getattr(self, name), grid, f"`{name}`") for name in ("filter", "stride", "dilation"))
        return tuple(Axis(f, s, d, self.padding, self.transposed) for f, s, d in zip(*each, strict=True))

    def grid(self, grid: Grid) -> Grid:
        return linear_grid(Window(self.axes(grid)), grid)

    def geometry(self, grid: Grid) -> Window:
        return Window(self.axes(grid))

    def counted(self, grid: Grid) -> int:
        return math.prod(on_axes(self.filter, grid, "`filter`"))

    def moment(self, square: sp.Expr) -> sp.Expr:
        return self.W_std**2 / self.taps * square + (self.b_std or 0) ** 2

    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        """`square` and `tangent` are sums over the taps; under standard each tap is trained with
        the number of channels, the fan-in over the taps."""
        trained_weight = sp.Rational(self.fan_in or 1, self.taps) if self.standard else self.W_std**2 / self.taps
        trained_bias = sp.Integer(self.b_std is not None) if self.standard else (self.b_std or 0) ** 2
        return trained_weight * square + self.W_std**2 / self.taps * tangent + trained_bias

    def sample(self) -> Sample:
        shape = (self.filter, self.stride, self.dilation, self.padding, self.transposed)
        return Sample(_conv, (self.width, self.W_std, self.b_std, self.standard, *shape))


@dataclass(frozen=True)
class Conv(Convolution):
    """One matrix per tap, N(0, W_std^2 / (channels x taps)) (Novak et al. 2019; Garriga-Alonso et al. 2019)."""

    name = "conv"


@dataclass(frozen=True)
class ConvTranspose(Convolution):
    """The geometry of `lax.conv_transpose`; the divisor is the full filter although fewer taps meet."""

    name = "conv_transpose"
    transposed = True


def _conv(
    weights: Any,
    name: str,
    h: Any,
    width: int | None,
    W_std: Any,
    b_std: Any,
    standard: bool,
    filter: Any,
    stride: Any,
    dilation: Any,
    padding: str,
    transposed: bool,
) -> Any:
    rank, n = h.ndim - 2, h.shape[-1]
    filter, stride, dilation = ((v,) * rank if isinstance(v, int) else v for v in (filter, stride, dilation))
    width = width or weights.width
    scale = W_std / math.sqrt(n * math.prod(filter))
    kernel = weights(name + "/W", (*filter, n, width), scale if standard else 1.0) * (1.0 if standard else scale)
    letters = "xyz"[:rank]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    if transposed and padding == "circular":
        wide = jnp.zeros((h.shape[0], *(m * s for m, s in zip(h.shape[1:-1], stride, strict=True)), n), h.dtype)
        h = wide.at[(slice(None), *(slice(None, None, s) for s in stride))].set(h)
        lows = [
            r - 1 if s > r - 1 else -(-(r + s - 2) // 2)
            for r, s in zip(((f - 1) * d + 1 for f, d in zip(filter, dilation, strict=True)), stride, strict=True)
        ]
        pads = [(low, (f - 1) * d - low) for low, f, d in zip(lows, filter, dilation, strict=True)]
        h = jnp.pad(h, ((0, 0), *pads, (0, 0)), "wrap")
        y = lax.conv_general_dilated(h, kernel, (1,) * rank, "VALID", rhs_dilation=dilation, dimension_numbers=numbers)
    elif transposed:
        y = lax.conv_transpose(h, kernel, stride, padding.upper(), dilation, numbers)
    else:
        if padding == "circular":
            reach = [(f - 1) * d + 1 for f, d in zip(filter, dilation, strict=True)]
            total = [max((-(-m // s) - 1) * s + r - m, 0) for m, s, r in zip(h.shape[1:-1], stride, reach, strict=True)]
            h = jnp.pad(h, ((0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)), "wrap")
        pad = "SAME" if padding == "same" else "VALID"
        y = lax.conv_general_dilated(h, kernel, stride, pad, rhs_dilation=dilation, dimension_numbers=numbers)
    if b_std is not None:
        y = y + weights(name + "/b", (width,), b_std if standard else 1.0) * (1.0 if standard else b_std)
    return y
