"""E f''(u) g(v) of functions whose slope jumps at 0 only, by Price's theorem in the variances (Price 1958):

d/da E f(u) g(v) = E f''(u) g(v) / 2        (u, v) ~ N(0, [[a, c], [c, b]]).
"""

from functools import cache

import sympy as sp

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.terms import NotClosed, decompose
from ntkc.ir.intrinsics import gram_root, ratio

ROOT = sp.sqrt(A * B - C**2)


def is_linear_in_pieces(function: sp.Expr) -> bool:
    """Whether f(t z) = t f(z) for t > 0: a multiple of z on each side of 0."""
    try:
        terms = decompose(function)
    except NotClosed:
        return False
    return all(t.power == 1 and t.delta is None and not (t.scale or t.quadratic or t.linear) for t in terms)


@cache
def bends(law: Expectation) -> tuple[sp.Expr, sp.Expr]:
    """E f''(u) g(v) and E f(u) g''(v), both multiples of sqrt(a b - c^2), over a or b."""
    return _bend(law.value, A), _bend(law.value, B)


def _bend(value: sp.Expr, variance: sp.Symbol) -> sp.Expr:
    factor = sp.simplify(2 * sp.diff(value, variance) * variance / ROOT)
    assert not factor.has(A, B, C), factor  # f'' is a jump of f' at 0, where v is Gaussian of variance b - c^2 / a
    return factor * ratio(gram_root(C, A, B), variance)
