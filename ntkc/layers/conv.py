"""Convolutions over any number of axes: shared weights, weights of their own at each position, transposed."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import sympy as sp
from jax import lax

from ntkc.backends.prelude.finite import _channels_last, _on_each_axis, _wrapped
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

    @property
    def trained_tap(self) -> sp.Rational:
        """What one tap adds to the tangent kernel under standard: the number of channels it sums over."""
        return sp.Rational(self.fan_in or 1, self.taps)

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
        """`square` and `tangent` are sums over the taps."""
        trained_weight = self.trained_tap if self.standard else self.W_std**2 / self.taps
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
    n, width = h.shape[-1], width or weights.width
    filter, stride, dilation = (_on_each_axis(v, h) for v in (filter, stride, dilation))
    kernel = weights.scaled(name + "/W", (*filter, n, width), W_std / math.sqrt(n * math.prod(filter)), standard)
    numbers = _channels_last(h)
    if transposed and padding == "circular":
        h = _spread(h, filter, stride, dilation)
        y = lax.conv_general_dilated(h, kernel, (1,) * len(filter), "VALID", rhs_dilation=dilation, dimension_numbers=numbers)
    elif transposed:
        y = lax.conv_transpose(h, kernel, stride, padding.upper(), dilation, numbers)
    else:
        h = _wrapped(h, filter, stride, dilation) if padding == "circular" else h
        pad = "SAME" if padding == "same" else "VALID"
        y = lax.conv_general_dilated(h, kernel, stride, pad, rhs_dilation=dilation, dimension_numbers=numbers)
    return y if b_std is None else y + weights.scaled(name + "/b", (width,), b_std, standard)


def _spread(h: Any, filter: Any, stride: Any, dilation: Any) -> Any:
    """h with zeros between its positions, and around them itself, for a circular transposed convolution."""
    wide = jnp.zeros((h.shape[0], *(m * s for m, s in zip(h.shape[1:-1], stride, strict=True)), h.shape[-1]), h.dtype)
    h = wide.at[(slice(None), *(slice(None, None, s) for s in stride))].set(h)
    over = [(f - 1) * d for f, d in zip(filter, dilation, strict=True)]
    lows = [o if s > o else -(-(o + s - 1) // 2) for o, s in zip(over, stride, strict=True)]
    return jnp.pad(h, ((0, 0), *((low, o - low) for low, o in zip(lows, over, strict=True)), (0, 0)), "wrap")
