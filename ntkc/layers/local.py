"""Convolutions whose weights are not shared by all: locally connected, and depthwise."""

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import sympy as sp
from jax import lax

from ntkc.ir.geometry import BadGrid, Grid, Window
from ntkc.ir.sample import Sample
from ntkc.layers.conv import Convolution


@dataclass(frozen=True)
class ConvLocal(Convolution):
    """Weights and bias of their own at every position, so different positions are uncorrelated (Novak et al. 2019)."""

    name = "conv_local"
    local = True

    def sample(self) -> Sample:
        shape = (self.filter, self.stride, self.dilation, self.padding)
        return Sample(_conv_local, (self.width, self.W_std, self.b_std, self.standard, *shape))


@dataclass(frozen=True)
class DepthwiseConv(Convolution):
    """y_p = sum of w_k * h at the taps, channel by channel. Second moments are those of a convolution; but y is no Gaussian, so
    a layer that mixes channels has to follow before a nonlinearity."""

    name = "depthwise_conv"
    gaussian = False

    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        trained = sp.S.One if self.standard else self.W_std**2 / self.taps
        bias = sp.Integer(self.b_std is not None) if self.standard else (self.b_std or 0) ** 2
        return trained * square + self.W_std**2 / self.taps * tangent + bias

    def problem(self) -> str:
        return "its width is that of its input" if self.width is not None else ""

    def geometry(self, grid: Grid) -> Window:
        if not grid:
            raise BadGrid("this value has no positions")
        return Window(self.axes(grid))

    def sample(self) -> Sample:
        shape = (self.filter, self.stride, self.dilation, self.padding)
        return Sample(_depthwise_conv, (None, self.W_std, self.b_std, self.standard, *shape))


def _conv_local(
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
) -> Any:
    rank, n = h.ndim - 2, h.shape[-1]
    filter, stride, dilation = ((v,) * rank if isinstance(v, int) else v for v in (filter, stride, dilation))
    width, taps = width or weights.width, math.prod(filter)
    letters = "xyz"[:rank]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    h = _wrapped(h, filter, stride, dilation) if padding == "circular" else h
    pad = "SAME" if padding == "same" else "VALID"
    patches = lax.conv_general_dilated_patches(h, filter, stride, pad, rhs_dilation=dilation, dimension_numbers=numbers)
    grid = patches.shape[1:-1]
    scale = W_std / math.sqrt(n * taps)
    kernel = weights(name + "/W", (*grid, n * taps, width), scale if standard else 1.0) * (1.0 if standard else scale)
    y = jnp.einsum("n...i,...io->n...o", patches, kernel)
    if b_std is not None:
        y = y + weights(name + "/b", (*grid, width), b_std if standard else 1.0) * (1.0 if standard else b_std)
    return y


def _depthwise_conv(
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
) -> Any:
    rank, n = h.ndim - 2, h.shape[-1]
    filter, stride, dilation = ((v,) * rank if isinstance(v, int) else v for v in (filter, stride, dilation))
    letters = "xyz"[:rank]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    h = _wrapped(h, filter, stride, dilation) if padding == "circular" else h
    scale = W_std / math.sqrt(math.prod(filter))
    kernel = weights(name + "/W", (*filter, 1, n), scale if standard else 1.0) * (1.0 if standard else scale)
    pad = "SAME" if padding == "same" else "VALID"
    y = lax.conv_general_dilated(h, kernel, stride, pad, rhs_dilation=dilation, dimension_numbers=numbers, feature_group_count=n)
    if b_std is not None:
        y = y + weights(name + "/b", (n,), b_std if standard else 1.0) * (1.0 if standard else b_std)
    return y


def _wrapped(h: Any, filter: Any, stride: Any, dilation: Any) -> Any:
    """Positions around the edge that a circular window of these taps reads."""
    reach = [(f - 1) * d + 1 for f, d in zip(filter, dilation, strict=True)]
    total = [max((-(-m // s) - 1) * s + r - m, 0) for m, s, r in zip(h.shape[1:-1], stride, reach, strict=True)]
    return jnp.pad(h, ((0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)), "wrap")
