"""Floating point numbers of the code as the exact numbers that they stand for."""

import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import sympy as sp

SEARCH = 10_000


class Named(float):
    """A float that knows which number it is; arithmetic of Python keeps that."""

    exact: sp.Expr

    def __new__(cls, exact: sp.Expr) -> "Named":
        found = super().__new__(cls, float(exact))
        found.exact = exact
        KNOWN[float(found)] = exact
        return found


KNOWN: dict[float, sp.Expr] = {}
"""What floats came out of such arithmetic."""


def rational(x: float) -> Fraction:
    """The simplest number that rounds to it: a short decimal, a quotient of small integers, or itself."""
    short = Fraction(repr(x))
    if len(str(abs(short.numerator)).rstrip("0")) <= 9:
        return short
    near = Fraction(x).limit_denominator(SEARCH)
    return near if near.numerator / near.denominator == x else Fraction(x)


def exact(x: float) -> sp.Expr:
    """A float literal of the code."""
    found = KNOWN.get(x)
    return found if found is not None else sp.Rational(rational(x))


def _exact(x: Any) -> sp.Expr:
    return x.exact if isinstance(x, Named) else exact(float(x))


def _operator(name: str) -> Any:
    def run(self: Named, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return Named(getattr(_exact(self), name)(_exact(other)))

    return run


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "rpow"):
    setattr(Named, f"__{_name}__", _operator(f"__{_name}__"))
Named.__neg__ = lambda self: Named(-_exact(self))  # type: ignore[method-assign]


def _function(f: Any) -> Any:
    return lambda x: Named(f(_exact(x)))


def exact_math() -> SimpleNamespace:
    """`math` whose numbers know what they are."""
    functions = {name: _function(getattr(sp, name)) for name in ("sqrt", "exp", "log", "erf", "sin", "cos")}
    return SimpleNamespace(**{**vars(math), **functions, "pi": Named(sp.pi), "e": Named(sp.E)})
