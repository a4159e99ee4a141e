"""Layers over positions, which do nothing to a vector: it has none."""

from dataclasses import dataclass

import sympy as sp

from ntkc.ir.layer import Map, Moments, Sample


@dataclass(frozen=True)
class _Identity(Map):
    def factor(self, own: Moments) -> sp.Expr:
        return sp.S.One

    def sample(self) -> Sample:
        return Sample("_identity")


@dataclass(frozen=True)
class Flatten(_Identity):
    name = "flatten"


@dataclass(frozen=True)
class GlobalAvgPool(_Identity):
    name = "global_avg_pool"


@dataclass(frozen=True)
class GlobalSumPool(_Identity):
    name = "global_sum_pool"
