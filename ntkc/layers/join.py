"""Concatenation along a spatial axis: each operand stands at its place among zeros, and the sum is taken. The first state of a
scan stands at the first step among zeros, too."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from ntkc.ir.geometry import BadGrid, Grid, Matrix, Start
from ntkc.ir.layer import Positional
from ntkc.ir.sample import Sample

AXES = {0: (), 1: ("time",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def axis_names(rank: int) -> tuple[str, ...]:
    """Names of the spatial axes in order."""
    return AXES.get(rank, ())


@dataclass(frozen=True)
class Embed(Positional):
    """The value at positions start, start + 1, ... of an axis of `total`, zero elsewhere."""

    axis: int = 0
    start: int = 0
    total: int = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return "concat"

    def geometry(self, grid: Grid) -> Matrix:
        n = grid[self.axis]
        if n is None:
            raise BadGrid("the number of positions must be known")
        rows = tuple(tuple(Fraction(int(p == self.start + i)) for i in range(n)) for p in range(self.total))
        return Matrix(tuple(rows if k == self.axis else None for k in range(len(grid))))

    def sample(self) -> Sample:
        return Sample(_embed, (self.axis, self.start, self.total))


@dataclass(frozen=True)
class Begin(Positional):
    """A vector as the first state of a scan over so many positions."""

    count: int = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return "scan"

    def grid(self, grid: Grid) -> Grid:
        return (self.count,)

    def geometry(self, grid: Grid) -> Start:
        return Start(self.count)

    def sample(self) -> Sample:
        return Sample(_begin, (self.count,))


def _begin(h: Any, count: int) -> Any:
    return jnp.pad(h[:, None], ((0, 0), (0, count - 1), (0, 0)))


def _embed(h: Any, axis: int, start: int, total: int) -> Any:
    after = total - start - h.shape[axis + 1]
    return jnp.pad(h, [(start, after) if k == axis + 1 else (0, 0) for k in range(h.ndim)])
