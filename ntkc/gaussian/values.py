"""Scalar functions of `Z` at arrays of points."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import sympy as sp

from ntkc.gaussian.terms import Z

Array: TypeAlias = np.ndarray[Any, Any]


def formula_values(function: sp.Expr, z: Array) -> Array:
    """In double precision, as the formula is written, finite or not."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(_callable(function)(z), z.shape)


@cache
def _callable(function: sp.Expr) -> Callable[[Array], Array]:
    found: Callable[[Array], Array] = sp.lambdify(Z, function, ["scipy", "numpy"])
    return found
