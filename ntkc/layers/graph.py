"""Sums over the neighbours in a graph, whose adjacency comes with each sample (Kipf and Welling 2017; Du et al. 2019)."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import sympy as sp

from ntkc.ir.geometry import Given, Grid
from ntkc.ir.layer import Positional, given
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Aggregate(Positional):
    """y_t = sum over s of A[s, t] h_s: A[s, t] is the weight of the edge from s to t."""

    name = "aggregate"

    adjacency: str = given()

    def geometry(self, grid: Grid) -> Given:
        return Given(self.adjacency)

    def sample(self) -> Sample:
        return Sample(_aggregate, (sp.Symbol(f"given_{self.adjacency}"),))


def _aggregate(h: Any, given: Any) -> Any:
    """`given` is the transposed adjacency of each sample."""
    return jnp.einsum("nts,nsc->ntc", given, h)
