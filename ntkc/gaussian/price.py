"""E f(u) g(v) for jointly Gaussian u, v in closed form, by Price's theorem (Price 1958):

    d/dc E f(u) g(v) = E f'(u) g'(v)        (u, v) ~ N(0, [[a, c], [c, b]]).

Differentiate until both sides are elementary, take that expectation, integrate back over c; the constants are the values at
c = 0, where u and v are independent. The chain itself is the certificate.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sympy as sp

from ntkc.gaussian.antiderivative import RING, SCALE_U, SCALE_V, VARIANCE_U, VARIANCE_V, Rational, Span, antiderivative
from ntkc.gaussian.elementary import Gauss, Side, bottom, exponentials, slope, tilt
from ntkc.gaussian.exponential import gather
from ntkc.gaussian.moments import A, B, C, mean_of_terms
from ntkc.gaussian.terms import NotClosed, Term, Terms, decompose, differentiate
from ntkc.gaussian.tidy import tidy


@dataclass(frozen=True, slots=True)
class Chain:
    """One pair of terms: E f(u) g(v) = weight E[f0(u) g0(v) exp(quadratics)].

    `links[i]` is E f0^(i)(u) g0^(i)(v) under N(0, [[a, c], [c, b]]), the last one elementary. With `tilted`, the Gaussian
    factors exp(q z^2) of f and g were moved into the covariance (det, a, b, c) first.
    """

    f: sp.Expr
    g: sp.Expr
    weight: sp.Expr
    links: tuple[sp.Expr, ...]
    quadratics: tuple[sp.Expr, sp.Expr] = (sp.S.Zero, sp.S.Zero)
    tilted: tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr] | None = None

    @property
    def value(self) -> sp.Expr:
        if self.tilted is None:
            return self.weight * self.links[0]
        det, a, b, c = self.tilted
        return self.weight * self.links[0].subs({A: a, B: b, C: c}, simultaneous=True) / sp.sqrt(det)


@dataclass(frozen=True, slots=True)
class Expectation:
    """`value` is E f(u) g(v) in the symbols a, b, c, the sum of the chains' values."""

    f: sp.Expr
    g: sp.Expr
    value: sp.Expr
    chains: tuple[Chain, ...]


@cache
def expectation(f: sp.Expr, g: sp.Expr) -> Expectation:
    """E f(u) g(v) of two functions of the symbol `Z`; NotClosed where some pair of terms has no chain."""
    pairs = [(s, t) for s in decompose(f) for t in decompose(g)]
    smooth = [(s, t) for s, t in pairs if _exponential(s) and _exponential(t)]
    chains = [_chain(s, t) for s, t in pairs if not (_exponential(s) and _exponential(t))]
    value = tidy(sp.Add(*(chain.value for chain in chains)))
    if smooth:
        part = gather([exponentials(s, t) for s, t in smooth])
        left, right = (sp.Add(*dict.fromkeys(pair[i].expr() for pair in smooth)) for i in (0, 1))
        chains.append(Chain(left, right, sp.S.One, (part,)))
        value += part
    return Expectation(f, g, value, tuple(chains))


def _exponential(term: Term) -> bool:
    return not (term.step or term.scale)


def _chain(s: Term, t: Term) -> Chain:
    if s.linear or t.linear:
        raise NotClosed("a sine, cosine or exponential times a step or an erf: its expectation is not elementary")
    quadratics = s.quadratic, t.quadratic
    plain = tuple(replace(term, coefficient=sp.S.One, quadratic=sp.S.Zero) for term in (s, t))
    tilted = tilt(s, t) if any(quadratics) else None
    links = (sp.S.Zero,) if _odd(*plain) else _links(*plain)
    return Chain(plain[0].expr(), plain[1].expr(), s.coefficient * t.coefficient, links, quadratics, tilted)


def _odd(s: Term, t: Term) -> bool:
    """Whether the product changes its sign with u and v."""
    return not (s.step or t.step) and (s.power + bool(s.scale) + t.power + bool(t.scale)) % 2 == 1


