"""Dropout while training, inverted: each unit is kept with probability `keep` and then divided by it (Srivastava et al. 2014)."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from ntkc.ir.layer import Map, Moments, number
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Dropout(Map):
    """Masks of different samples are independent, so only the second moment of a sample with itself grows, by 1/keep."""

    name = "dropout"
    keeps_gaussian = False

    keep: sp.Expr = number(positive=True)

    def problem(self) -> str:
        outside = self.keep.is_number and not 0 < self.keep <= 1
        return "`keep` is a probability: more than 0, at most 1" if outside else ""

    def bounded(self) -> tuple[tuple[str, sp.Expr, sp.Interval], ...]:
        return (("keep", self.keep, sp.Interval.Lopen(0, 1)),)

    def factor(self, own: Moments) -> sp.Expr:
        return sp.S.One

    def coincident(self) -> sp.Expr:
        return 1 / self.keep

    def sample(self) -> Sample:
        return Sample(_dropout, (self.keep,))


def _dropout(h: Any, keep: Any) -> Any:
    """The mean network: dropout does nothing outside of training."""
    return h
