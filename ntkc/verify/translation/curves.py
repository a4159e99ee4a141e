"""Bounds on the error of the code's polynomials in d: exact power series with bounds of their tails, in interval arithmetic.

With d = s^2, s = sin(theta/2) in [0, sqrt(1/2)]:  C = cos theta = 1 - 2 s^2,  S = sin theta = 2 s sqrt(1 - s^2),
atan2(C, S) = pi/2 - 2 asin s. Beyond d = 1/2 the same in e = 1 - d, with C and the angle of the other sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath as mp
import sympy as sp

from ntkc.gaussian.moments import A, B, C
from ntkc.verify.translation.field import Unread

ORDER = 120
"""Powers of s that are kept."""
S, T = sp.symbols("S T")


@dataclass(frozen=True, slots=True)
class Model:
    """A polynomial in s and a bound of what it leaves out for s^2 <= 1/2."""

    coefficients: dict[int, Any]
    rest: Any

    def __add__(self, other: "Model") -> "Model":
        found = dict(self.coefficients)
        for k, v in other.coefficients.items():
            found[k] = found.get(k, mp.iv.mpf(0)) + v
        return Model(found, self.rest + other.rest)

    def __mul__(self, other: "Model") -> "Model":
        found: dict[int, Any] = {}
        rest = self.rest * other.size() + other.rest * (self.size() + self.rest)
        for i, u in self.coefficients.items():
            for j, v in other.coefficients.items():
                if i + j <= ORDER:
                    found[i + j] = found.get(i + j, mp.iv.mpf(0)) + u * v
                else:
                    rest = rest + abs(u * v) * _edge() ** (i + j)
        return Model(found, rest)

    def size(self) -> Any:
        """A bound of the polynomial."""
        return sum((abs(v) * _edge() ** k for k, v in self.coefficients.items()), mp.iv.mpf(0))

    def largest(self) -> Any:
        """A sharp bound of all of it: by the coefficients in Chebyshev polynomials on [0, sqrt(1/2)]."""
        scaled = {k: v * _edge() ** k for k, v in self.coefficients.items()}
        return _chebyshev(scaled) + self.rest


def _chebyshev(coefficients: Mapping[int, Any]) -> Any:
    """A bound of a polynomial on [0, 1]. The change of basis is done on midpoints with as many digits as there are, in less than
    10^4 operations on numbers below the sum of the coefficients: its rounding is far below 10^-50 of that sum."""
    middle = {k: mp.mpf(v.mid) for k, v in coefficients.items()}
    spread = sum((mp.mpf(v.delta) for v in coefficients.values()), mp.mpf(0))
    total: list[Any] = []
    for k in range(max(middle, default=0), -1, -1):
        total = _times_half(total)
        total[0] = total[0] + middle.get(k, mp.mpf(0))
    slack = spread + mp.mpf("1e-50") * sum(map(abs, middle.values()))
    return mp.iv.mpf(sum(map(abs, total)) + slack)


def _times_half(c: list[Any]) -> list[Any]:
    """(1 + x)/2 times a sum of Chebyshev polynomials of x."""
    at = [*c, mp.mpf(0), mp.mpf(0)]
    found = []
    for j in range(len(c) + 1):
        below = (at[0] / 2 if j == 1 else at[j - 1] / 4) if j else mp.mpf(0)
        found.append(at[j] / 2 + below + at[j + 1] / 4)
    return found


def _edge() -> Any:
    return mp.iv.sqrt(mp.iv.mpf(1) / 2)


def _constant(x: Any) -> Model:
    return Model({0: x}, mp.iv.mpf(0))


def _number(expr: sp.Expr) -> Any:
    if expr.is_Rational:
        return mp.iv.mpf(int(expr.p)) / int(expr.q)
    if expr == sp.pi:
        return mp.iv.pi * 1
    if expr.is_Pow and expr.base.is_Rational and expr.exp == sp.Rational(1, 2):
        return mp.iv.sqrt(_number(expr.base))
    raise Unread(f"the number {expr} in a curve")


@cache
def _parts(side: int) -> Mapping[sp.Symbol, Model]:
    """C, S and the angle near d = 0 (side 1) or near d = 1 (side -1)."""
    zero, count = mp.iv.mpf(0), ORDER // 2
    root, asin = {0: mp.iv.mpf(1)}, {1: mp.iv.mpf(1)}
    b, a = mp.iv.mpf(1), mp.iv.mpf(1)  # of sqrt(1 - z), of asin(s)/s
    for k in range(1, count):
        b = b * (2 * k - 3) / (2 * k)
        a = a * (2 * k - 1) / (2 * k)
        root[2 * k] = b
        asin[2 * k + 1] = a / (2 * k + 1)
    tail = mp.iv.mpf(2) ** (1 - count)  # coefficients decrease and are below 1; the sum of z^k from here on, z <= 1/2
    s = Model({1: mp.iv.mpf(2 * 1)}, zero)
    cosine = Model({0: mp.iv.mpf(side), 2: mp.iv.mpf(-2 * side)}, zero)
    angle = Model({0: side * mp.iv.pi / 2, **{k: -2 * side * v for k, v in asin.items()}}, 2 * tail)
    return {C: cosine, S: s * Model(root, tail), T: angle}


@cache
def kappa(value: sp.Expr, side: int) -> Model:
    """E f(u) f(v) of variances 1 as a function of s."""
    expr = value.subs({A: 1, B: 1}).subs(sp.sqrt(1 - C**2), S).replace(sp.atan2, lambda y, x: T if (y, x) == (C, S) else sp.nan)
    if expr.free_symbols - {C, S, T} or expr.has(sp.nan):
        raise Unread("a curve with hyperparameters, or with other functions than one angle and one root")
    parts = _parts(side)

    def of(e: sp.Expr) -> Model:
        if e in parts:
            return parts[e]
        if e.is_Add or e.is_Mul:
            first, *others = map(of, e.args)
            for other in others:
                first = first + other if e.is_Add else first * other
            return first
        if e.is_Pow and e.exp.is_Integer and e.exp > 0 and not e.is_number:
            found = of(e.base)
            for _ in range(int(e.exp) - 1):
                found = found * of(e.base)
            return found
        if e.is_Pow and e.exp == -1:
            return _constant(1 / _number(e.base))
        return _constant(_number(e))

    return of(expr)


def error(value: sp.Expr, own: sp.Expr, side: int, gap: bool, code: Mapping[int, Any]) -> Any:
    """The largest difference from the code's polynomial, coefficients by power of s."""
    exact = kappa(value, side)
    if gap:
        exact = _constant(mp.iv.mpf(1) / 2) + exact * _constant(-1 / (2 * _number(own)))
    return (exact + Model({k: -v for k, v in code.items()}, mp.iv.mpf(0))).largest()


def atan_error(coefficients: tuple[float, ...]) -> Any:
    """|t p(t^2) - atan t| <= the integral of |r(t^2)|/(1 + t^2), r(v) = (p + 2 v p')(1 + v) - 1, on [0, 1]."""
    slope = {2 * k: (2 * k + 1) * mp.iv.mpf(p) for k, p in enumerate(coefficients)}
    r = Model(slope, mp.iv.mpf(0)) * Model({0: mp.iv.mpf(1), 2: mp.iv.mpf(1)}, mp.iv.mpf(0)) + _constant(mp.iv.mpf(-1))
    return _chebyshev(r.coefficients)
