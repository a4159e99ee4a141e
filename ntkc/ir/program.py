"""What to compute: single-assignment array code over three shapes, (n1, n2) for pairs, (n1, 1) and (1, n2) for samples."""

from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from ntkc.gaussian.series import Series
from ntkc.ir.network import InputNode, Network, Parameter
from ntkc.ir.recursion import Data, Output
from ntkc.source import Span


@dataclass(frozen=True, slots=True)
class Assign:
    """`symbol = value`; with `on_diagonal`, that one instead where x and x' are the same sample."""

    symbol: sp.Symbol
    value: sp.Expr
    on_diagonal: sp.Symbol | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Carry:
    """A loop variable, its value before, after a turn, its name afterwards, and the data symbol whose shape it has."""

    symbol: sp.Symbol
    initial: sp.Expr
    following: sp.Expr
    result: sp.Symbol
    shape: sp.Symbol


@dataclass(frozen=True, slots=True)
class For:
    count: int
    carries: tuple[Carry, ...]
    body: "tuple[Instruction, ...]"
    span: Span | None = field(default=None, compare=False, repr=False)


Instruction: TypeAlias = Assign | For


@dataclass(frozen=True, slots=True)
class Definition:
    """A function of scalars that the code calls by name: E f(u) g(v) of (c, a, b), or E f(u) of a."""

    name: str
    arguments: tuple[sp.Symbol, ...]
    value: sp.Expr | Series
    describes: str


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    network: Network
    inputs: tuple[InputNode, ...]
    data: tuple[Data, ...]
    parameters: tuple[Parameter, ...]
    definitions: tuple[Definition, ...]
    body: tuple[Instruction, ...]
    outputs: tuple[Output, ...]
