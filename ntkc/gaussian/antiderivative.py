"""Antiderivatives in c over the span of `c^i S^j T^t`, S = sqrt(p - q c^2), T = integral of dc/S = asin(c sqrt(q/p))/sqrt(q).

Every integrand of a Price chain lives in this span, and so does its antiderivative; j is odd, or t = 1 and then j = 0. The
coefficients are polynomials of `RING`, whose p and q stay symbols while integrating: only a, b, p and q are ever divided by, so
negative exponents do, and no greatest common divisor is looked for.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

import sympy as sp

RING, VARIANCE_U, VARIANCE_V, P, Q, SCALE_U, SCALE_V = sp.ring("a, b, p, q, g, h", sp.QQ)
"""Of the variances a, b of u and v, of p and q, and of the squared scales g, h of their erfs."""

Rational: TypeAlias = Any
"""An element of `RING`, exponents of either sign (SymPy has no public type for it)."""
Key = tuple[int, int, int]
Span = dict[Key, Rational]
"""Coefficient of c^i S^j T^t for each key (i, j, t)."""


def antiderivative(integrand: Span) -> Span:
    """An antiderivative in c."""
    return add(scale(_integral(key), k) for key, k in integrand.items())


def add(parts: Iterable[Span]) -> Span:
    """The sum, without zero entries."""
    total: Span = {}
    for part in parts:
        for key, k in part.items():
            total[key] = total.get(key, RING.zero) + k
    return {key: k for key, k in total.items() if k != 0}


def inverse(symbol: Rational) -> Rational:
    """1 over a generator."""
    ((monomial, _),) = symbol.terms()
    return RING.from_dict({tuple(-n for n in monomial): sp.QQ(1)})


def scale(part: Span, factor: Rational) -> Span:
    return {key: k * factor for key, k in part.items()}


@cache
def _integral(key: Key) -> Span:
    """Of c^i S^j T^t."""
    i, j, t = key
    if t:  # by parts; T' = 1/S
        return add([{(i + 1, 0, 1): RING.one / (i + 1)}, scale(_integral((i + 1, -1, 0)), -RING.one / (i + 1))])
    if i == 1:  # d(S^(j+2)) = -q (j+2) c S^j dc
        return {(0, j + 2, 0): inverse(Q) / -(j + 2)}
    if i >= 2:  # c^2 = (p - S^2)/q
        return add([scale(_integral((i - 2, j, 0)), P * inverse(Q)), scale(_integral((i - 2, j + 2, 0)), -inverse(Q))])
    return _power_of_root(j)


def _power_of_root(j: int) -> Span:
    """Integral of S^j, j odd: d(c S^j) = (j+1) S^j - j p S^(j-2), read upwards or downwards."""
    if j == -1:
        return {(0, 0, 1): RING.one}
    if j > 0:
        return add([{(1, j, 0): RING.one / (j + 1)}, scale(_power_of_root(j - 2), j * P / (j + 1))])
    up = j + 2
    return add([{(1, up, 0): inverse(P) / -up}, scale(_power_of_root(up), inverse(P) * (up + 1) / up)])
