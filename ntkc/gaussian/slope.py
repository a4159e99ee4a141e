"""The derivative of a scalar function as a function; refused where it jumps."""

import sympy as sp

from ntkc.gaussian.terms import NotClosed


class Discontinuous(NotClosed):
    """The function jumps, so its derivative is not a function."""


def slope(function: sp.Expr, z: sp.Symbol) -> sp.Expr:
    """df/dz without the points where f has a kink."""
    derivative = sp.diff(function, z)
    if not derivative.has(sp.DiracDelta):
        return derivative
    total: sp.Expr = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(derivative)):
        if not term.has(sp.DiracDelta):
            total += term
        elif not _vanishes(term, z):
            raise Discontinuous(f"{function} jumps, so its derivative is not a function")
    return total


def _vanishes(term: sp.Expr, z: sp.Symbol) -> bool:
    deltas = list(term.atoms(sp.DiracDelta))
    roots = sp.solve(deltas[0].args[0], z)
    rest = term.xreplace({deltas[0]: sp.S.One})
    return bool(roots) and all(sp.simplify(rest.subs(z, root)) == 0 for root in roots)
