"""Learned positional embedding: one trained Gaussian vector per position, the same for all inputs (Hron et al. 2020, 2.2)."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from ntkc.ir.layer import Vector, choice, number
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class PositionalEmbedding(Vector):
    """Added to the value; uncorrelated between positions."""

    name = "positional"

    std: sp.Expr = number(1)
    kind: str = choice("learned")

    def variance(self) -> sp.Expr:
        return self.std**2

    def sample(self) -> Sample:
        return Sample(_positions, (None, self.std))


def _positions(weights: Any, name: str, h: Any, width: int | None, std: Any) -> Any:
    """As wide as the value it is added to."""
    return std * weights(name + "/E", h.shape[1:])
