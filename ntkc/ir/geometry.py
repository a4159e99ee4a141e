"""How the positions of a layer's output read those of its input, axis by axis.

A `Window` has independent weights at each tap: both sides of a second moment move together. A `Linear` map has the same fixed
coefficients for all channels: each side moves by itself. A `Select` reads one position each, so it may be taken as either.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Grid: TypeAlias = tuple[int | None, ...]
Index: TypeAlias = list[int | None]


class BadGrid(Exception):
    """The layer cannot stand on this index grid; says why."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a window: taps at stride * p + dilation * k - low, or those of the transposed convolution."""

    size: int
    stride: int = 1
    dilation: int = 1
    padding: str = "same"
    transposed: bool = False

    def length(self, n: int | None) -> int | None:
        """Number of output positions."""
        if n is None:
            if self.stride == 1 and self.padding != "valid" and not self.transposed:
                return None
            raise BadGrid(
                "the number of positions must be known for a stride or for `valid` padding; write it in the input's type"
            )
        reach = (self.size - 1) * self.dilation + 1
        if self.transposed:
            return n * self.stride + (max(reach - self.stride, 0) if self.padding == "valid" else 0)
        if self.padding == "valid":
            if n < reach:
                raise BadGrid(f"a window of {reach} positions does not fit into {n}")
            return (n - reach) // self.stride + 1
        return -(-n // self.stride)


@dataclass(frozen=True, slots=True)
class Window:
    """Taps of a convolution."""

    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """Sums over windows; `average` divides by the full window, or with `normalize` by the taps in range."""

    axes: tuple[Axis, ...]
    average: bool
    normalize: bool = False


@dataclass(frozen=True, slots=True)
class GlobalPool:
    """Sum or mean over all positions."""

    average: bool


@dataclass(frozen=True, slots=True)
class Select:
    """Positions by index on each axis; an integer takes the axis away."""

    axes: tuple[tuple[int, ...] | int, ...]

    @property
    def dropped(self) -> int:
        """How many axes it takes away."""
        return sum(isinstance(axis, int) for axis in self.axes)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix of fixed coefficients (out, in) on each axis; None leaves the axis alone."""

    axes: tuple[tuple[tuple[Fraction, ...], ...] | None, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """The position before, zero at the first: what a scan carries on."""


@dataclass(frozen=True, slots=True)
class Start:
    """A vector at the first of so many positions, zero at the others: where a scan begins."""

    count: int


@dataclass(frozen=True, slots=True)
class Given:
    """Coefficients that come with each sample at run time, such as the adjacency of a graph: y_t = sum over s of A[s, t] h_s."""

    name: str


Linear: TypeAlias = Pool | GlobalPool | Select | Matrix | Shift | Start | Given
Geometry: TypeAlias = Window | Linear


def counts_present(geometry: Geometry | None) -> bool:
    """Whether it divides by how many positions it reads, of which absent ones are none."""
    return (isinstance(geometry, Pool) and geometry.average and geometry.normalize) or geometry == GlobalPool(average=True)


def linear_grid(geometry: Geometry, grid: Grid) -> Grid:
    """What a map makes of an index grid."""
    match geometry:
        case GlobalPool():
            return ()
        case Select(axes=axes):
            return tuple(len(a) for a in axes if not isinstance(a, int))
        case Matrix(axes=axes):
            return tuple(n if a is None else len(a) for a, n in zip(axes, grid, strict=True))
        case Start(count=count):
            return (count,)
        case Shift() | Given():
            return grid
        case Pool(axes=windows) | Window(axes=windows):
            return tuple(axis.length(n) for axis, n in zip(windows, grid, strict=True))


def on_axes(value: int | tuple[int, ...], grid: Grid, what: str) -> tuple[int, ...]:
    """One number for each axis."""
    if isinstance(value, int):
        return (value,) * len(grid)
    if len(value) != len(grid):
        raise BadGrid(f"{what} has {len(value)} numbers for {len(grid)} axes")
    return value
