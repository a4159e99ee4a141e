"""E of a product of functions of several jointly Gaussian variables: independent groups factor, polynomials go by Gaussian
integration by parts (Isserlis 1918; Stein 1981), what is left must be functions of at most two, or erfs and Gaussian factors."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import sympy as sp

from ntkc.gaussian import erfs
from ntkc.gaussian.terms import NotClosed, Z

Variable: TypeAlias = Any
"""Whatever names a variable; must be hashable."""
Factors = dict[Variable, sp.Expr]
"""The function of each variable, in the symbol `Z`."""


class Gaussians(Protocol):
    """What is known of the variables, and the expectations of one and two of them."""

    def independent(self, u: Variable, v: Variable) -> bool: ...
    def covariance(self, u: Variable, v: Variable) -> sp.Expr: ...
    def single(self, f: sp.Expr, variance: sp.Expr) -> sp.Expr: ...
    def pair(self, f: sp.Expr, g: sp.Expr, c: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr: ...


@dataclass(frozen=True, slots=True)
class Monomial:
    """coefficient times a product of functions, one for each symbol."""

    coefficient: sp.Expr
    factors: tuple[tuple[sp.Symbol, sp.Expr], ...]


def monomials(function: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> tuple[Monomial, ...]:
    """A function of several symbols as a sum of products of functions of one each."""
    used = [s for s in symbols if function.has(s)]
    if len(used) <= 1:
        return (Monomial(sp.S.One, tuple((s, function.subs(s, Z)) for s in used)),) if used else (Monomial(function, ()),)
    found = (_monomial(term, used) for term in sp.Add.make_args(sp.expand(function)))
    return tuple(m for m in found if not any(_never(f) for _, f in m.factors))


def _never(function: sp.Expr) -> bool:
    """Whether steps among its factors are never 1 together, as a nested `where` leaves them once it is expanded."""
    above, below = [-sp.oo], [sp.oo]
    for factor in sp.Mul.make_args(function):
        argument = factor.args[0] if isinstance(factor, sp.Heaviside) else sp.S.Zero
        if argument.is_polynomial(Z) and sp.degree(argument, Z) == 1 and argument.free_symbols == {Z}:
            rate, root = argument.coeff(Z), -argument.subs(Z, 0) / argument.coeff(Z)
            (above if rate.is_positive else below).append(root)
    return bool(max(above) >= min(below))


def _monomial(term: sp.Expr, symbols: list[sp.Symbol]) -> Monomial:
    coefficient: sp.Expr = sp.S.One
    factors: dict[sp.Symbol, sp.Expr] = {}
    for factor in sp.Mul.make_args(term):
        used = [s for s in symbols if factor.has(s)]
        if len(used) > 1:
            raise NotClosed(f"the factor {factor} mixes several Gaussian values inside one nonlinearity")
        if used:
            factors[used[0]] = factors.get(used[0], sp.S.One) * factor.subs(used[0], Z)
        else:
            coefficient *= factor
    return Monomial(coefficient, tuple(factors.items()))


def expect(factors: Factors, law: Gaussians) -> sp.Expr:
    """E of the product of f_v(v) over the variables."""
    result: sp.Expr = sp.S.One
    for group in _components(list(factors), law):
        result *= _connected({v: factors[v] for v in group}, law)
    return result


def _components(variables: list[Variable], law: Gaussians) -> list[list[Variable]]:
    groups: list[list[Variable]] = []
    for v in variables:
        touching = [g for g in groups if any(not law.independent(u, v) for u in g)]
        groups = [g for g in groups if g not in touching] + [[*(u for g in touching for u in g), v]]
    return groups


def _connected(factors: Factors, law: Gaussians) -> sp.Expr:
    variables = list(factors)
    if len(variables) < 3 and not erfs.several(factors):
        return _of_two(factors, law)
    for v in variables:
        if factors[v].is_polynomial(Z):
            return _by_parts(v, factors, law)
    if (found := erfs.expectation(factors, law.covariance)) is not None:
        return found
    if len(variables) < 3:
        return _of_two(factors, law)
    raise NotClosed(f"{len(variables)} mutually correlated Gaussian values under different nonlinearities")


def _of_two(factors: Factors, law: Gaussians) -> sp.Expr:
    """Or of one."""
    variables = list(factors)
    if len(variables) == 1:
        (v,) = variables
        return law.single(factors[v], law.covariance(v, v))
    u, v = variables
    return law.pair(factors[u], factors[v], law.covariance(u, v), law.covariance(u, u), law.covariance(v, v))


def _by_parts(u: Variable, factors: Factors, law: Gaussians) -> sp.Expr:
    """E u^n F = (n - 1) Var(u) E u^(n-2) F + sum over the others of Cov(u, v) E u^(n-1) dF/dv."""
    rest = {v: f for v, f in factors.items() if v != u}
    total: sp.Expr = sp.S.Zero
    for (n,), k in sp.Poly(factors[u], Z).terms():
        if n == 0:
            total += k * expect(rest, law)
            continue
        if n > 1:
            total += k * (n - 1) * law.covariance(u, u) * expect({**rest, u: Z ** (n - 2)} if n > 2 else rest, law)
        for v, f in rest.items():
            slope = sp.diff(f, Z)
            if slope != 0 and not law.independent(u, v):
                lowered = {**rest, v: slope, **({u: Z ** (n - 1)} if n > 1 else {})}
                total += k * law.covariance(u, v) * expect({w: h for w, h in lowered.items() if h != 1}, law)
    return total
