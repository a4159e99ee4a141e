"""Hermite series of the code against what they stand for, at points: their coefficients are integrals of the run."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import mpmath as mp
import numpy as np
import sympy as sp

from ntkc.backends.exact import callable_of
from ntkc.gaussian.hermite import coefficients
from ntkc.gaussian.series import Series
from ntkc.gaussian.small import Small
from ntkc.ir.recursion import Dual
from ntkc.verify.translation.claim import Claim

VARIANCES, CORRELATIONS = (0.13, 0.7, 3.1), (-0.95, -0.3, 0.0, 0.6, 0.999)
"""Within the variances for which the derivation states a bound."""
TOLERANCE = 1e-10
FRACTIONS, DIGITS = (0.99, 1e-2, 1e-5, 1e-10), 100
"""Of the limit up to which a series stands in for a closed form, and the digits of the closed form there."""


def summed(label: str, dual: Dual, emitted: Callable[..., Any]) -> Claim:
    """In double precision, at every pair of variances and correlation."""
    assert isinstance(dual.law, Series)
    a, b, rho = np.array(list(itertools.product(VARIANCES, VARIANCES, CORRELATIONS))).T
    c = rho * np.sqrt(a * b)
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(emitted)(c, a, b))
    wanted = callable_of(dual, {}, float)(c, a, b)
    gap = float(np.max(np.abs(found - wanted)) / np.max(np.abs(wanted)))
    detail = f"{dual.law.method}, to {gap:.0e} at {c.size} points; the derivation bounds what it leaves out"
    return Claim(label, "checked" if gap < TOLERANCE else "FAILED", detail)


def stood_in(label: str, dual: Dual, small: Small, emitted: Callable[..., Any]) -> Claim:
    """Where one variance is small or both are, relative to the roots of both second moments."""
    series, sizes = small.series, [small.limit * part for part in FRACTIONS]
    points = [(rho, a, b) for a in sizes for b in (*sizes, *VARIANCES) for rho in CORRELATIONS]
    with mp.workdps(DIGITS):
        exact = callable_of(dual, {}, mp.mpf)
        triples = [(mp.mpf(rho) * mp.sqrt(mp.mpf(a) * b), mp.mpf(a), mp.mpf(b)) for rho, a, b in points]
        wanted = [(exact(c, a, b), _norm(series.f, series, a) * _norm(series.g, series, b)) for c, a, b in triples]
        with jax.enable_x64(True):
            found = np.asarray(jax.jit(emitted)(*np.array(triples, dtype=float).T))
        gap = max(float(abs(v - w) / size) for v, (w, size) in zip(found.tolist(), wanted, strict=True))
    detail = f"its closed form cancels; {series.method}, to {gap:.0e} at {len(points)} points"
    return Claim(f"{label} where a or b <= {small.limit}", "checked" if gap < TOLERANCE else "FAILED", detail)


def _norm(function: sp.Expr, series: Series, variance: mp.mpf) -> float:
    return float(np.sqrt(coefficients(function, float(variance), series.kinks, 1)[1]))
