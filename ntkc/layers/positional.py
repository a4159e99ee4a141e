"""Positional encodings, the same for all inputs: one trained Gaussian vector per position (Hron et al. 2020, 2.2), or fixed
sinusoids (Vaswani et al. 2017, section 3.5)."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import sympy as sp

from ntkc.ir.geometry import BadGrid, Grid
from ntkc.ir.layer import Vector, choice, inherited, number
from ntkc.ir.sample import Sample
from ntkc.ir.sinusoids import BASE


@dataclass(frozen=True)
class PositionalEmbedding(Vector):
    """Added to the value. Learned: uncorrelated between positions. Fixed: `std` times the encoding of the paper, whose mean
    square is 1/2; its positions are correlated, its mean is not 0, and it is no Gaussian."""

    name = "positional"

    std: sp.Expr = number(1)
    kind: str = choice("learned", "fixed")

    parameterization: str | None = inherited("ntk", "standard")

    @property
    def standard(self) -> bool:
        return self.parameterization == "standard"

    @property
    def fixed(self) -> bool:
        return self.kind == "fixed"

    def grid(self, grid: Grid) -> Grid:
        if self.fixed and len(grid) != 1:
            raise BadGrid("sinusoids encode the positions of a sequence; with more axes, or none, use `kind=learned`")
        return grid

    def amplitude(self) -> sp.Expr:
        return self.std

    def variance(self) -> sp.Expr:
        return self.std**2

    def tangent(self) -> sp.Expr:
        return sp.S.Zero if self.fixed else sp.S.One if self.standard else self.std**2

    def sample(self) -> Sample:
        return Sample(_sinusoids, (self.std, BASE)) if self.fixed else Sample(_positions, (None, self.std, self.standard))


def _positions(weights: Any, name: str, h: Any, width: int | None, std: Any, standard: bool) -> Any:
    """As wide as the value it is added to."""
    return weights.scaled(name + "/E", h.shape[1:], std, standard)


def _sinusoids(weights: Any, name: str, h: Any, std: Any, base: int) -> Any:
    """Sines and cosines in turn, as wide as the value they are added to."""
    channel = jnp.arange(h.shape[-1])
    angle = jnp.arange(h.shape[1])[:, None] * base ** (-(channel - channel % 2) / h.shape[-1])
    return std * jnp.where(channel % 2 == 0, jnp.sin(angle), jnp.cos(angle))
