"""Positions by index: `h[1:, ::2]`, `last(h)`, `reverse(h)`."""

from dataclasses import dataclass
from typing import Any

from ntkc.ir.geometry import BadGrid, Grid, Select
from ntkc.ir.layer import Positional
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Slice(Positional):
    """NumPy indexing on the spatial axes in order: a (start, stop, step) for each, or an integer that takes the axis away."""

    indices: tuple[tuple[int | None, int | None, int | None] | int, ...] = ()

    @property
    def name(self) -> str:  # type: ignore[override]
        return "[...]"

    @property
    def from_end(self) -> bool:
        each = (i for index in self.indices for i in ((index,) if isinstance(index, int) else index))
        return any(i is not None and i < 0 for i in each)

    def geometry(self, grid: Grid) -> Select:
        if len(self.indices) > len(grid):
            raise BadGrid(f"{len(self.indices)} indices for {len(grid)} axes")
        padded = (*self.indices, *((None, None, None),) * (len(grid) - len(self.indices)))
        return Select(tuple(_chosen(index, n) for index, n in zip(padded, grid, strict=True)))

    def sample(self) -> Sample:
        return Sample(_slice, (self.indices,))


@dataclass(frozen=True)
class Step(Slice):
    """The item of a sequence at one step of a scan that is written out."""

    steps = True


@dataclass(frozen=True)
class Last(Positional):
    """The last position of each axis."""

    name = "last"

    def geometry(self, grid: Grid) -> Select:
        return Select((-1,) * len(grid))

    def sample(self) -> Sample:
        return Sample(_last)


@dataclass(frozen=True)
class Reverse(Positional):
    """The positions of every axis backwards."""

    name = "reverse"

    def geometry(self, grid: Grid) -> Select:
        return Select(tuple(_chosen((None, None, -1), n) for n in grid))

    def sample(self) -> Sample:
        return Sample(_reverse)


def _chosen(index: tuple[int | None, int | None, int | None] | int, n: int | None) -> tuple[int, ...] | int:
    if n is None:
        raise BadGrid("the number of positions must be known to index them; write it in the input's type")
    if isinstance(index, int):
        if not -n <= index < n:
            raise BadGrid(f"index {index} on an axis of {n} positions")
        return index % n
    found = tuple(range(n)[slice(*index)])
    if not found:
        raise BadGrid("no position is left")
    return found


def _slice(h: Any, indices: Any) -> Any:
    return h[(slice(None), *(i if isinstance(i, int) else slice(*i) for i in indices))]


def _last(h: Any) -> Any:
    return h[(slice(None), *(-1,) * (h.ndim - 2))]


def _reverse(h: Any) -> Any:
    return h[(slice(None), *(slice(None, None, -1),) * (h.ndim - 2))]
