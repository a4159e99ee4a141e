"""Convolutions whose weights are not shared by all: locally connected, and depthwise."""

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import sympy as sp
from jax import lax

from ntkc.backends.prelude.finite import _channels_last, _on_each_axis, _wrapped
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

    @property
    def trained_tap(self) -> sp.Rational:
        return sp.S.One  # no sum over channels

    def problem(self) -> str:
        return "its width is that of its input" if self.width is not None else ""

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
    n, width = h.shape[-1], width or weights.width
    filter, stride, dilation = (_on_each_axis(v, h) for v in (filter, stride, dilation))
    numbers = _channels_last(h)
    h = _wrapped(h, filter, stride, dilation) if padding == "circular" else h
    pad = "SAME" if padding == "same" else "VALID"
    patches = lax.conv_general_dilated_patches(h, filter, stride, pad, rhs_dilation=dilation, dimension_numbers=numbers)
    grid = patches.shape[1:-1]
    reads = n * math.prod(filter)
    kernel = weights.scaled(name + "/W", (*grid, reads, width), W_std / math.sqrt(reads), standard)
    y = jnp.einsum("n...i,...io->n...o", patches, kernel)
    return y if b_std is None else y + weights.scaled(name + "/b", (*grid, width), b_std, standard)


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
    n = h.shape[-1]
    filter, stride, dilation = (_on_each_axis(v, h) for v in (filter, stride, dilation))
    numbers = _channels_last(h)
    h = _wrapped(h, filter, stride, dilation) if padding == "circular" else h
    kernel = weights.scaled(name + "/W", (*filter, 1, n), W_std / math.sqrt(math.prod(filter)), standard)
    pad = "SAME" if padding == "same" else "VALID"
    y = lax.conv_general_dilated(h, kernel, stride, pad, rhs_dilation=dilation, dimension_numbers=numbers, feature_group_count=n)
    return y if b_std is None else y + weights.scaled(name + "/b", (n,), b_std, standard)
