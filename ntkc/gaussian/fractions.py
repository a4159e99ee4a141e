"""Expressions as sums over products of powers, each with a polynomial as its numerator.

Denominators and radicands stay the polynomials that they were written with. No greatest common divisor is looked for and nothing
is put over one denominator by SymPy, which takes it minutes on the sums of a Price chain.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, TypeAlias

import sympy as sp

from ntkc.gaussian.moments import C

Polynomial: TypeAlias = Any
"""An element of a polynomial ring over the rationals (SymPy has no public type for it)."""
Powers = frozenset[tuple[sp.Expr, sp.Rational]]
"""Exponents of polynomials (negative or halves), of numbers (halves) and of whatever else stands as it is."""
Parts = dict[Powers, Polynomial]
"""Numerators."""
LONGEST = 300
"""Terms of a polynomial that is still factored."""


class Reader:
    """Expressions in some symbols; `known` holds the polynomial of each base."""

    def __init__(self, symbols: list[sp.Symbol]) -> None:
        self.symbols = symbols
        self.ring = sp.ring(symbols, sp.QQ)[0]
        self.known: dict[sp.Expr, Polynomial] = {}
        values = (sp.QQ(31 + 7 * i, 29) if s.is_positive else sp.QQ(1, 97 + i) for i, s in enumerate(symbols))
        self._point = list(zip(self.ring.gens, values, strict=True))

    def read(self, e: sp.Expr) -> Parts:
        if e.is_Rational:
            return self._only({}, self.ring(sp.QQ.from_sympy(e)))
        if e in self.symbols:
            return self._only({}, self.ring.gens[self.symbols.index(e)])
        if e.is_Add:
            return add(self.read(part) for part in e.args)
        if e.is_Mul:
            return reduce(self.product, (self.read(part) for part in e.args))
        if e.is_Pow and e.exp.is_Rational and e.exp.q <= 2:
            return self._power(e.base, e.exp)
        return self._only({self._angle(*e.args) if isinstance(e, sp.atan2) else e: sp.S.One}, self.ring.one)

    def product(self, left: Parts, right: Parts) -> Parts:
        return add(self._only(_multiplied(k, m), p * q) for k, p in left.items() for m, q in right.items())

    def _only(self, powers: Mapping[sp.Expr, sp.Rational], numerator: Polynomial) -> Parts:
        """Whole powers of numbers, and positive ones of polynomials, go into the numerator."""
        kept = dict[sp.Expr, sp.Rational]()
        for base, n in powers.items():
            if base.is_Integer:
                numerator *= sp.QQ.from_sympy(base ** sp.floor(n))
                n -= sp.floor(n)
            elif base in self.known and n.is_Integer and n > 0:
                numerator *= self.known[base] ** int(n)
                continue
            if n:
                kept[base] = n
        return {frozenset(kept.items()): numerator} if numerator else {}

    def _power(self, base: sp.Expr, exponent: sp.Rational) -> Parts:
        if base.is_Integer:
            return self._only({base: exponent}, self.ring.one)
        inside = self.read(base)
        if exponent.is_Integer and exponent > 0:
            return reduce(self.product, [inside] * int(exponent))
        if single := self._together(inside):
            powers, numerator = single
            real = exponent.is_Integer or all(k in self.known or k.is_Integer for k, _ in powers)
            if real and (raised := self._raised(numerator, exponent)) is not None:
                return self.product(self._only({k: n * exponent for k, n in powers}, self.ring.one), raised)
        return self._only({base: exponent}, self.ring.one)

    def _together(self, parts: Parts) -> tuple[Powers, Polynomial] | None:
        """Over one denominator, if that is all that their factors are."""
        if len(parts) == 1:
            return next(iter(parts.items()))
        if not parts or not all(base in self.known and n.is_Integer for powers in parts for base, n in powers):
            return None
        under = {base: -min(dict(powers).get(base, sp.S.Zero) for powers in parts) for powers in parts for base, _ in powers}
        whole = self.product(parts, {frozenset(under.items()): self.ring.one})
        assert list(whole) == [frozenset()]
        return frozenset((base, -n) for base, n in under.items()), whole[frozenset()]

    def _raised(self, p: Polynomial, exponent: sp.Rational) -> Parts | None:
        """A power of its factors, of which each is positive at a point; none where that is no real number."""
        content, factors = p.factor_list()
        powers = dict[sp.Expr, sp.Rational]()
        for factor, n in factors:
            if factor.evaluate(self._point) < 0:
                factor, content = -factor, content * (-1) ** n
            powers[self._written(factor)] = n * exponent
        if content < 0 and not exponent.is_Integer:
            return None
        powers |= {sp.Integer(n): k * exponent for n, k in sp.factorrat(sp.QQ.to_sympy(content)).items()}
        return self._only(powers, self.ring.one)

    def _written(self, p: Polynomial) -> sp.Expr:
        """As a radicand is written best: (1 + 2 a)(1 + 2 b) - 4 c^2."""
        e = p.as_expr()
        if e.is_Add and e.has(C):
            start = e.subs(C, 0)
            e = sp.factor(start) + sp.expand(e - start)
        self.known[e] = p
        return e

    def _angle(self, y: sp.Expr, x: sp.Expr) -> sp.Expr:
        """atan2 with the same ratio and no denominators."""
        parts = self.read(y), self.read(x)
        if any(len(part) != 1 for part in parts):
            return sp.atan2(y, x)
        (above, p), (below, q) = (next(iter(part.items())) for part in parts)
        content = abs(q.content())
        under: dict[sp.Expr, sp.Rational] = {}
        for base, n in (*above, *below):
            if base in self.known:
                under[base] = max(under.get(base, sp.S.Zero), -n)
        scaled = (_multiplied(powers, frozenset(under.items())) for powers in (above, below))
        found = (self._only(powers, k.quo_ground(content)) for powers, k in zip(scaled, (p, q), strict=True))
        return sp.atan2(*(factored(k, *(base**n for base, n in powers)) for part in found for powers, k in part.items()))

    def reduced(self, parts: Parts, base: sp.Expr) -> Parts:
        """With c^2 written by the radicand R = p - q c^2 where q is a number, which makes long numerators short."""
        at, start, q = self.symbols.index(C), base.subs(C, 0), -base.coeff(C, 2)
        if not q.is_Rational or sp.expand(base - start + q * C**2) != 0:
            return parts
        free, found = self.read(start)[frozenset()], list[Parts]()
        for powers, p in parts.items():
            for monomial, k in p.terms():
                half, odd = divmod(monomial[at], 2)
                rest = self.ring({(*monomial[:at], odd, *monomial[at + 1 :]): k / sp.QQ.from_sympy(q) ** half})
                for j in range(half + 1):
                    times = _multiplied(powers, frozenset([(base, sp.Integer(j))]))
                    found.append(self._only(times, rest * free ** (half - j) * int((-1) ** j * sp.binomial(half, j))))
        return add(found)


def _multiplied(left: Powers, right: Powers) -> dict[sp.Expr, sp.Rational]:
    both = dict(left)
    for base, n in right:
        both[base] = both.get(base, sp.S.Zero) + n
    return both


def add(parts: Iterable[Parts]) -> Parts:
    """The sum, without zero entries."""
    total: Parts = {}
    for part in parts:
        for powers, p in part.items():
            total[powers] = total[powers] + p if powers in total else p
    return {powers: p for powers, p in total.items() if p}


def factored(p: Polynomial, *others: sp.Expr) -> sp.Expr:
    """Times other factors; a long one is written out."""
    content, factors = p.factor_list() if len(p) <= LONGEST else (sp.QQ(1), [(p, 1)])
    number, product = sp.QQ.to_sympy(content), sp.Mul(*(f.as_expr() ** n for f, n in factors), *others)
    return sp.Mul(number, product, evaluate=number == 1 or not product.is_Add)  # else SymPy multiplies the number out
