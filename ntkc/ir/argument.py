"""How the compiler reads a layer's keyword arguments: the fields of its dataclass."""

from dataclasses import dataclass, field
from typing import Any

import sympy as sp


@dataclass(frozen=True, slots=True)
class Argument:
    """How to read one keyword argument: `kind` is number, optional, size, sizes, choice, axes, name or flag."""

    kind: str
    choices: tuple[str, ...] = ()
    positive: bool = False
    leading: bool = False
    """Whether it may stand after the value without its name."""


def number(default: int | str | None = None, *, positive: bool = False) -> Any:
    """A real number or an expression of hyperparameters."""
    return _argument(Argument("number", positive=positive), sp.Rational(default) if default is not None else ...)


def optional(default: sp.Expr | None = None) -> Any:
    """A real number, or `none`."""
    return _argument(Argument("optional"), default)


def size(default: int | None = None) -> Any:
    """A positive integer known at compile time."""
    return _argument(Argument("size"), default)


def sizes(default: int | str | None = "required") -> Any:
    """A positive integer for every axis, or a tuple of one for each."""
    return _argument(Argument("sizes", leading=default == "required"), ... if default == "required" else default)


def axes() -> Any:
    """Names of axes, the channels by default."""
    return _argument(Argument("axes"), ("channel",))


def given() -> Any:
    """The name of an array that comes with an input at run time."""
    return _argument(Argument("name", leading=True), ...)


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
