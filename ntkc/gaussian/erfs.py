"""E of a product of erfs and exp(-q z^2) of several jointly Gaussian variables, by one special function.

erf(v) is E sign(v + t) over an independent t of variance 1/2, and exp(-v^2) is sqrt(pi) times the density of v + t at 0. So such
an expectation is a determinant times E of a product of signs of Gaussians, a sum of orthant probabilities (Plackett 1954).
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import sympy as sp

from ntkc.gaussian.orthants import MOST
from ntkc.gaussian.terms import NotClosed, Z

Variable: TypeAlias = Any


class erf_moment(sp.Function):  # noqa: N801
    """erf_moment(k, s11, s12, ..., snn) = E exp(-v_1^2 - ... - v_k^2) erf(v_k+1) ... erf(v_n) for v ~ N(0, S)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`coefficient * erf(scale z) ... * exp(-rate z^2)`."""

    coefficient: sp.Expr
    scales: tuple[sp.Expr, ...]
    rate: sp.Expr


def shapes(function: sp.Expr) -> tuple[Shape, ...] | None:
    """Those whose sum is the function, if it is made of nothing else."""
    expanded = sp.expand(function.replace(sp.erfc, lambda x: 1 - sp.erf(x)), power_exp=False)
    found = [_shape(piece) for piece in sp.Add.make_args(expanded)]
    return None if None in found else tuple(s for s in found if s is not None)


def _shape(piece: sp.Expr) -> Shape | None:
    coefficient, rate, scales = sp.S.One, sp.S.Zero, list[sp.Expr]()
    for factor in sp.Mul.make_args(piece):
        if not factor.has(Z):
            coefficient *= factor
            continue
        base, count = (factor, sp.S.One) if isinstance(factor, sp.exp) else factor.as_base_exp()
        if not isinstance(base, sp.erf | sp.exp):
            return None
        over = sp.cancel(base.args[0] / (Z**2 if isinstance(base, sp.exp) else Z))
        if over.has(Z) or not (count.is_Integer and count.is_positive):
            return None
        if isinstance(base, sp.erf) and over.is_extended_real is not False:
            scales += [over] * int(count)
        elif isinstance(base, sp.exp) and over.is_negative:
            rate -= count * over
        else:
            return None
    return Shape(coefficient, tuple(scales), rate)


def several(factors: dict[Variable, sp.Expr]) -> bool:
    """Whether functions of one or two variables hold more erfs than a function of two arguments has a place for."""
    made_of = [shapes(f) or () for f in factors.values()]
    found = [max((len(s.scales) + (s.rate != 0) for s in parts), default=0) for parts in made_of]
    beside = len(factors) > 1 and any(len(s.scales) > 1 for parts in made_of for s in parts)  # one alone is E f(u) g(u)
    return beside or (sum(found) > 2 and max(found) > 1)


def expectation(factors: dict[Variable, sp.Expr], covariance: Any) -> sp.Expr | None:
    """E of the product, if all factors are of this kind; the covariance of two variables by a function."""
    variables = sorted(factors)
    found = [shapes(factors[v]) for v in variables]
    if None in found:
        return None
    total: sp.Expr = sp.S.Zero
    for chosen in product(*(f for f in found if f is not None)):
        bells = [(sp.sqrt(s.rate), v) for v, s in zip(variables, chosen, strict=True) if s.rate != 0]
        erfs = [(scale, v) for v, s in zip(variables, chosen, strict=True) for scale in s.scales]
        if len(erfs) % 2 == 0:  # else it changes its sign with all variables
            total += sp.Mul(*(s.coefficient for s in chosen)) * _called(bells, erfs, covariance)
    return total


def _called(bells: list[tuple[sp.Expr, Variable]], erfs: list[tuple[sp.Expr, Variable]], covariance: Any) -> sp.Expr:
    if len(erfs) > MOST:
        raise NotClosed(f"a product of {len(erfs)} erfs of correlated Gaussian values; at most {MOST} are integrated")
    if not bells and not erfs:
        return sp.S.One
    scaled = [*bells, *erfs]
    entries = (r * s * covariance(u, v) for i, (r, u) in enumerate(scaled) for s, v in scaled[i:])
    return erf_moment(sp.Integer(len(bells)), *entries)
