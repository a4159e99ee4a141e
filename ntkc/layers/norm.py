"""Normalization over channels. The statistics are deterministic in the limit and add nothing to the tangent (Ba et al. 2016;
Zhang and Sennrich 2019)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import sympy as sp

from ntkc.ir.layer import Map, Moments, axes, flag, number
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class _Norm(Map):
    eps: sp.Expr = number("1e-12")
    axis: tuple[str, ...] = axes()
    affine: bool = flag()
    takes_mask: ClassVar[bool] = True

    @property
    def keeps_gaussian(self) -> bool:  # type: ignore[override]
        return not self.affine

    def trained(self, square: sp.Expr) -> sp.Expr:
        """A gain that starts at 1 and a shift that starts at 0 per channel; what comes next must mix channels."""
        return square + 1 if self.affine else sp.S.Zero

    @property
    def everywhere(self) -> bool:
        return len(self.axis) > 1

    def misfit(self, names: tuple[str, ...]) -> str:
        every = ("channel", *names)
        if self.axis == ("channel",) or (len(self.axis) == len(every) and set(self.axis) == set(every)):
            return ""
        return f"`axis` is channel, or all of ({', '.join(every)}); part of the spatial axes is not supported"

    def problem(self) -> str:
        if "channel" not in self.axis:
            return "without the channels it is no norm of the infinite vector; `axis` must contain `channel`"
        if self.eps.is_nonnegative is not True:
            return "`eps` must not be negative; give its `param` a domain, `in [0, inf)`"
        return ""


@dataclass(frozen=True)
class RmsNorm(_Norm):
    """h / sqrt(mean of h^2 + eps)."""

    name = "rms_norm"

    def factor(self, own: Moments) -> sp.Expr:
        return 1 / sp.sqrt(own.square + self.eps)

    def sample(self) -> Sample:
        return Sample(_rms_norm, (self.eps, self.everywhere))


@dataclass(frozen=True)
class LayerNorm(_Norm):
    """(h - mean) / sqrt(variance + eps), mean and variance over channels."""

    name = "layer_norm"
    centers = True

    def factor(self, own: Moments) -> sp.Expr:
        return 1 / sp.sqrt(own.square - own.mean**2 + self.eps)

    def sample(self) -> Sample:
        return Sample(_layer_norm, (self.eps, self.everywhere))


def _rms_norm(h: Any, eps: Any, everywhere: bool, present: Any = 1) -> Any:
    return h / jnp.sqrt(_statistic(h**2, everywhere, present) + eps)


def _layer_norm(h: Any, eps: Any, everywhere: bool, present: Any = 1) -> Any:
    return _rms_norm(h - _statistic(h, everywhere, present), eps, everywhere, present)


def _statistic(h: Any, everywhere: bool, present: Any) -> Any:
    """The mean over the channels, and over the positions that are present."""
    axes = tuple(range(1, h.ndim)) if everywhere else -1
    return jnp.mean(h * present, axes, keepdims=True) / jnp.mean(jnp.broadcast_to(present, h.shape), axes, keepdims=True)
