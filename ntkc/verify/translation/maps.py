"""Maps over positions of exact values."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath as mp
import numpy as np

from ntkc.backends import matrices
from ntkc.ir.geometry import Geometry, Given, Pool, Window
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.recursion import PositionMap
from ntkc.verify.translation import functions as fn
from ntkc.verify.translation.expression import everywhere
from ntkc.verify.translation.field import Unread, Value

Array: TypeAlias = Any
Settle: TypeAlias = Callable[[Value], Value]


def applied(
    geometry: Geometry | MixingMatrix, grid: Sequence[int], x: Array, sides: list[int], zero: Value, settle: Settle
) -> Array:
    """A map on the given sides of a table; a window moves both at once."""
    if isinstance(geometry, MixingMatrix | Given):
        raise Unread("a mixing matrix")
    if isinstance(geometry, Window):
        return _windowed(x, matrices.taps(geometry, grid), zero, settle)
    rows = np.array([[_fraction(k) for k in row] for row in matrices.matrix(geometry, grid)], dtype=object)
    for side in sides:
        moved = np.moveaxis(x, side, 0)
        found = np.empty((len(rows), *moved.shape[1:]), dtype=object)
        for index in np.ndindex(*found.shape):
            terms = [v.times(k) for k, v in zip(rows[index[0]], moved[(slice(None), *index[1:])], strict=True) if k]
            found[index] = settle(sum(terms, zero))
        x = np.moveaxis(found, 0, side)
    return x


def _fraction(k: Any) -> Fraction:
    """A coefficient, which the reference has to 60 digits."""
    sign, man, exp, _ = k._mpf_
    whole = Fraction(man) * Fraction(2) ** exp * (-1) ** sign
    found = whole.limit_denominator(10**6)
    if abs(found - whole) > Fraction(1, 10**45):
        raise Unread("a coefficient of a map over positions")
    return Fraction(found)


def _windowed(x: Array, taps: list[list[int | None]], zero: Value, settle: Settle) -> Array:
    """Sum over taps of x at the positions that they read, on all sides; None reads 0."""
    count = len(taps[0])
    found = np.empty((count,) * x.ndim, dtype=object)
    for index in np.ndindex(*found.shape):
        reads = [[tap[p] for p in index] for tap in taps]
        found[index] = settle(sum((x[tuple(r)] for r in reads if None not in r), zero))
    return found


def matrix_of(mix: Array, x: Array, side: int, zero: Value, settle: Settle) -> Array:
    """A matrix of values on one side."""
    moved = np.moveaxis(x, side, 0)
    found = np.empty((len(mix), *moved.shape[1:]), dtype=object)
    for index in np.ndindex(*found.shape):
        found[index] = settle(sum((k * v for k, v in zip(mix[index[0]], moved[(slice(None), *index[1:])], strict=True)), zero))
    return np.moveaxis(found, 0, side)


def matching(table: Array, zero: Value) -> Array:
    """A table where the positions agree, zero elsewhere."""
    return everywhere(lambda i, v: v if i else zero, np.eye(len(table), dtype=int), table)


def mean_of_matching(x: Array, zero: Value) -> Array:
    """Over matching positions of a table, or over the positions of one sample."""
    values = np.diagonal(x) if x.ndim == 2 else x
    return np.full((1,) * x.ndim, sum(values, zero).times(Fraction(1, len(values))), dtype=object)


def presence(found: PositionMap, mask: Array) -> Array:
    """Which positions are present after a map."""
    assert isinstance(found.geometry, Window | Pool)
    numbers = np.array([int(v.number) for v in mask])
    field = mask[0].field
    return np.array([field.constant(int(v)) for v in matrices.present_after(found.geometry, numbers)], dtype=object)


def last_present(mask: Array) -> Array:
    """1 at the last position that is present."""
    last = max(i for i, v in enumerate(mask) if v.number)
    return np.array([v if i == last else v.field.zero for i, v in enumerate(mask)], dtype=object)


def mixed(geometry: MixingMatrix, table: Array, mask: Array | None, scale: Value, shift: Value) -> Array:
    """Attention coefficients of a sample."""
    n, field = len(table), scale.field
    found = np.full((n, n), field.zero, dtype=object)
    for p in range(n):
        seen = [q for q in range(p + 1 if geometry.causal else n) if mask is None or mask[q].number]
        logits = [scale * table[p, q] + (shift if p == q else field.zero) for q in seen]
        weights = [_mechanism(geometry.mechanism, x) for x in logits]
        if geometry.mechanism == "softmax" and weights:
            over = fn.power(field.settled(sum(weights, field.zero)), Fraction(-1))
            weights = [w * over for w in weights]
        for q, w in zip(seen, weights, strict=True):
            found[p, q] = field.settled(w)
    return found


def _mechanism(name: str, x: Value) -> Value:
    if name == "softmax":
        return fn.exp(x)
    if name == "abs":
        return fn.absolute(x)
    return x if name == "identity" or x.number > 0 else x.field.constant(mp.mpf(0) == 1)
