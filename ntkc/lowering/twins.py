"""Theta = K + the rest, where that spares the second moments that K is made of."""

import sympy as sp

from ntkc.ir.recursion import Equation
from ntkc.lowering.sides import Sides


class Twins:
    """The equations for second moments so far, by the pair of nodes."""

    def __init__(self, sides: Sides, parameters: set[sp.Symbol]) -> None:
        self._sides, self._parameters = sides, parameters
        self._of: dict[tuple[int, int], Equation] = {}

    def add(self, step: Equation) -> None:
        kind, p, q, side = step.pair
        if kind == "S" and side == "12":
            self._of[p, q] = step

    def shorter(self, step: Equation) -> sp.Expr:
        """The value of an equation, by the second moment of the same pair if it is one for a tangent."""
        kind, p, q, _ = step.pair
        twin = self._of.get((p, q))
        if kind != "T" or twin is None:
            return step.value
        rest = sp.expand(step.value - twin.value)
        read = self._sides.cross(twin.value, self._parameters)
        return step.value if rest.free_symbols & read else twin.symbol + rest
