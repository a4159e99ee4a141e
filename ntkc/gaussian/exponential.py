"""Sums of k exp(x) with complex k and x, known to be real, written with real functions."""

import sympy as sp

from ntkc.gaussian.moments import C


def gather(terms: list[tuple[sp.Expr, sp.Expr]]) -> sp.Expr:
    """Sum of k exp(x) over (k, x): equal exponents added up, exp(x) and exp(y) with opposite c merged into cosh and sinh."""
    total: dict[sp.Expr, sp.Expr] = {}
    for k, x in terms:
        for weight, exponent in _real_parts(k, x):
            total[exponent] = total.get(exponent, sp.S.Zero) + weight
    pieces, done = list[sp.Expr](), set[sp.Expr]()
    for exponent, k in total.items():
        if exponent in done:
            continue
        mirror = sp.expand(exponent.subs(C, -C))
        done |= {exponent, mirror}
        pieces.append(_piece(k, total.get(mirror) if mirror != exponent else None, exponent, mirror))
    return sp.Add(*pieces)


def _real_parts(k: sp.Expr, x: sp.Expr) -> list[tuple[sp.Expr, sp.Expr]]:
    """Re(k exp(x)) = exp(Re x) (Re k cos Im x - Im k sin Im x)."""
    if not (k.has(sp.I) or x.has(sp.I)):
        return [(k, sp.expand(x))]
    real_k, imag_k = sp.expand(k).as_real_imag()
    real_x, imag_x = sp.expand(x).as_real_imag()
    return [(real_k * sp.cos(imag_x) - imag_k * sp.sin(imag_x), sp.expand(real_x))]


def _piece(k: sp.Expr, other: sp.Expr | None, exponent: sp.Expr, mirror: sp.Expr) -> sp.Expr:
    if other is None:
        return _factored(k) * sp.exp(exponent)
    even, odd = _factored((exponent + mirror) / 2), _factored((exponent - mirror) / 2)
    return sp.exp(even) * (_factored(k + other) * sp.cosh(odd) + _factored(k - other) * sp.sinh(odd))


def _factored(expr: sp.Expr) -> sp.Expr:
    """Factored, unless that would multiply out a determinant that stands in a denominator or under a root."""
    return sp.factor_terms(sp.expand(expr, deep=False)) if expr.has(sp.Pow) else sp.factor(expr)
