"""Functions whose formula cancels near 0, as exp(z) - 1 does: Taylor polynomials there, one for each side.

Small inputs make small arguments, and then a kernel would have the digits that the formula has left.
"""

from dataclasses import dataclass
from functools import cache

import mpmath as mp
import numpy as np
import sympy as sp

from ntkc.gaussian.kinks import nearest_kink, pieces
from ntkc.gaussian.terms import Z
from ntkc.gaussian.values import Array, formula_values

DEGREE, RADII, DIGITS = 24, (0.5, 0.25, 0.125, 0.0625), 80
"""Of the polynomials; how far they may reach; of what they are fitted to."""
PROBES, KEPT, EXACT = (1e-2, 1e-3, 1e-4), 1e-14, 2e-16
"""Where a formula is asked whether it keeps its digits, to which relative error; that of a polynomial."""


@dataclass(frozen=True, slots=True)
class Near:
    """Coefficients of the polynomials for 0 <= z < radius and for -radius < z < 0, in rising order."""

    radius: float
    above: tuple[float, ...]
    below: tuple[float, ...]

    def values(self, z: Array) -> Array:
        return np.where(z >= 0, np.polynomial.polynomial.polyval(z, self.above), np.polynomial.polynomial.polyval(z, self.below))


def values_of(function: sp.Expr, z: Array) -> Array:
    """At points, finite or not, with the digits that the formula loses near 0."""
    found, polynomial = formula_values(function, z), near(function)
    if polynomial is None:
        return found
    small = np.abs(z) < polynomial.radius
    return np.where(small, polynomial.values(np.where(small, z, 0)), found)


@cache
def near(function: sp.Expr) -> Near | None:
    """None where the formula keeps its digits, or has no Taylor series on each side of 0."""
    if function.free_symbols - {Z} or function.is_polynomial(Z):
        return None
    try:
        with mp.workdps(DIGITS):
            exact = sp.lambdify(Z, function, "mpmath")
            if all(_keeps(function, exact, sign * mp.mpf(t)) for t in PROBES for sign in (1, -1)):
                return None
            sides = [sp.lambdify(Z, piece, "mpmath") for piece in pieces(function) or (function, function)]
            above, below = (tuple(_coefficient(k) for k in mp.taylor(side, mp.mpf(0), DEGREE)) for side in sides)
            tries = (Near(radius, above, below) for radius in RADII if radius < nearest_kink(function))
            return next((found for found in tries if _exact(found, exact)), None)
    except (ArithmeticError, ValueError, TypeError):
        return None


def _keeps(function: sp.Expr, exact: mp.mpf, t: mp.mpf) -> bool:
    wanted = mp.re(exact(t))
    return bool(abs(float(formula_values(function, np.array([float(t)]))[0]) - wanted) <= KEPT * abs(wanted))


def _coefficient(k: mp.mpf) -> float:
    return 0.0 if abs(k) < mp.mpf(10) ** (-DIGITS // 3) else float(mp.re(k))


def _exact(found: Near, exact: mp.mpf) -> bool:
    points = [sign * found.radius * part for part in (1e-3, 0.1, 0.3, 0.6, 0.8, 0.999) for sign in (1, -1)]
    values = found.values(np.array(points))
    return all(abs(v - mp.re(exact(mp.mpf(t)))) <= 4 * EXACT * abs(exact(mp.mpf(t))) for t, v in zip(points, values, strict=True))