@cache
def _links(s: Term, t: Term) -> tuple[sp.Expr, ...]:
    if str(t) < str(s):  # the same with u and v exchanged
        return tuple(link.xreplace({A: B, B: A}) for link in _links(t, s))
    for term, other in ((s, t), (t, s)):
        if term.step and term.scale and not _exponential(other):
            raise NotClosed("a step times an erf on one side and a step or erf on the other: four-dimensional orthants")
    if _exponential(s) or _exponential(t):
        return _polynomial_links(s, t)
    steps = max(s.power, t.power) + 1
    scales = _squared_scales(s, t)
    span = bottom(_derivative(s, steps, scales[0]), _derivative(t, steps, scales[1]), scales)
    means = _means(s, t, steps)
    spans, loose = [span], [sp.S.Zero]
    for i in reversed(range(steps)):
        spans.insert(0, antiderivative(spans[0]))
        raised = sp.integrate(loose[0], C)
        loose.insert(0, raised + _constant(means[i], spans[0], s, t))
    return tuple(_to_expr(span, s, t) + rest for span, rest in zip(spans, loose, strict=True))


def _means(s: Term, t: Term, steps: int) -> list[sp.Expr]:
    """The values at c = 0 of the first links, where u and v are independent."""
    left: Terms = (s,)
    right: Terms = (t,)
    means = list[sp.Expr]()
    for _ in range(steps):
        means.append(mean_of_terms(left, A) * mean_of_terms(right, B))
        left, right = differentiate(left), differentiate(right)
    return means


def _polynomial_links(s: Term, t: Term) -> tuple[sp.Expr, ...]:
    """One side is a polynomial: the chain ends in 0, and each link is a polynomial in c by Taylor's formula at c = 0."""
    steps = min(term.power for term in (s, t) if _exponential(term)) + 1
    means = [sp.simplify(mean) for mean in _means(s, t, steps)] + [sp.S.Zero]
    return tuple(sp.Add(*(mean * C**i / sp.factorial(i) for i, mean in enumerate(means[start:]))) for start in range(len(means)))


def _derivative(term: Term, steps: int, squared_scale: Rational) -> Side:
    """The steps-th derivative of z^n H(z), over n!, or of z^n erf(r z), over 2r/sqrt(pi): see `_weight`."""
    if term.step:
        return steps - term.power - 1
    flat: dict[int, Rational] = {}  # Leibniz: sum over how many derivatives fall on z^n, at least one on erf
    gauss: Gauss = ((RING.one, 0),)
    for falls_on_erf in range(1, steps + 1):
        falls_on_power = steps - falls_on_erf
        if falls_on_power <= term.power:
            count = int(sp.binomial(steps, falls_on_erf) * sp.ff(term.power, falls_on_power))
            for k, n in gauss:
                power = n + term.power - falls_on_power
                flat[power] = flat.get(power, RING.zero) + k * count
        gauss = slope(gauss, squared_scale)
    return tuple((k, power) for power, k in flat.items() if k != 0)


def _weight(s: Term, t: Term) -> sp.Expr:
    """What `bottom` leaves out: the densities at 0 and the leading coefficients of the derivatives."""
    factors = (sp.factorial(term.power) if term.step else 2 * term.scale / sp.sqrt(sp.pi) for term in (s, t))
    return sp.Mul(*factors) / sp.sqrt(2 * sp.pi) ** (int(s.step) + int(t.step))


def _squared_scales(s: Term, t: Term) -> tuple[Rational, Rational]:
    """As numbers where they are, which is faster."""
    squares = s.scale**2, t.scale**2
    g, h = (RING(sp.QQ.from_sympy(x)) if x.is_Rational else symbol for x, symbol in zip(squares, (SCALE_U, SCALE_V), strict=True))
    return g, h


def _radicand(s: Term, t: Term, a: Rational, b: Rational, g: Rational, h: Rational) -> tuple[Rational, Rational]:
    """(p, q) of S, in any algebra: variances a, b and squared scales g, h."""
    if s.step and t.step:
        return a * b, a**0
    if s.step:
        return a * (1 + 2 * h * b), 2 * h
    if t.step:
        return b * (1 + 2 * g * a), 2 * g
    return (1 + 2 * g * a) * (1 + 2 * h * b), 4 * g * h


def _root_q(s: Term, t: Term) -> sp.Expr:
    """With the signs of the scales."""
    scales = [term.scale for term in (s, t) if not term.step]
    return sp.sqrt(2) ** len(scales) * sp.Mul(*scales)


