"""E f(u) g(v) as a Hermite series, for functions without a closed form.

E f(u) g(v) = sum_k f_k(a) g_k(b) rho^k, with f_k as in `hermite`, rho = c/sqrt(ab) (Mehler 1866). What is left out after K terms
is at most |rho|^K sqrt(tail_f tail_g) by Cauchy and Schwarz, with the tails of `bounds`.

A kink or jump at 0 makes the f_k fall slowly. There f = p + r as in `kinks`, g = q + s, and
E f g = E p q + sum_k (f_k g_k - p_k q_k) rho^k, where only terms with r or s are left out: at most
sqrt(tail_p tail_s) + sqrt(tail_r tail_q) + sqrt(tail_r tail_s).
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import sympy as sp

from ntkc.gaussian.bounds import TERMS, left_out, tails
from ntkc.gaussian.hermite import NODES, coefficients
from ntkc.gaussian.kinks import Damped, damped, kinks
from ntkc.gaussian.terms import NotClosed, Z

GOAL, WORTH = 1e-9, 10
"""An error bound, relative to sqrt(E f^2 E g^2), that needs no more terms; those that make it less than WORTH times smaller are
not taken either."""
LOOSEST = 0.12
"""The largest such bound with which a series is still used; the user is told of it."""
LEAST, LARGEST, RESOLVED = 1e-6, 12, 1e-9
"""The smallest bound that a run minds; the greatest exponent of 4 asked for as a variance; what two quadratures may differ by."""


@dataclass(frozen=True, slots=True)
class Series:
    """The first `terms` of the series, and the bound on the rest at |rho| = 1 for each of the reference variances; `split` holds
    p and q, where the kinks stand apart."""

    f: sp.Expr
    g: sp.Expr
    terms: int
    bounds: tuple[float, ...]
    kinks: tuple[sp.Expr, ...] = ()
    split: tuple[Damped, Damped] | None = None
    trust: tuple[float, float] | None = None
    """The relative bound beyond which a run gives NaN, and the largest variance that quadrature is right for."""

    @property
    def method(self) -> str:
        """In words."""
        return f"{'kink apart, ' if self.split else ''}series of {self.terms} terms"


def series(f: sp.Expr, g: sp.Expr) -> Series:
    """The series of two functions of `Z`, with its error bound measured at the reference variances."""
    for h in (f, g):
        if h.has(sp.DiracDelta):  # of integration by parts
            raise NotClosed("a kink times two values that are correlated with its argument has no closed form")
        if free := h.free_symbols - {Z}:
            names = ", ".join(sorted(map(str, free)))
            raise NotClosed(f"{h} has no closed form, and its series cannot be bounded for unknown {names}")
    where = tuple(sorted({*kinks(f), *kinks(g)}, key=sp.default_sort_key))
    found = [_best(f, g, where, n) for n in range(len(TERMS))]
    worst = [bound for bound, _ in found]
    chosen = next(n for n in range(len(TERMS)) if worst[n] <= max(GOAL, WORTH * min(worst)))
    if worst[chosen] > LOOSEST:
        raise NotClosed(
            f"it has no closed form, and {TERMS[chosen]} terms of its Hermite series may be off by {worst[chosen]:.0%}"
        )
    return replace(found[chosen][1], trust=(max(LEAST, 2 * worst[chosen]), min(_largest(h, where) for h in (f, g))))


def _largest(f: sp.Expr, where: tuple[sp.Expr, ...]) -> float:
    """The largest variance at which quadrature has E f^2; there are larger ones than the bounds are measured at."""
    for variance in (4.0**k for k in range(2, LARGEST)):
        try:
            square, finer = (coefficients(f, variance, where, 2, nodes)[1] for nodes in (NODES, 2 * NODES + 1))
        except NotClosed:
            return variance / 4
        if abs(finer - square) > RESOLVED * square:
            return variance / 4
    return 4.0**LARGEST


def _best(f: sp.Expr, g: sp.Expr, where: tuple[sp.Expr, ...], n: int) -> tuple[float, Series]:
    """The series of `TERMS[n]` terms with the smaller bound, of those with and without kinks apart, and that bound relative to
    sqrt(E f^2 E g^2)."""
    splits: list[tuple[Damped, Damped] | None] = [None]
    p, q = (min(damped(h), key=partial(_loss, h, where, n), default=None) for h in (f, g))
    if p is not None and q is not None:
        splits.append((p, q))
    bounds = {split: _bounds(f, g, where, n, split) for split in splits}
    split = min(bounds, key=lambda split: bounds[split][0])
    return bounds[split][0], Series(f, g, TERMS[n], bounds[split][1], where, split)


def _loss(f: sp.Expr, where: tuple[sp.Expr, ...], n: int, p: Damped) -> float:
    """How good p is for f alone."""
    return _bounds(f, f, where, n, (p, p))[0]


def _bounds(
    f: sp.Expr, g: sp.Expr, where: tuple[sp.Expr, ...], n: int, split: tuple[Damped, Damped] | None
) -> tuple[float, tuple[float, ...]]:
    """The largest relative bound, and the bounds."""
    p, q = split or (None, None)
    sides = list(zip(tails(f, where, p), tails(g, where, q), strict=True))
    found = tuple(left_out(s, t, n) for s, t in sides)
    sizes = [float(np.sqrt(s.square * t.square)) for s, t in sides]
    if not any(sizes):
        raise NotClosed("it has no closed form, and is too small for a series to be computed")
    return max(bound / size for bound, size in zip(found, sizes, strict=True) if size), found
