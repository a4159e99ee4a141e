"""Like powers of roots and angles gathered, each with one fraction in front."""

from collections.abc import Iterable

import sympy as sp

from ntkc.gaussian.fractions import Parts, Polynomial, Powers, Reader
from ntkc.gaussian.moments import C

JOINED = 60
"""Operations in powers of a root that are still put over one denominator."""
LONGEST = 300
"""Terms of a numerator that is still factored."""


def tidy(value: sp.Expr) -> sp.Expr:
    """The same expression."""
    symbols = sorted(value.free_symbols, key=str)
    if not symbols:
        return value
    reader = Reader(symbols)
    groups: dict[Powers, Parts] = {}
    for powers, p in reader.read(value).items():
        groups.setdefault(_kind(powers, reader), {})[powers] = p
    return sp.Add(*(_gathered(reader, kind, parts) for kind, parts in groups.items()))


def _kind(powers: Powers, reader: Reader) -> Powers:
    """The irrational factors that depend on c; of the roots only which they are."""
    inside = ((base, n % 1 if base in reader.known else n) for base, n in powers if base.has(C))
    return frozenset((base, n) for base, n in inside if n)


def _gathered(reader: Reader, kind: Powers, parts: Parts) -> sp.Expr:
    """One fraction, or where that is long, one for each power of the root; joined, the numerator holds each order of a, b and c
    once, and the powers cancel where these are small."""
    by_power: dict[Powers, Parts] = {}
    for powers, p in parts.items():
        exact = frozenset((base, n) for base, n in powers if (base, n % 1) in kind)
        by_power.setdefault(exact, {})[powers] = p
    pieces = [_fraction(reader, part) for part in by_power.values()]
    short = sum(piece.count_ops() for piece in pieces) <= JOINED and all(base in reader.known for base, _ in kind)
    return _fraction(reader, parts) if short and len(pieces) > 1 else sp.Add(*pieces)


def _fraction(reader: Reader, parts: Parts) -> sp.Expr:
    """Over common denominators, then without the factors that the numerator has in common with them."""
    bases = sorted({base for powers in parts for base, _ in powers}, key=sp.default_sort_key)
    exponents = {powers: dict(powers) for powers in parts}
    least = {base: min(exponents[powers].get(base, sp.S.Zero) for powers in parts) for base in bases}
    halves = [base for base in bases if any((exponents[powers].get(base, sp.S.Zero) - least[base]) % 1 or base not in reader.known for powers in parts)]
    names = {base: sp.Dummy() for base in halves}
    ring = sp.ring([*reader.symbols, *names.values()], sp.QQ)[0]
    roots = dict(zip(halves, ring.gens[len(reader.symbols) :], strict=True))
    total = ring.zero
    for powers, p in parts.items():
        term = p.set_ring(ring)
        for base in bases:
            excess = exponents[powers].get(base, sp.S.Zero) - least[base]
            if base in reader.known:
                term *= reader.known[base].set_ring(ring) ** int(sp.floor(excess))
                excess -= sp.floor(excess)
            if excess:
                term *= roots[base] ** int(2 * excess)
        total += term
    total, least = _cancelled(reader, total, least)
    back = {name: sp.sqrt(base) for base, name in names.items()}
    return _factored(total).xreplace(back) * sp.Mul(*(base**n for base, n in least.items()))


def _cancelled(reader: Reader, total: Polynomial, least: dict[sp.Expr, sp.Rational]) -> tuple[Polynomial, dict[sp.Expr, sp.Rational]]:
    left = dict(least)
    for base in [base for base in least if base in reader.known]:
        divisor = reader.known[base].set_ring(total.ring)
        while left[base] < 0:
            quotient, remainder = total.div(divisor)
            if remainder:
                break
            total, left[base] = quotient, left[base] + 1
    return total, left


def _factored(p: Polynomial) -> sp.Expr:
    if len(p) > LONGEST:
        return p.as_expr()
    content, factors = p.factor_list()
    return sp.Mul(sp.QQ.to_sympy(content), *(f.as_expr() ** n for f, n in factors))
