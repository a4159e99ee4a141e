"""Token embedding: one row of a trained table for each token."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from ntkc.ir.layer import Weighted, inherited, number, size
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Embedding(Weighted):
    """Two tokens have the same row or independent ones, so the second moment is std^2 where they agree and 0 elsewhere (Hron et
    al. 2020, section 2.2, of an embedding of one-hot vectors)."""

    name = "embedding"
    reads_tokens = True

    std: sp.Expr = number(1)
    width: int | None = size()
    parameterization: str | None = inherited("ntk", "standard")
    fan_in: int | None = None
    """The size of the vocabulary."""

    @property
    def standard(self) -> bool:
        return self.parameterization == "standard"

    def moment(self, square: sp.Expr) -> sp.Expr:
        return self.std**2 * square

    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        return square if self.standard else self.std**2 * square

    def sample(self) -> Sample:
        return Sample(_embedding, (self.width, self.std, self.standard, self.fan_in))


def _embedding(weights: Any, name: str, h: Any, width: int | None, std: Any, standard: bool, vocabulary: int | None) -> Any:
    if vocabulary is None:
        raise ValueError("a finite network needs the size of the vocabulary; write it in the input's type: tokens(T, V)")
    return weights.scaled(name + "/W", (vocabulary, width or weights.width), std, standard)[h[..., 0]]