def _constant(mean: sp.Expr, span: Span, s: Term, t: Term) -> sp.Expr:
    """What the antiderivative lacks at c = 0; most often nothing, as a point tells."""
    symbols = sorted({*mean.free_symbols, *s.scale.free_symbols, *t.scale.free_symbols}, key=str)
    point = {symbol: sp.Rational(37 + 4 * i, 41) for i, symbol in enumerate(symbols)}
    p, q = _radicand(s, t, A, B, s.scale**2, t.scale**2)
    values = [x.subs(point) for x in (A, B, p, q, s.scale**2, t.scale**2)]
    if all(value.is_Rational for value in values):
        at = list(zip(RING.gens, map(sp.QQ.from_sympy, values), strict=True))
        known = (
            sp.QQ.to_sympy(_quotient(k, at)) * values[2] ** sp.Rational(j, 2)
            for (i, j, turn), k in span.items()
            if i == 0 and turn == 0
        )
        gap = mean - _weight(s, t) * sp.Add(*known)
        if abs(gap.evalf(30, subs=point)) < sp.Float("1e-24"):
            return sp.S.Zero
    gap = mean - _to_expr(span, s, t, at=sp.S.Zero)
    return sp.S.Zero if abs(gap.evalf(30, subs=point)) < sp.Float("1e-24") else sp.simplify(gap)


def _to_expr(span: Span, s: Term, t: Term, at: sp.Expr = C) -> sp.Expr:
    """As an expression at c = at, T written with atan2(c sqrt(q), S), which keeps its digits where S is small."""
    p, q = _radicand(s, t, A, B, s.scale**2, t.scale**2)
    root_q = _root_q(s, t)
    root = sp.sqrt(p - q * at**2)
    angle = sp.atan2(at * root_q, root) / root_q
    weight = _weight(s, t)
    return sp.Add(
        *(
            weight * _coefficient(k, s, t) * at**i * root**j * angle**turn
            for (i, j, turn), k in span.items()
            if at != 0 or (i == 0 and turn == 0)
        )
    )


def _coefficient(k: Rational, s: Term, t: Term) -> sp.Expr:
    """Factored, with p and q written out, in the ring as long as possible: SymPy's expressions are a hundred times slower."""
    values = dict(zip((RING.symbols[i] for i in (0, 1, 4, 5)), (A, B, s.scale**2, t.scale**2), strict=True))
    numerator, under = _apart(k)
    p, q = _radicand(s, t, VARIANCE_U, VARIANCE_V, *_squared_scales(s, t))
    content, rest, powers = sp.QQ(1), _written(numerator, p, q), list[sp.Expr]()
    for base, power in zip((VARIANCE_U, VARIANCE_V, p, q), under, strict=False):
        number, factors = _factors(base)
        content /= number**power
        for factor, n in factors:
            rest, left = _divided(rest, factor, n * power)
            powers.append(factor.as_expr() ** -left)
    number, factors = _factors(rest)
    return sp.Mul(sp.QQ.to_sympy(number * content), *(f.as_expr() ** n for f, n in factors), *powers).xreplace(values)


def _apart(k: Rational) -> tuple[Rational, tuple[int, ...]]:
    """A polynomial, and the exponents of what it is divided by."""
    under = tuple(max(0, *(-n for n in column), 0) for column in zip(*k.itermonoms(), strict=True))
    shifted = {tuple(n + m for n, m in zip(monomial, under, strict=True)): x for monomial, x in k.terms()}
    return RING.from_dict(shifted), under


def _quotient(k: Rational, at: list[tuple[Rational, Any]]) -> Any:
    """At a point."""
    numerator, under = _apart(k)
    return numerator.evaluate(at) / RING.from_dict({under: sp.QQ(1)}).evaluate(at)


@cache
def _factors(polynomial: Rational) -> tuple[Any, list[tuple[Rational, int]]]:
    """A number, and factors with their powers."""
    number, factors = polynomial.factor_list()
    return number, factors


def _divided(polynomial: Rational, factor: Rational, times: int) -> tuple[Rational, int]:
    """As often as it goes without remainder, and how often is left."""
    while times:
        quotient, remainder = polynomial.div(factor)
        if remainder:
            break
        polynomial, times = quotient, times - 1
    return polynomial, times


def _written(polynomial: Rational, p: Rational, q: Rational) -> Rational:
    """A polynomial with p and q replaced, by Horner's rule in p."""
    ring = polynomial.ring
    by_power: dict[int, Rational] = {}
    for (i, j, m, n, *rest), k in polynomial.terms():
        by_power[m] = by_power.get(m, ring.zero) + ring.from_dict({(i, j, 0, 0, *rest): k}) * q**n
    total = ring.zero
    for m in reversed(range(max(by_power) + 1)):
        total = total * p + by_power.get(m, ring.zero)
    return total
