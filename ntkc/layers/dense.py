"""Fully connected layer: y = W h + b."""

import math
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ntkc.ir.layer import Weighted, inherited, number, optional, size
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Dense(Weighted):
    """Parameterizations as in neural-tangents (Novak et al. 2020, `stax.Dense`; Sohl-Dickstein et al. 2020).

    ntk: y = W_std/sqrt(n) W h + b_std b, with W, b ~ N(0, 1). standard: W ~ N(0, W_std^2/n), b ~ N(0, b_std^2), no factors,
    so that the tangent kernel grows with the nominal fan-in n.
    """

    name = "dense"
    reads_flat = True

    W_std: sp.Expr = number(1)
    b_std: sp.Expr | None = optional()
    width: int | None = size()
    parameterization: str | None = inherited("ntk", "standard")
    fan_in: int | None = None

    @property
    def standard(self) -> bool:
        return self.parameterization == "standard"

    def moment(self, square: sp.Expr) -> sp.Expr:
        return self.W_std**2 * square + (self.b_std or 0) ** 2

    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        trained_weight = sp.Integer(self.fan_in or 1) if self.standard else self.W_std**2
        trained_bias = sp.Integer(self.b_std is not None) if self.standard else (self.b_std or 0) ** 2
        return trained_weight * square + self.W_std**2 * tangent + trained_bias

    def sample(self) -> Sample:
        return Sample(_dense, (self.width, self.W_std, self.b_std, self.standard))


def _dense(weights: Any, name: str, h: Any, width: int | None, W_std: Any, b_std: Any, standard: bool) -> Any:
    n, width = h.shape[-1], width or weights.width
    y = h @ weights.scaled(name + "/W", (n, width), W_std / math.sqrt(n), standard)
    return y if b_std is None else y + weights.scaled(name + "/b", (width,), b_std, standard)
