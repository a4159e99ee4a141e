"""Products of erfs and Gaussian factors of correlated Gaussian values as functions of their covariances."""

from fractions import Fraction
from typing import Any

import mpmath as mp

from ntkc.gaussian.orthants import moment
from ntkc.verify.translation import functions as fn
from ntkc.verify.translation.field import Field, Unread, Value

EXACT = 4
"""Erfs of which the number has all digits; of more it has those of a double, which still tells it from others."""


def erf_moment(field: Field, bells: int, entries: tuple[Value, ...]) -> Value:
    """E exp(-v_1^2) ... exp(-v_k^2) erf(v_k+1) ... erf(v_n), k = bells, by the upper triangle of the covariance of v."""
    settled = tuple(field.settled(v) for v in entries)
    size = size_of(settled)

    def number() -> Any:
        numbers = [v.number for v in settled]
        found = moment(bells, numbers if size - bells <= EXACT else [float(v) for v in numbers])
        if not mp.isfinite(found) or isinstance(found, mp.mpc):
            raise Unread("covariances of erfs that are no covariances")
        return mp.mpf(found)

    meaning = None if size - bells > 2 else lambda: closed(field, bells, settled)
    return field.apply(f"erf_moment {bells}", settled, number, meaning=meaning)


def size_of(entries: tuple[Any, ...]) -> int:
    """Variables, from the entries of the upper triangle."""
    return int((8 * len(entries) + 1) ** 0.5 - 1) // 2


def closed(field: Field, bells: int, entries: tuple[Value, ...]) -> Value:
    """Of at most two erfs: each factor exp(-v^2) is sqrt(pi) times the density at 0 of v + t, t ~ N(0, 1/2), which leaves a
    Gaussian, and E sign(u) sign(v) is 2/pi times an angle (Sheppard 1899)."""
    size, half = size_of(entries), field.constant(Fraction(1, 2))
    rest = iter(entries)
    table = [[field.zero] * size for _ in range(size)]
    for i in range(size):
        for j in range(i, size):
            table[i][j] = table[j][i] = next(rest) + (half if i == j else field.zero)
    factor = field.constant(1)
    for _ in range(bells):
        over = fn.power(table[0][0], Fraction(-1))
        factor = factor * half * over
        table = [[s - row[0] * table[0][j] * over for j, s in enumerate(row) if j] for row in table[1:]]
    found = fn.power(factor, Fraction(1, 2))
    if size == bells:
        return found
    (a, c), (_, b) = table
    angle = fn.atan2(c, fn.power(a * b - c * c, Fraction(1, 2)))
    return found * angle * fn.power(fn.named_number(field, "pi"), Fraction(-1)).times(Fraction(2))
