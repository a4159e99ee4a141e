"""Products of powers of atoms, and numbers as keys."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath as mp

Exponent: TypeAlias = int | Fraction
Monomial: TypeAlias = tuple[tuple[int, Exponent], ...]
Form: TypeAlias = dict[Monomial, Fraction]
BITS = 130
"""In which numbers are compared."""
CLOSE, LEAST = mp.mpf("1e-38"), mp.mpf("1e-6")


@dataclass(frozen=True, slots=True)
class Atom:
    """`square` atoms stand for their definition to a power below 1; other definitions are expanded only in proofs."""

    name: str
    number: Any
    positive: bool
    definition: Form | None = None
    square: bool = False
    prime: int = 0


def accumulate(form: Form, monomial: Monomial, k: Fraction) -> None:
    """Adds a term."""
    known = form.get(monomial)
    total = k if known is None else known + k
    if total:
        form[monomial] = total
    else:
        form.pop(monomial, None)


def plain(exponent: Exponent) -> Exponent:
    """Integers as such."""
    return int(exponent) if exponent.denominator == 1 else exponent


def merged(m: Monomial, n: Monomial) -> Monomial:
    """The product of two monomials."""
    found = dict(m)
    for i, e in n:
        total = found.get(i, 0) + e
        if total:
            found[i] = plain(total)
        else:
            del found[i]
    return tuple(sorted(found.items()))


def key(number: Any) -> object:
    """A number to so many bits."""
    sign, man, exp, bc = number._mpf_
    if not man:
        return 0
    shift = bc - BITS
    return (sign, (man + (1 << (shift - 1))) >> shift, exp + shift) if shift > 0 else (sign, man << -shift, exp + shift)


def alike(u: Any, v: Any) -> bool:
    """Whether two numbers agree to 38 digits."""
    return bool(abs(u - v) <= CLOSE * max(abs(u), abs(v), LEAST))
