"""What to compute: single-assignment array code, first for each sample with itself, then for pairs of samples.

In the pair part a name with `_1` belongs to x (a column), one with `_2` to x' (a row); both are results of the sample part.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from ntkc.gaussian.series import Series
from ntkc.gaussian.small import Small
from ntkc.ir.network import InputNode, Network, Parameter
from ntkc.ir.recursion import Data, GivenArray, Output, PositionMap
from ntkc.source import Span


@dataclass(frozen=True, slots=True)
class Assign:
    """`symbol = value`; with `on_diagonal`, that one instead where x and x' are the same sample."""

    symbol: sp.Symbol
    value: sp.Expr
    on_diagonal: sp.Expr | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Carry:
    """A loop variable, its value before, after a turn, and its name afterwards."""

    symbol: sp.Symbol
    initial: sp.Expr
    following: sp.Expr
    result: sp.Symbol


def above(table: sp.Symbol) -> sp.Symbol:
    """The cell (t - 1, r) of a table that a scan carries."""
    return sp.Symbol(f"{table.name}_above", real=True)


def beside(table: sp.Symbol) -> sp.Symbol:
    """The cell (t, r - 1)."""
    return sp.Symbol(f"{table.name}_beside", real=True)


def corner(table: sp.Symbol) -> sp.Symbol:
    """The cell (t - 1, r - 1)."""
    return sp.Symbol(f"{table.name}_corner", real=True)


@dataclass(frozen=True, slots=True)
class Cells:
    """A loop over the cells (t, r) of tables: those from outside that it may read, and the moments of x by t, which have
    counterparts of x' by r."""

    count: int
    tables: tuple[sp.Symbol, ...]
    moments: tuple[sp.Symbol, ...]


@dataclass(frozen=True, slots=True)
class For:
    """Loops of the sample part and of the pair part with the same index are turns of the same loop. With `cells` the body is of
    one cell, and a carry's symbol is read by its neighbours `above`, `beside` and `corner`, which start from 0."""

    index: int
    count: int
    carries: tuple[Carry, ...]
    body: "tuple[Instruction, ...]"
    span: Span | None = field(default=None, compare=False, repr=False)
    cells: Cells | None = None

    def reads_of(self, carry: Carry) -> set[sp.Symbol]:
        """The names by which the body reads a carry."""
        return {carry.symbol, *(f(carry.symbol) for f in (above, beside, corner))} if self.cells else {carry.symbol}


Instruction: TypeAlias = Assign | For
Coefficients: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Polynomials:
    """even(z) + sqrt(z) odd(z), z = d near 0 and 1 - d near 1, z <= 1/2; coefficients for float32 and for float64."""

    near_even: Coefficients
    near_odd: Coefficients
    far_even: Coefficients
    far_odd: Coefficients


@dataclass(frozen=True, slots=True)
class Curve:
    """A function of d = (1 - correlation)/2: a sum of polynomials with hyperparameters as factors."""

    terms: tuple[tuple[sp.Expr, Polynomials], ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """A function of scalars that the code calls by name: E f(u) g(v) of (c, a, b), or a curve of d and 1 - d."""

    name: str
    arguments: tuple[sp.Symbol, ...]
    value: sp.Expr | Series | Curve
    describes: str
    small: Small | None = None
    """What stands in for a closed form that cancels where variances are small."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """The kernels are (|x| |x'| / d)^degree times functions of the angle alone, smooth enough for a series of `terms` terms."""

    degree: int
    depth: int
    terms: int


@dataclass(frozen=True, slots=True)
class Program:
    """`gaps` names d and 1 - d of each input where the pair part starts from the angle; else it starts from second moments."""

    name: str
    network: Network
    inputs: tuple[InputNode, ...]
    data: tuple[Data, ...]
    givens: tuple[GivenArray, ...]
    gaps: bool
    layout: str
    """vectors (no positions), matched (matching positions only) or pairs (tables over all pairs of positions)."""
    tables: bool
    """Whether the sample part needs x with itself between all its positions."""
    parameters: tuple[Parameter, ...]
    definitions: tuple[Definition, ...]
    maps: tuple[PositionMap, ...]
    sample: tuple[Instruction, ...]
    pair: tuple[Instruction, ...]
    exports: tuple[tuple[str, ...], ...]
    """Names of the sample part's results that the pair part reads: those outside of loops, then those of each loop by index."""
    outputs: tuple[Output, ...]
    collapse: Collapse | None = None
    batches: bool = False
    """Whether samples are whole batches."""
