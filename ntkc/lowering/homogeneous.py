"""E f(u) f(v) of a positively homogeneous f as a function of one variable, and its polynomial approximations.

With f(t z) = t^p f(z), E f(u) f(v) = (a b)^(p/2) kappa(d), d = (1 - c/sqrt(a b))/2 = sin^2(theta/2). Near d = 0 kappa is a power
series in s = sqrt(d) whose even and odd parts are separate polynomials in d; near d = 1 the same in 1 - d. Working with d keeps
the digits that c = sqrt(a b)(1 - 2 d) loses for near duplicates, and no arccosine is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import mpmath as mp
import sympy as sp

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.ir.program import Coefficients, Curve, Polynomials

S = sp.Symbol("S")
DEGREES = range(1, 30)
TOLERANCES = (6e-8, 2e-17)
Function = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Homogeneous:
    """`own` is kappa(0); `gap` approximates (1 - kappa/kappa(0))/2 and `value` kappa; `acute` where kappa >= 0 throughout."""

    degree: sp.Rational
    own: sp.Expr
    gap: Curve
    value: Curve
    acute: bool


@cache
def homogeneous(law: Expectation) -> Homogeneous | None:
    """None where f is not homogeneous, or where a hyperparameter does not enter polynomially."""
    degree = _degree(law.value) if law.f == law.g else None
    if degree is None or not law.value.has(sp.atan2, sp.sqrt(A * B - C**2)):
        return None
    kappa = law.value.subs({A: 1, B: 1}).subs(sp.sqrt(1 - C**2), S)
    parameters = sorted(kappa.free_symbols - {C, S}, key=str)
    if parameters and not kappa.is_polynomial(*parameters):
        return None
    parts = sp.Poly(kappa, *parameters).terms() if parameters else [((), kappa)]
    monomials = [(sp.Mul(*(p**k for p, k in zip(parameters, powers, strict=True))), part) for powers, part in parts]
    own = sp.simplify(kappa.subs({C: 1, S: 0}))
    value = Curve(tuple(_scaled(factor, _fit(part, gap=False)) for factor, part in monomials))
    gap = Curve(tuple(_scaled(factor / own, _fit(part, gap=True)) for factor, part in monomials))
    return Homogeneous(degree, own, gap, value, not parameters and _never_negative(kappa))


def _scaled(factor: sp.Expr, fit: Polynomials) -> tuple[sp.Expr, Polynomials]:
    """A number goes into the coefficients."""
    if not factor.is_number:
        return factor, fit
    k = float(factor)

    def times(part: Coefficients) -> Coefficients:
        single, double = part
        return tuple(k * x for x in single), tuple(k * x for x in double)

    return sp.S.One, Polynomials(*(times(getattr(fit, f.name)) for f in fields(fit)))


def _degree(value: sp.Expr) -> sp.Rational | None:
    """p such that E f(su) g(tv) = (s t)^p E f(u) g(v), judged at points to 30 digits."""
    free = sorted(value.free_symbols - {A, B, C}, key=str)
    found = set()
    for s, t in ((2, 2), (3, 5), (sp.Rational(1, 2), 7)):
        point = {x: sp.Rational(5 + 2 * i, 7) for i, x in enumerate(free)}
        here, there = (
            value.subs({C: sp.Rational(1, 3) * k * m, A: k**2, B: 2 * m**2}).evalf(30, subs=point) for k, m in ((1, 1), (s, t))
        )
        if not (here.is_Float and there.is_Float and here != 0 and there / here > 0):
            return None
        found.add(sp.nsimplify(sp.log(there / here, s * t).evalf(25), tolerance=1e-20, rational=True))
    degree = found.pop()
    return degree if not found and degree.q == 1 else None


def _never_negative(kappa: sp.Expr) -> bool:
    run = sp.lambdify([C, S], kappa, "mpmath")
    return all(mp.re(run(mp.mpf(k) / 50, mp.sqrt(1 - (mp.mpf(k) / 50) ** 2))) > -1e-12 for k in range(-50, 51))


def _fit(kappa: sp.Expr, *, gap: bool) -> Polynomials:
    """Both ends of kappa(d), or of (kappa(0) - kappa(d))/2."""
    run = sp.lambdify([C, S], kappa, "mpmath")
    with mp.workdps(50):
        top = mp.re(run(mp.mpf(1), mp.mpf(0)))

        def at(z: Any, sign: int, side: int) -> Any:
            value = mp.re(run(side * (1 - 2 * z), sign * 2 * mp.sqrt(z * (1 - z))))
            return (top - value) / 2 if gap else value

        ends = [
            (
                lambda z, side=side: (at(z, 1, side) + at(z, -1, side)) / 2,
                lambda z, side=side: (at(z, 1, side) - at(z, -1, side)) / (2 * mp.sqrt(z)),
            )
            for side in (1, -1)
        ]
        return Polynomials(*(_polynomial(part, starts_at_zero=gap and end is ends[0]) for end in ends for part in end))


def _polynomial(function: Function, *, starts_at_zero: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Coefficients on [0, 1/2] for float32 and float64, by interpolation at Chebyshev points; where the function vanishes at 0
    the polynomial does too, so that its relative error stays small there."""
    vanishes = starts_at_zero and abs(function(mp.mpf("1e-30"))) < 1e-12
    grid = [mp.mpf("1e-20"), *(mp.mpf(k + 1) / 102 for k in range(50)), mp.mpf("0.49999")]

    def smooth(z: Any) -> Any:
        return function(z) / z if vanishes else function(z)

    exact = [smooth(z) for z in grid]
    lead = (0.0,) if vanishes else ()
    found = []
    for tolerance in TOLERANCES:
        for degree in DEGREES:
            k = _interpolate(smooth, degree)
            if max(abs(mp.polyval(k[::-1], z) - y) for z, y in zip(grid, exact, strict=True)) < tolerance:
                break
        while len(k) > 1 and abs(k[-1]) < tolerance:
            k.pop()
        found.append((*lead, *(_rounded(x) for x in k)))
    return found[0], found[1]


def _rounded(x: Any) -> float:
    return 0.0 if abs(x) < 1e-25 else float(x)


@cache
def _nodes(degree: int) -> tuple[list[Any], Any]:
    """Chebyshev points of [0, 1/2] and the inverse of their Vandermonde matrix."""
    nodes = [(1 + mp.cos(mp.pi * (k + mp.mpf(1) / 2) / (degree + 1))) / 4 for k in range(degree + 1)]
    return nodes, mp.inverse(mp.matrix([[z**j for j in range(degree + 1)] for z in nodes]))


def _interpolate(function: Function, degree: int) -> list[Any]:
    nodes, inverse = _nodes(degree)
    return list(inverse * mp.matrix([function(z) for z in nodes]))
