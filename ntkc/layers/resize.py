"""Resizing with half-pixel centres, antialiased when shrinking: the coefficients of `jax.image.resize`."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax

from ntkc.backends.prelude.finite import _on_each_axis
from ntkc.ir.geometry import BadGrid, Grid, Matrix
from ntkc.ir.layer import Positional, choice, on_axes, sizes
from ntkc.ir.sample import Sample

Rows = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Resize(Positional):
    """To the given number of positions on each axis."""

    name = "resize"

    shape: int | tuple[int, ...] = sizes()
    method: str = choice("linear", "nearest")

    def geometry(self, grid: Grid) -> Matrix:
        shape = on_axes(self.shape, grid, "`shape`")
        if any(n is None for n in grid):
            raise BadGrid("the number of positions must be known; write it in the input's type")
        rows = _linear if self.method == "linear" else _nearest
        return Matrix(tuple(rows(n or 0, m) for n, m in zip(grid, shape, strict=True)))

    def sample(self) -> Sample:
        return Sample(_resize, (self.shape, self.method))


def _linear(n: int, m: int) -> Rows:
    """A triangle around each new centre, as wide as the coarser of the two grids, normalized."""
    reach = max(Fraction(n, m), Fraction(1))
    found = []
    for p in range(m):
        centre = (p + Fraction(1, 2)) * Fraction(n, m) - Fraction(1, 2)
        row = [max(Fraction(0), 1 - abs(centre - i) / reach) for i in range(n)]
        found.append(tuple(v / sum(row) for v in row))
    return tuple(found)


def _nearest(n: int, m: int) -> Rows:
    return tuple(tuple(Fraction(int(i == (2 * p + 1) * n // (2 * m))) for i in range(n)) for p in range(m))


def _resize(h: Any, shape: Any, method: str) -> Any:
    return jax.image.resize(h, (h.shape[0], *_on_each_axis(shape, h), h.shape[-1]), method)
