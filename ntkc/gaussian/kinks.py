"""Functions of which the pieces meet at 0: the pieces, and damped polynomials with the same kink or jump there.

f = p + r with p(z) = H(z) exp(-s z^2) (p_0 + p_1 z + ... + p_N z^N) and the p_k such that N derivatives of r have no jump: then
the Hermite coefficients of r fall fast. E p(u) q(v) of two such functions is known (Stein's lemma lowers the powers). The damping
keeps p bounded whatever the variance.
"""

from dataclasses import dataclass
from functools import cache

import mpmath as mp
import numpy as np
import sympy as sp

from ntkc.gaussian.terms import Z
from ntkc.gaussian.values import Array, formula_values

ORDER, RATES = 8, (0.25, 0.5, 1.0)
"""N, and the values of s to choose from."""
DIGITS, LARGEST = 40, 1e6
DISTANCES = np.concatenate([np.geomspace(1e-4, 0.1, 40), np.linspace(0.1, 60, 400)])
"""Where signs are looked at to find the pieces; the value of a series never rests on them, only how fast it converges."""
_PIECEWISE = (sp.Piecewise, sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside)


@dataclass(frozen=True, slots=True)
class Damped:
    """p by its s and its p_0 ... p_N."""

    rate: float
    powers: tuple[float, ...]

    def values(self, z: Array, order: int = 0) -> Array:
        """A derivative of p, without what is concentrated at 0."""
        polynomial = np.polynomial.Polynomial(self.powers)
        for _ in range(order):
            polynomial = polynomial.deriv() - np.polynomial.Polynomial((0.0, 2 * self.rate)) * polynomial
        return np.where(z > 0, polynomial(z) * np.exp(-self.rate * z**2), 0.0)


@cache
def pieces(function: sp.Expr, up_to: float = np.inf) -> tuple[sp.Expr, sp.Expr] | None:
    """The functions that it is for 0 < z < up_to and for -up_to < z < 0, if it has no kink there but at 0."""
    near = DISTANCES[up_to > DISTANCES]
    try:
        return _piece(function, near), _piece(function, -near)
    except _Elsewhere:
        return None


def kinks(function: sp.Expr) -> set[sp.Expr]:
    """Points where a piece of the function changes."""
    found = pieces(function)
    if found is not None:
        return {sp.S.Zero} if function.has(*_PIECEWISE) and found[0] != found[1] else set()
    arguments = {h.args[0] for h in function.atoms(sp.Heaviside, sp.Abs, sp.sign)}
    arguments |= {a - b for m in function.atoms(sp.Max, sp.Min) for a in m.args for b in m.args if a != b}
    for piece in function.atoms(sp.Piecewise):
        arguments |= {c.gts - c.lts for _, c in piece.args if isinstance(c, sp.core.relational.Relational)}
    roots = {root for argument in arguments if argument.has(Z) for root in _roots(argument)}
    return {root for root in roots if root.is_real and root.is_number}


def nearest_kink(function: sp.Expr) -> float:
    """How far from 0 a piece changes, other than at 0; infinite where none does."""
    return min((abs(float(k)) for k in kinks(function) if k != 0), default=float("inf"))


@cache
def damped(function: sp.Expr) -> tuple[Damped, ...]:
    """One p for each rate; none where there is no kink or no Taylor series at 0. Kinks elsewhere stay in r."""
    found = pieces(function) or pieces(function, nearest_kink(function))
    if found is None or found[0] == found[1]:
        return ()
    try:
        with mp.workdps(DIGITS):
            above, below = (mp.taylor(sp.lambdify(Z, piece, "mpmath"), mp.mpf(0), ORDER) for piece in found)
            jumps = [s - t for s, t in zip(above, below, strict=True)]
            choices = tuple(Damped(rate, _powers(jumps, rate)) for rate in RATES)
    except (ArithmeticError, ValueError, TypeError):
        return ()
    return choices if all(0 < max(map(abs, choice.powers)) < LARGEST for choice in choices) else ()


def _powers(jumps: list[mp.mpf], rate: float) -> tuple[float, ...]:
    """Taylor coefficients at 0 times exp(rate z^2)."""
    products = ([jumps[i - 2 * j] * rate**j / mp.factorial(j) for j in range(i // 2 + 1)] for i in range(ORDER + 1))
    return tuple(float(k) if abs(k) > mp.mpf(10) ** (-DIGITS // 2) else 0.0 for k in map(mp.fsum, products))


class _Elsewhere(Exception):
    """A piece changes at a point other than 0."""


def _piece(function: sp.Expr, at: Array) -> sp.Expr:
    """The function at points on one side of 0, its steps, moduli and maxima decided."""

    def decided(node: sp.Expr) -> sp.Expr:
        x = node.args[0]
        if isinstance(node, sp.Piecewise):
            return next(value for value, condition in node.args if _holds(condition, at))
        if isinstance(node, sp.Max | sp.Min):
            best, *others = node.args if isinstance(node, sp.Max) else [-arg for arg in node.args]
            for other in others:
                best = best if _sign(best - other, at) > 0 else other
            return best if isinstance(node, sp.Max) else -best
        sign = sp.Integer(_sign(x, at))
        return sign * x if isinstance(node, sp.Abs) else sign if isinstance(node, sp.sign) else (sign + 1) / 2

    return function.replace(lambda e: isinstance(e, _PIECEWISE) and e.has(Z), decided)


def _holds(condition: sp.Basic, at: Array) -> bool:
    if condition in (sp.true, sp.false):
        return bool(condition)
    if not isinstance(condition, sp.core.relational.Relational):
        raise _Elsewhere
    return _sign(condition.gts - condition.lts, at) > 0


def _sign(x: sp.Expr, at: Array) -> int:
    """Of a function on one side of 0, as far as its values at some points tell."""
    if x.free_symbols - {Z}:
        raise _Elsewhere
    values = formula_values(x, at)
    if not values.size or not np.isfinite(values).all() or (values.min() < 0 < values.max()):
        raise _Elsewhere
    return 1 if values.max() > 0 else -1


def _roots(argument: sp.Expr) -> list[sp.Expr]:
    try:
        return list(sp.solve(argument, Z))
    except NotImplementedError:
        return _seen(argument)


def _seen(argument: sp.Expr) -> list[sp.Expr]:
    """Where a function changes its sign between the points that are looked at."""
    points = np.concatenate([-DISTANCES[::-1], DISTANCES])
    signs = np.sign(formula_values(argument, points))
    at = sp.lambdify(Z, argument, "mpmath")
    pairs = [(points[i], points[i + 1]) for i in np.flatnonzero(signs[1:] * signs[:-1] < 0)]
    return [sp.S.Zero if x < 0 < y else sp.Float(float(mp.findroot(at, (x, y), solver="anderson"))) for x, y in pairs]
