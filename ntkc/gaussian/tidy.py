"""Like powers of roots and angles gathered, each with one fraction in front."""

import sympy as sp

from ntkc.gaussian.fractions import Parts, Polynomial, Powers, Reader, factored
from ntkc.gaussian.moments import C

JOINED = 60
"""Operations in powers of a root that are still put over one denominator."""


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
    by_power = _by_power(kind, parts)
    pieces = [_fraction(reader, part) for part in by_power]
    if len(pieces) == 1 or len(kind) != 1 or not all(base in reader.known for base, _ in kind):
        return sp.Add(*pieces)
    if sum(piece.count_ops() for piece in pieces) <= JOINED:
        return _fraction(reader, parts)
    ((base, _),) = kind
    return sp.Add(*(_fraction(reader, part) for part in _by_power(kind, reader.reduced(parts, base))))


def _by_power(kind: Powers, parts: Parts) -> list[Parts]:
    found: dict[Powers, Parts] = {}
    for powers, p in parts.items():
        exact = frozenset((base, n) for base, n in powers if (base, n % 1) in kind)
        found.setdefault(exact, {})[powers] = p
    return list(found.values())


def _fraction(reader: Reader, parts: Parts) -> sp.Expr:
    """Over common denominators, or, if that is shorter, one for each product of roots without c."""
    whole, by_root = _single(reader, parts), dict[Powers, Parts]()
    for powers, p in parts.items():
        inside = ((base, n % 1 if base in reader.known else n) for base, n in powers)
        by_root.setdefault(frozenset((base, n) for base, n in inside if n), {})[powers] = p
    if len(by_root) == 1:
        return whole
    return min(whole, sp.Add(*(_single(reader, part) for part in by_root.values())), key=sp.count_ops)


def _single(reader: Reader, parts: Parts) -> sp.Expr:
    """One fraction, without the factors that its numerator has in common with the denominator."""
    each = [(dict(powers), p) for powers, p in parts.items()]
    bases = sorted({base for powers, _ in each for base in powers}, key=sp.default_sort_key)
    least = {base: min(powers.get(base, sp.S.Zero) for powers, _ in each) for base in bases}
    halves = {base for base in bases for powers, _ in each if (powers.get(base, sp.S.Zero) - least[base]) % 1}
    names = {base: sp.Dummy() for base in bases if base not in reader.known or base in halves}
    ring = sp.ring([*reader.symbols, *names.values()], sp.QQ)[0]
    roots = dict(zip(names, ring.gens[len(reader.symbols) :], strict=True))
    total = ring.zero
    for powers, p in each:
        term = p.set_ring(ring)
        for base in bases:
            excess = powers.get(base, sp.S.Zero) - least[base]
            if base in reader.known:
                term *= reader.known[base].set_ring(ring) ** int(sp.floor(excess))
                excess -= sp.floor(excess)
            if excess:
                term *= roots[base] ** int(2 * excess)
        total += term
    total, powers = _cancelled(reader, total, least)
    back = {name: sp.sqrt(base) for base, name in names.items()}
    return factored(total, *(base**n for base, n in powers.items())).xreplace(back)


def _cancelled(
    reader: Reader, total: Polynomial, least: dict[sp.Expr, sp.Rational]
) -> tuple[Polynomial, dict[sp.Expr, sp.Rational]]:
    left = dict(least)
    for base in [base for base in least if base in reader.known]:
        divisor = reader.known[base].set_ring(total.ring)
        while left[base] < 0:
            quotient, remainder = total.div(divisor)
            if remainder:
                break
            total, left[base] = quotient, left[base] + 1
    return total, left
