"""E of a product of erfs and exp(-q z^2) of correlated Gaussian values, as the name `erf_moment` means it:

erf_moment(k, s11, s12, ..., snn) = E exp(-v_1^2) ... exp(-v_k^2) erf(v_k+1) ... erf(v_n) for v ~ N(0, S).
"""

from collections.abc import Callable
from itertools import product

import sympy as sp

Z = sp.Symbol("z", real=True)
erf_moment = sp.Function("erf_moment")
Variable = tuple[int, str]
Kind = tuple[sp.Expr, list[sp.Expr], list[sp.Expr]]
"""A coefficient, the r of each erf(r z), and the s of each exp(-(s z)^2)."""


def moment(
    factors: dict[Variable, sp.Expr], covariance: Callable[[Variable, Variable], sp.Expr], least: int = 0
) -> sp.Expr | None:
    """The expectation, if the factors are sums of such products and some product has `least` factors or more."""
    kinds = {v: _kinds(f) for v, f in factors.items()}
    if not all(kinds.values()):
        return None
    total: sp.Expr = sp.S.Zero
    most = 0
    for chosen in product(*kinds.values()):
        erfs = [(v, r) for v, (_, scales, _) in zip(kinds, chosen, strict=True) for r in scales]
        bells = [(v, sp.sqrt(sp.Add(*(s**2 for s in rates)))) for v, (_, _, rates) in zip(kinds, chosen, strict=True) if rates]
        most = max(most, len(erfs) + len(bells))
        if len(erfs) % 2:
            continue  # odd in all values together
        values = bells + erfs
        entries = [r * s * covariance(u, v) for i, (u, r) in enumerate(values) for v, s in values[i:]]
        whole = erf_moment(sp.Integer(len(bells)), *entries) if values else sp.S.One
        total += sp.Mul(*(coefficient for coefficient, _, _ in chosen)) * whole
    return total if most >= least else None


def _kinds(function: sp.Expr) -> list[Kind]:
    """Of each term; nothing where one is of another form."""
    found = [_kind(term) for term in sp.Add.make_args(sp.expand(function, power_exp=False))]
    return [kind for kind in found if kind is not None] if None not in found else []


def _kind(term: sp.Expr) -> Kind | None:
    coefficient: sp.Expr = sp.S.One
    scales, rates = list[sp.Expr](), list[sp.Expr]()
    for factor in sp.Mul.make_args(term):
        if not factor.has(Z):
            coefficient *= factor
        elif isinstance(factor, sp.erf):
            scales.append(sp.cancel(factor.args[0] / Z))
        elif isinstance(factor, sp.exp) and (-factor.exp / Z**2).is_positive and not sp.cancel(factor.exp / Z**2).has(Z):
            rates.append(sp.sqrt(-sp.cancel(factor.exp / Z**2)))
        elif _power_of_erf(factor):
            scales += [sp.cancel(factor.base.args[0] / Z)] * int(factor.exp)
        else:
            return None
    return None if any(r.has(Z) for r in scales) else (coefficient, scales, rates)


def _power_of_erf(factor: sp.Expr) -> bool:
    return bool(factor.is_Pow and isinstance(factor.base, sp.erf) and factor.exp.is_Integer and factor.exp > 0)
