"""What follows: symbolic equations for second moments, tangent kernels and means between x (side 1) and x' (side 2)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series
from ntkc.ir.geometry import Geometry, Grid
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.network import InputNode, Parameter
from ntkc.ir.normalization import Normalization
from ntkc.ir.sinusoids import Sinusoids
from ntkc.source import Span

diagonal = sp.Function("diagonal")
"""A full table at matching positions."""
zeros = sp.Function("_zeros")
"""zeros(like, sizes...): a table or moment before the first step."""
own_table = sp.Function("own_table")
"""Of a second moment between x and x': the table of x with itself."""
own = sp.Function("own")
"""Of a second moment between x and x': the same of x with itself, at matching positions."""
flat_mean = sp.Function("flat_mean")
"""The mean over matching positions."""
last_present = sp.Function("_last_present")
"""1 at the last position of a mask that is present, 0 elsewhere."""
matching = sp.Function("matching")
"""A table where the positions agree, zero elsewhere."""
SAME = sp.Symbol("same", nonnegative=True)
"""1 where x and x' are the same sample in the same pass (the diagonal of `kernel(x)`), else 0."""


def of_self(symbol: sp.Symbol) -> sp.Symbol:
    """The table of x with itself, of a second moment between x and x'."""
    return sp.Symbol(f"{symbol.name}_self", real=True)


def at_second(symbol: sp.Symbol) -> sp.Symbol:
    """`K3_2` of the moment `K3_1` at x; the same assumptions."""
    return sp.Symbol(f"{symbol.name[:-2]}_2", **symbol.assumptions0)


def given_symbol(name: str, side: str) -> sp.Symbol:
    """What comes with x (side 1) or x' (side 2) under a name."""
    return sp.Symbol(f"given_{name}_{side}", real=True)


def mask_name(name: str) -> str:
    """What the mask of an input is called."""
    return f"mask_{name}"


def map_name(function: str) -> str:
    """The map over positions that a function in an equation applies, to one side or to both."""
    return function.removesuffix("_left").removesuffix("_right").removesuffix("_present")


@dataclass(frozen=True, slots=True)
class Dual:
    """A named E f(u) g(v) as a function of (c, a, b), in closed form or as a certified series."""

    name: str
    law: Expectation | Series


@dataclass(frozen=True, slots=True)
class Equation:
    """`symbol = value` by a rule, with what the rule rests on. `pair` says what it is a moment of: kind, node, node, side.

    Where that is E p p' between x and x', `own` is E p^2 at x.
    """

    symbol: sp.Symbol
    value: sp.Expr
    rule: str
    premises: tuple[str, ...]
    pair: tuple[str, int, int, str]
    span: Span = field(compare=False, repr=False)
    own: sp.Expr | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A quantity carried from turn to turn: its symbol in the body, its value before, after a turn, and its name at the end."""

    symbol: sp.Symbol
    initial: sp.Expr
    following: sp.Expr
    result: sp.Symbol
    pair: tuple[str, int, int, str]
    own: sp.Expr | None = None


@dataclass(frozen=True, slots=True)
class LoopStep:
    index: int
    count: int
    states: tuple[State, ...]
    body: "tuple[Step, ...]"
    span: Span = field(compare=False, repr=False)


Step: TypeAlias = Equation | LoopStep


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    nngp: sp.Expr
    ntk: sp.Expr | None
    refusal: str = ""
    """Why there is no tangent kernel."""

    @property
    def values(self) -> tuple[sp.Expr, ...]:
        """The kernels that there are."""
        return (self.nngp,) if self.ntk is None else (self.nngp, self.ntk)


@dataclass(frozen=True, slots=True)
class Data:
    """<x_i, x_j'>/d of two inputs: `symbols` on the sides 12, 1 and 2."""

    first: InputNode
    second: InputNode
    symbols: tuple[sp.Symbol, sp.Symbol, sp.Symbol]


@dataclass(frozen=True, slots=True)
class GivenArray:
    """What comes with each sample of an input under a name: its adjacency, of shape (positions, positions), or which of its
    positions are present."""

    name: str
    input: InputNode
    rank: int
    """The number of axes."""


@dataclass(frozen=True, slots=True)
class PositionMap:
    """What the names `NAME` (a window, both sides at once), `NAME_left` and `NAME_right` (one side) in equations stand for; a
    mixing matrix has the table of its own coefficients between them, and `NAME_alone` is the mean of sinusoids."""

    name: str
    geometry: Geometry | MixingMatrix | Sinusoids | Normalization
    grid: Grid
    """The index grid it acts on."""

    @property
    def rank(self) -> int:
        return len(self.grid)


@dataclass(frozen=True, slots=True)
class Recursion:
    name: str
    inputs: tuple[InputNode, ...]
    data: tuple[Data, ...]
    parameters: tuple[Parameter, ...]
    duals: tuple[Dual, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    maps: tuple[PositionMap, ...] = ()
    grids: tuple[Grid, ...] = ()
    givens: tuple[GivenArray, ...] = ()
    batches: bool = False
    """Whether x and x' are whole batches, whose samples are the positions."""


def equations(steps: tuple[Step, ...]) -> Iterator[Equation]:
    """Those of all bodies, in order."""
    for step in steps:
        if isinstance(step, Equation):
            yield step
        else:
            yield from equations(step.body)
