"""What a scalar function is: a name in the language and a SymPy formula."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """`formula(z, ...)` on SymPy expressions; the number of its arguments is read off its signature."""

    name: str
    formula: Callable[..., sp.Expr]

    @property
    def arity(self) -> tuple[int, int | None]:
        """Least and greatest number of arguments, None for no limit."""
        parameters = inspect.signature(self.formula).parameters.values()
        fixed = sum(p.kind is not p.VAR_POSITIONAL for p in parameters)
        return fixed, None if len(parameters) > fixed else fixed


def scalar(formula: Callable[..., sp.Expr]) -> ScalarFunction:
    """Makes the function of this name a word of the language."""
    return ScalarFunction(formula.__name__.rstrip("_"), formula)
