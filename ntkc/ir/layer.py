"""What a layer is: its parameters, its rules for K and Theta, and its finite-width sample.

A layer is a frozen dataclass whose fields are its keyword arguments, each made by `number`, `size`, `choice` or `flag`, which
tell the compiler how to read and check what the user wrote. An instance is one use with its arguments resolved.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import sympy as sp


@dataclass(frozen=True, slots=True)
class Argument:
    """How to read one keyword argument: `kind` is number, optional, size, choice or flag."""

    kind: str
    choices: tuple[str, ...] = ()
    positive: bool = False


def number(default: int | str | None = None, *, positive: bool = False) -> Any:
    """A real number or an expression of hyperparameters."""
    return _argument(Argument("number", positive=positive), sp.Rational(default) if default is not None else ...)


def optional(default: sp.Expr | None = None) -> Any:
    """A real number, or `none`."""
    return _argument(Argument("optional"), default)


def size(default: int | None = None) -> Any:
    """A positive integer known at compile time."""
    return _argument(Argument("size"), default)


def choice(*choices: str) -> Any:
    """One of several words, the first by default."""
    return _argument(Argument("choice", choices), choices[0])


def flag(default: bool = False) -> Any:
    """`true` or `false`."""
    return _argument(Argument("flag"), default)


def inherited(*choices: str) -> Any:
    """One of several words; None means: as the option of the architecture says."""
    return _argument(Argument("choice", choices), None)


def _argument(argument: Argument, default: object) -> Any:
    metadata = {"argument": argument}
    return field(metadata=metadata) if default is ... else field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Moments:
    """What a linear rule may use of its operand h on one side: E h^2 and E h there, as symbols of the recursion."""

    square: sp.Expr
    mean: sp.Expr


@dataclass(frozen=True)
class Layer(ABC):
    """Common to all layers: a name in the language and a sentence of documentation with its source."""

    name: ClassVar[str]

    def problem(self) -> str:
        """Why these arguments make no sense together, or nothing."""
        return ""


@dataclass(frozen=True)
class Weighted(Layer):
    """A layer with zero-mean Gaussian weights over channels: its output is Gaussian.

    `fan_in` is the nominal number of input channels, set by the compiler under the standard parameterization only.
    """

    @abstractmethod
    def moment(self, square: sp.Expr) -> sp.Expr:
        """K of the output from the second moment S of the operand, where both sides use the same weights."""

    @abstractmethod
    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        """Theta of the output from the second moment S and the tangent moment T of the operand."""

    @abstractmethod
    def sample(self) -> "Sample":
        """The finite-width layer."""


@dataclass(frozen=True)
class Map(Layer):
    """A layer y = (h - shift) * factor whose shift and factor are deterministic functions of h's own moments."""

    centers: ClassVar[bool] = False
    """Whether the mean over channels is subtracted."""
    keeps_gaussian: ClassVar[bool] = True

    @abstractmethod
    def factor(self, own: Moments) -> sp.Expr:
        """What h is multiplied by, from its moments at the same input."""

    def coincident(self) -> sp.Expr:
        """What multiplies S and T of y with itself where both sides are the same sample in the same pass."""
        return sp.S.One

    @abstractmethod
    def sample(self) -> "Sample":
        """The finite-width layer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The finite layer in JAX: the name of a function in `backends/finite.py`, and its arguments after (weights, operand)."""

    function: str
    arguments: tuple[sp.Expr | bool | int | None, ...] = ()
