"""Learned positional embedding: one trained Gaussian vector per position, the same for all inputs (Hron et al. 2020, 2.2)."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from ntkc.ir.layer import Vector, choice, inherited, number
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class PositionalEmbedding(Vector):
    """Added to the value; uncorrelated between positions."""

    name = "positional"

    std: sp.Expr = number(1)
    kind: str = choice("learned")

    parameterization: str | None = inherited("ntk", "standard")

    @property
    def standard(self) -> bool:
        return self.parameterization == "standard"

    def variance(self) -> sp.Expr:
        return self.std**2

    def tangent(self) -> sp.Expr:
        return sp.S.One if self.standard else self.std**2

    def sample(self) -> Sample:
        return Sample(_positions, (None, self.std, self.standard))


def _positions(weights: Any, name: str, h: Any, width: int | None, std: Any, standard: bool) -> Any:
    """As wide as the value it is added to."""
    return weights.scaled(name + "/E", h.shape[1:], std, standard)
