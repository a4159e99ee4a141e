"""Functions without a second moment: their sample means would settle nowhere, and look like numbers."""

import numpy as np
import sympy as sp

from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.gaussian.hermite import Unbounded, coefficients
from ntkc.gaussian.terms import Z
from ntkc.ir.network import NonlinearNode
from ntkc.sampling.formulas import Formulas
from ntkc.sampling.value import Array, Value

LARGEST_SHARE = 0.5
"""Of E h^2 in one slice out of many; a function with a second moment does not come near it."""


FEWEST = 100


class Tails:
    """Remembers up to which variance each function has been looked at."""

    def __init__(self) -> None:
        self.seen: dict[sp.Expr, float] = {}

    def check(self, node: NonlinearNode, operand: Value, found: Array, gaussian: bool, formulas: Formulas) -> None:
        """Of one Gaussian value by quadrature; of others, whether a single slice makes most of the sum."""
        variance = float(operand.square().max())
        if gaussian and len(node.symbols) == 1 and variance > 1.5 * self.seen.get(node.function, 0.0):
            self.seen[node.function] = variance
            try:
                coefficients(node.function.subs(formulas.params).subs(node.symbols[0], Z), variance, (), 2)
            except Unbounded as error:
                raise _refusal(node, str(error)) from error
        squares = found**2
        total = squares.sum(1)
        if np.any(squares.max(1) > LARGEST_SHARE * total) and found.shape[1] >= FEWEST:
            raise _refusal(node, f"one of {found.shape[1]} slices makes most of its second moment")


def _refusal(node: NonlinearNode, label: str) -> ArchError:
    message = "this value has no second moment, or one that takes more slices to sample"
    cure = "use a function that grows more slowly, or more samples"
    return ArchError([Diagnostic("heavy-tail", message, node.origin.span, label, cure)])
