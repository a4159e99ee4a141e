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
    jumps: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(sp.expand(derivative)):
        if not term.has(sp.DiracDelta):
            total += term
            continue
        for place, height in _jumps(term, z):
            jumps[place] = jumps.get(place, sp.S.Zero) + height
    if any(sp.simplify(height) != 0 for height in jumps.values()):
        raise Discontinuous(f"{function} jumps, so its derivative is not a function")
    return total


def _jumps(term: sp.Expr, z: sp.Symbol) -> list[tuple[sp.Expr, sp.Expr]]:
    """(place, height) of what has a delta function; pieces that meet have heights that cancel."""
    delta = next(iter(term.atoms(sp.DiracDelta)))
    argument, rest = delta.args[0], term.xreplace({delta: sp.S.One})
    places = sp.solve(argument, z)
    if not places:
        raise Discontinuous(f"a function jumps where {argument} = 0, so its derivative is not a function")
    return [(p, (rest / sp.Abs(sp.diff(argument, z))).subs(z, p)) for p in places]
