"""Normalization over channels. The statistics are deterministic in the limit and add nothing to the tangent (Ba et al. 2016;
Zhang and Sennrich 2019)."""

from dataclasses import dataclass

import sympy as sp

from ntkc.ir.layer import Map, Moments, Sample, number


@dataclass(frozen=True)
class RmsNorm(Map):
    """h / sqrt(mean of h^2 + eps)."""

    name = "rms_norm"

    eps: sp.Expr = number("1e-12")

    def factor(self, own: Moments) -> sp.Expr:
        return 1 / sp.sqrt(own.square + self.eps)

    def sample(self) -> Sample:
        return Sample("_rms_norm", (self.eps,))


@dataclass(frozen=True)
class LayerNorm(Map):
    """(h - mean) / sqrt(variance + eps), mean and variance over channels."""

    name = "layer_norm"
    centers = True

    eps: sp.Expr = number("1e-12")

    def factor(self, own: Moments) -> sp.Expr:
        return 1 / sp.sqrt(own.square - own.mean**2 + self.eps)

    def sample(self) -> Sample:
        return Sample("_layer_norm", (self.eps,))
