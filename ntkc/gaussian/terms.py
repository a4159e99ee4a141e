"""Scalar function -> sum of terms `k z^n H(z)^s erf(g z)^e exp(q z^2 + l z)` or of derivatives of delta.

These are the functions whose Gaussian expectations close. H is the unit step, H(0) = 1/2 (a point of measure zero).
Sines and cosines are exponentials with imaginary l.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sympy as sp

Z = sp.Symbol("z", real=True)


class NotClosed(Exception):
    """No closed form by the methods here; the text says which step failed."""


class MayGrow(NotClosed):
    """It closes unless a hyperparameter has another sign than most."""


@dataclass(frozen=True, slots=True)
class Term:
    """`coefficient * z^power * H(z)^step * erf(scale z) * exp(quadratic z^2 + linear z)`, or with `delta = i` not None
    `coefficient * (i-th derivative of the delta function)`; `scale = 0` means no erf."""

    coefficient: sp.Expr = sp.S.One
    power: int = 0
    step: bool = False
    scale: sp.Expr = sp.S.Zero
    quadratic: sp.Expr = sp.S.Zero
    linear: sp.Expr = sp.S.Zero
    delta: int | None = None

    @property
    def elementary(self) -> bool:
        """Polynomial times exponential, or concentrated at 0: products of two have elementary expectations."""
        return self.delta is not None or not (self.step or self.scale)

    @property
    def polynomial(self) -> bool:
        return self.elementary and self.delta is None and not self.quadratic and not self.linear

    def expr(self, z: sp.Expr = Z) -> sp.Expr:
        """The term as a SymPy expression in z."""
        if self.delta is not None:
            return self.coefficient * sp.DiracDelta(z, self.delta)
        body = self.coefficient * z**self.power * sp.exp(self.quadratic * z**2 + self.linear * z)
        return body * (sp.Heaviside(z, sp.Rational(1, 2)) if self.step else 1) * (sp.erf(self.scale * z) or 1)


Terms = tuple[Term, ...]


def decompose(function: sp.Expr, z: sp.Symbol = Z) -> Terms:
    """Terms whose sum is the function, or NotClosed naming the piece that has another form."""
    expanded = sp.expand(_to_basis(function, z), power_exp=False)
    return collect(_term(piece, z) for piece in sp.Add.make_args(expanded))


def collect(terms: Iterator[Term]) -> Terms:
    """Like terms added up, zero ones dropped, in the order of first appearance."""
    total: dict[Term, sp.Expr] = {}
    for term in terms:
        shape = replace(term, coefficient=sp.S.One)
        total[shape] = total.get(shape, sp.S.Zero) + term.coefficient
    sums = ((shape, sp.expand(coefficient)) for shape, coefficient in total.items())
    return tuple(replace(shape, coefficient=k) for shape, k in sums if k != 0)


def differentiate(terms: Terms) -> Terms:
    """Term by term, in the sense of distributions."""
    return collect(piece for term in terms for piece in _derivative(term))


def check_growth(quadratic: sp.Expr) -> None:
    """exp(q z^2) with q > 0 has a second moment for small variances only; beyond them formulas give finite numbers, too."""
    nonzero = {s: sp.Dummy(s.name, real=True, nonzero=True) for s in quadratic.free_symbols if s.is_nonnegative is None}
    growth = sp.re(quadratic).xreplace(nonzero)
    if growth.is_positive:
        raise NotClosed(f"exp({quadratic} z^2) has an expectation for small variances only")
    if not growth.is_nonpositive:
        message = f"exp({quadratic} z^2) has an expectation for small variances only where {quadratic} > 0"
        raise MayGrow(f"{message}, which the domain of a parameter can exclude, as in `param w = 1 in [0, inf)`")


def _derivative(term: Term) -> Iterator[Term]:
    if term.delta is not None:
        yield replace(term, delta=term.delta + 1)
        return
    k, n = term.coefficient, term.power
    if n:
        yield replace(term, coefficient=k * n, power=n - 1)
    if term.quadratic:
        yield replace(term, coefficient=2 * k * term.quadratic, power=n + 1)
    if term.linear:
        yield replace(term, coefficient=k * term.linear)
    if term.scale:
        slope = 2 * term.scale / sp.sqrt(sp.pi)
        yield replace(term, coefficient=k * slope, scale=sp.S.Zero, quadratic=term.quadratic - term.scale**2)
    if term.step and not term.scale and n == 0:  # z^n delta = 0 for n > 0, erf(0) = 0
        yield Term(coefficient=k, delta=0)


def _to_basis(function: sp.Expr, z: sp.Symbol) -> sp.Expr:
    """Rewrite by steps, erf and exp; one way to write each function."""
    function = sp.piecewise_fold(function) if function.has(sp.Piecewise) else function
    function = function.replace(sp.Piecewise, lambda *branches: _from_branches(branches, z))
    function = function.replace(sp.Max, lambda *args: _maximum(args, z)).replace(
        sp.Min, lambda *args: -_maximum([-x for x in args], z)
    )
    function = function.replace(sp.Abs, lambda x: x * _sign(x, z) if x.has(z) else sp.Abs(x))
    function = function.replace(sp.sign, lambda x: _sign(x, z) if x.has(z) else sp.sign(x))
    function = function.replace(sp.Heaviside, lambda x, *_: _step(x, z))
    function = function.replace(sp.erfc, lambda x: 1 - sp.erf(x))
    for trig in (sp.sin, sp.cos, sp.sinh, sp.cosh):
        function = function.replace(trig, lambda x, trig=trig: trig(x).rewrite(sp.exp) if x.has(z) else trig(x))
    return function


def _from_branches(branches: tuple[tuple[sp.Expr, sp.Basic], ...], z: sp.Symbol) -> sp.Expr:
    """First-match-wins branches as a sum over steps."""
    result: sp.Expr = sp.S.Zero
    rest: sp.Expr = sp.S.One
    for value, condition in branches:
        inside = sp.S.One if condition == sp.true else _indicator(condition, z)
        result += rest * inside * value
        rest = sp.expand(rest * (1 - inside))
    return result


def _indicator(condition: sp.Basic, z: sp.Symbol) -> sp.Expr:
    if isinstance(condition, sp.core.relational.Relational):
        return _step(condition.gts - condition.lts, z)
    raise NotClosed(f"the condition {condition} is not a comparison")


def _maximum(args: list[sp.Expr], z: sp.Symbol) -> sp.Expr:
    first, *others = args
    for other in others:
        gap = sp.expand(first - other)
        first = other + gap * _step(gap, z)
    return first


def _sign(x: sp.Expr, z: sp.Symbol) -> sp.Expr:
    return 2 * _step(x, z) - 1


def _step(x: sp.Expr, z: sp.Symbol) -> sp.Expr:
    """H(x) for x = k z with k of known sign, as H(z) or 1 - H(z); a constant x is decided by its sign."""
    if not x.has(z):
        if x.is_positive or x.is_negative:
            return sp.S.One if x.is_positive else sp.S.Zero
        raise NotClosed(f"the sign of {x} is not known")
    slope = sp.cancel(x / z)
    if slope.has(z):
        raise NotClosed(f"the kink of H({x}) is not at 0")
    if slope.is_positive:
        return sp.Heaviside(z, sp.Rational(1, 2))
    if slope.is_negative:
        return 1 - sp.Heaviside(z, sp.Rational(1, 2))
    raise NotClosed(f"the sign of {slope} is not known")


def _term(piece: sp.Expr, z: sp.Symbol) -> Term:
    term = Term()
    for factor in sp.Mul.make_args(piece):
        term = _multiply(term, factor, z)
    return term


def _multiply(term: Term, factor: sp.Expr, z: sp.Symbol) -> Term:
    base, exponent = factor.as_base_exp()
    if not factor.has(z):
        return replace(term, coefficient=term.coefficient * factor)
    if base == z and exponent.is_Integer and exponent > 0:
        return replace(term, power=term.power + int(exponent))
    if isinstance(base, sp.Heaviside) and exponent.is_positive:
        return replace(term, step=True)
    if isinstance(factor, sp.erf):
        scale = sp.cancel(factor.args[0] / z)
        if not scale.has(z) and scale.is_extended_real is not False and not term.scale:
            return replace(term, scale=scale)
    if isinstance(factor, sp.exp):
        return _times_exponential(term, sp.Poly(factor.exp, z) if factor.exp.is_polynomial(z) else None, factor)
    raise NotClosed(f"the factor {factor} has no rule")


def _times_exponential(term: Term, exponent: sp.Poly | None, factor: sp.Expr) -> Term:
    if exponent is None or exponent.degree() > 2:
        raise NotClosed(f"the exponent of {factor} is not quadratic")
    constant, linear, quadratic = (exponent.coeff_monomial(exponent.gen**i) for i in range(3))
    return replace(
        term,
        coefficient=term.coefficient * sp.exp(constant),
        quadratic=term.quadratic + quadratic,
        linear=term.linear + linear,
    )
