"""Closed forms that cancel at small variances, as E (cos u - 1)(cos v - 1) does, and the Hermite series that is right there.

With f_k as in `hermite`, E f(u) g(v) = sum_k f_k(a) g_k(b) rho^k; f_k falls as a^(k/2) where a is small, so few terms are enough
whatever b is, and each keeps its digits if f does (`near`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import mpmath as mp
import numpy as np
import sympy as sp

from ntkc.gaussian.hermite import coefficients
from ntkc.gaussian.kinks import kinks
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series
from ntkc.gaussian.terms import NotClosed, Z

SIZES, KEPT, DIGITS = (1e-2, 1e-4, 1e-6), 1e-12, 80
"""Variances at which a closed form is asked whether it keeps its digits, to which relative error, against how many."""
LIMITS, TERMS, LEFT, LOSSES = (0.25, 0.1, 0.05, 0.02, 5e-3, 1e-3), (12, 16, 24, 32), 1e-15, 1e-10
"""Variances up to which the series may stand in, its lengths, what it may leave out, relative to sqrt(E f^2 E g^2), and the error
that the closed form may have at the limit."""


@dataclass(frozen=True, slots=True)
class Small:
    """The series that replaces a closed form where a or b is at most `limit`."""

    limit: float
    series: Series


@cache
def cancels(value: sp.Expr) -> bool:
    """Whether an expectation in `A`, `B` and `C`, as written, loses digits at small variances; hyperparameters get numbers."""
    return any(error > KEPT for error in _errors(value, SIZES))


def _errors(value: sp.Expr, sizes: tuple[float, ...]) -> Iterator[float]:
    """Relative ones, in double precision."""
    free = sorted(value.free_symbols - {A, B, C}, key=str)
    given = [0.5 + 0.25 * i for i in range(len(free))]
    plain, exact = (sp.lambdify([A, B, C, *free], value, kind) for kind in (["scipy", "numpy"], "mpmath"))
    with mp.workdps(DIGITS), np.errstate(all="ignore"):
        for size in sizes:
            point = [size, 0.7 * size, 0.5 * size, *given]
            wanted = mp.re(exact(*map(mp.mpf, point)))
            error = float(abs(float(plain(*map(np.float64, point))) - wanted))
            yield (error / float(abs(wanted)) if wanted else np.inf) if error != 0 else 0.0


@cache
def small(law: Expectation) -> Small | None:
    """None where the closed form keeps its digits, or no series stands in: of unknown hyperparameters, or of too slow a fall."""
    if (law.f.free_symbols | law.g.free_symbols) - {Z} or not cancels(law.value):
        return None
    where = tuple(sorted({*kinks(law.f), *kinks(law.g)}, key=sp.default_sort_key))
    for limit in LIMITS:
        for terms in TERMS:
            if all(_left_out(h, limit, where, terms) <= LEFT for h in (law.f, law.g)):
                found = Small(limit, Series(law.f, law.g, terms, (), where))
                return found if max(_errors(law.value, (limit,))) <= LOSSES else None
    return None


def _left_out(function: sp.Expr, variance: float, where: tuple[sp.Expr, ...], terms: int) -> float:
    """The norm of what lies beyond so many terms, over that of the function."""
    try:
        found, square = coefficients(function, variance, where, 2 * max(TERMS))
    except NotClosed:
        return np.inf
    return float(np.sqrt(np.sum(found[terms:] ** 2) / square)) if square else 0.0
