"""Hermite series of the code against the sums that they stand for, at points: their coefficients are integrals of the run."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ntkc.backends.exact import callable_of
from ntkc.gaussian.series import Series
from ntkc.ir.recursion import Dual
from ntkc.verify.translation.claim import Claim

VARIANCES, CORRELATIONS = (0.13, 0.7, 3.1), (-0.95, -0.3, 0.0, 0.6, 0.999)
"""Within the variances for which the derivation states a bound."""
TOLERANCE = 1e-10


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
