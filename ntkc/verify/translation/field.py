"""Exact values: sums of rational multiples of products of powers of atoms, each with its number at one random point.

An atom is a symbol, a function of values, or a name for a value. The number decides comparisons, and says which atoms might be
equal to a value; that they are equal is then proven by expanding names, latest first, until everything cancels.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from time import thread_time
from typing import Any

import mpmath as mp
import sympy as sp

from ntkc.verify.translation.monomials import Atom, Exponent, Form, Monomial, accumulate, alike, key, merged, plain

DIGITS = 60
"""Of numbers."""
LARGEST = 4000
LONGEST = 40
"""Terms: of a product, and of a value that has no name."""
SELDOM = 500
_ASKED = count()


class TooLarge(Exception):
    """A form has too many terms to go on with."""


class Unread(Exception):
    """What the reader has no rule for."""


def in_time(deadline: float) -> None:
    """Gives up after so many seconds of computing; looks at the clock now and then, since that may take a system call."""
    if next(_ASKED) % SELDOM == 0 and thread_time() > deadline:
        raise Unread("the program is too large to be read in the time allowed")


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """`form` is None where it grew too large; the number is still right."""

    field: "Field"
    form: Form | None
    number: Any

    def __add__(self, other: "Value") -> "Value":
        if self.form is None or other.form is None:
            return Value(self.field, None, self.number + other.number)
        if not self.form or not other.form:
            return other if not self.form else self
        found = dict(self.form)
        for monomial, k in other.form.items():
            accumulate(found, monomial, k)
        return Value(self.field, found, self.number + other.number)

    def __neg__(self) -> "Value":
        return self.times(Fraction(-1))

    def __sub__(self, other: "Value") -> "Value":
        return self + -other

    def times(self, k: Fraction) -> "Value":
        form = None if self.form is None else {m: k * c for m, c in self.form.items()} if k else {}
        return Value(self.field, form, self.number * k.numerator / k.denominator)

    def __mul__(self, other: "Value") -> "Value":
        number = self.number * other.number
        if self.form == {} or other.form == {}:
            return self.field.zero
        if self.form is None or other.form is None:
            return Value(self.field, None, number)
        for one, two in ((self, other), (other, self)):
            if len(one.form or ()) == 1 and () in (one.form or ()):
                return two.times((one.form or {})[()])
        try:
            return Value(self.field, self.field.product(self.form, other.form), number)
        except TooLarge:
            return Value(self.field, None, number)


@dataclass(slots=True)
class Field:
    """All atoms, and what is known of them."""

    longest: int = LONGEST
    deadline: float = float("inf")
    atoms: list[Atom] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)
    """What is equal to 45 digits without a proof."""
    branches: int = 0
    """Comparisons that were decided at the point."""
    seen: set[int] = field(default_factory=set)
    """Names that the code's values were found equal to."""
    meanings: dict[int, Any] = field(default_factory=dict)
    """What an application means: a form, or what makes its value."""
    multiples: dict[object, list[tuple[Value, Value]]] = field(default_factory=dict)
    """(factor, name): of values without their common factor, by their number."""
    _named: dict[object, list[int]] = field(default_factory=dict)
    _applications: dict[object, list[tuple[tuple[Value, ...], Value]]] = field(default_factory=dict)
    _special: set[int] = field(default_factory=set)
    _primes: dict[int, int] = field(default_factory=dict)

    @property
    def zero(self) -> Value:
        return Value(self, {}, mp.mpf(0))

    def constant(self, k: Fraction | int) -> Value:
        k = Fraction(k)
        return Value(self, {(): k} if k else {}, mp.mpf(k.numerator) / k.denominator)

    def atom(self, atom: Atom) -> Value:
        """A new one."""
        self.atoms.append(atom)
        index = len(self.atoms) - 1
        if atom.square or atom.prime:
            self._special.add(index)
        return self.of(index)

    def of(self, index: int) -> Value:
        return Value(self, {((index, 1),): Fraction(1)}, self.atoms[index].number)

    def product(self, f: Form, g: Form) -> Form:
        if len(f) * len(g) > LARGEST:
            raise TooLarge
        found: Form = {}
        for m, a in f.items():
            for n, b in g.items():
                self._put(found, merged(m, n), a * b)
        return found

    def _put(self, found: Form, monomial: Monomial, k: Fraction) -> None:
        """Roots have powers below 1, and primes between 0 and 1."""
        if not self._special.isdisjoint(i for i, _ in monomial):
            for i, e in monomial:
                atom = self.atoms[i]
                whole = e.__floor__() if atom.prime or (atom.square and e >= 1) else 0
                if not whole:
                    continue
                rest = merged(monomial, ((i, -whole),))
                if atom.prime:
                    return self._put(found, rest, k * Fraction(atom.prime) ** whole)
                expanded: Form = {rest: k}
                for _ in range(whole):
                    expanded = self.product(expanded, atom.definition or {})
                for m, c in expanded.items():
                    self._put(found, m, c)
                return None
        return accumulate(found, monomial, k)

    def prime(self, p: int) -> int:
        """The atom of a prime number, for its roots."""
        if p not in self._primes:
            self.atom(Atom(str(p), mp.mpf(p), True, prime=p))
            self._primes[p] = len(self.atoms) - 1
        return self._primes[p]

    def number_power(self, k: Fraction, exponent: Fraction) -> Form:
        """Of a rational, by the roots of its primes."""
        if exponent.denominator == 1:
            return {(): k ** int(exponent)}
        form: Form = {(): Fraction(1)}
        for part, sign in ((k.numerator, 1), (k.denominator, -1)):
            for p, e in sp.factorint(part).items():
                form = self.product(form, {((self.prime(int(p)), plain(exponent * int(e) * sign)),): Fraction(1)})
        return form

    # --- names ----------------------------------------------------------------------------------------------------------

    def name(self, name: str, value: Value, positive: bool, *, square: bool = False) -> Value:
        """An atom for a value: the one that is known to be equal, if there is one."""
        in_time(self.deadline)
        for index in self._named.get((square, key(value.number)), ()):
            meant = self.atoms[index].definition
            if self.equal(value, self.of(index) if meant is None else Value(self, meant, self.atoms[index].number), name):
                return self.of(index)
        found = self.atom(Atom(name, value.number, positive, value.form, square))
        self._named.setdefault((square, key(value.number)), []).append(len(self.atoms) - 1)
        return found

    def fresh(self, name: str, number: Any, positive: bool) -> Value:
        """A symbol that values may be found equal to."""
        found = self.atom(Atom(name, number, positive))
        self._named.setdefault((False, key(number)), []).append(len(self.atoms) - 1)
        return found

    def settled(self, value: Value) -> Value:
        """A value by the name that it is known by, or by a new one if it is long."""
        in_time(self.deadline)
        form = value.form
        if form is not None and (not form or () in form) and len(form) <= 1:
            return value
        if form is not None and len(form) == 1 and 1 in form.values():
            (monomial,) = form
            if len(monomial) == 1 and monomial[0][1] == 1:
                self.seen.add(monomial[0][0])
                return value
        for index in self._named.get((False, key(value.number)), ()):
            if self.equal(value, self.of(index), self.atoms[index].name):
                self.seen.add(index)
                return self.of(index)
        return value if form is not None and len(form) <= self.longest else self.name("", value, False)

    def apply(
        self, name: str, arguments: tuple[Value, ...], number: Any, *, positive: bool = False, meaning: Any = None
    ) -> Value:
        """A function of which nothing is known but that it is one, and what it means, if that is ever needed."""
        at = (name, *(key(a.number) for a in arguments))
        for others, found in self._applications.get(at, ()):
            if all(self.equal(a, b, f"an argument of {name}") for a, b in zip(arguments, others, strict=True)):
                return found
        found = self.atom(Atom(name, number() if callable(number) else number, positive))
        if meaning is not None:
            self.meanings[len(self.atoms) - 1] = meaning
        self._applications.setdefault(at, []).append((arguments, found))
        return found

    # --- proofs ---------------------------------------------------------------------------------------------------------

    def equal(self, u: Value, v: Value, what: str) -> bool:
        """Whether two values are; where that is too much to prove, whether they agree to 38 digits, which is noted down."""
        if not alike(u.number, v.number):
            return False
        if u.form == v.form and u.form is not None:
            return True
        difference = (u - v).form
        proven = difference is not None and (self._tried(difference, False) or self._tried(difference, True))
        if not proven:
            self.guesses.append(what)
        return True

    def _tried(self, difference: Form, deep: bool) -> bool:
        try:
            return self.vanishes(difference, deep)
        except (TooLarge, Unread):
            return False

    def _definition(self, index: int, deep: bool) -> Form | None:
        """Of a name; `deep` also of the functions that have one."""
        if deep and index in self.meanings:
            meaning = self.meanings[index]
            if callable(meaning):
                meaning = meaning().form
                self.meanings[index] = meaning
            found: Form | None = meaning
            return found
        return self.atoms[index].definition

    def vanishes(self, form: Form, deep: bool = False) -> bool:
        """Whether a form is 0 when names are expanded, the latest first, and denominators cleared."""
        if not form:
            return True
        known = {i: self._definition(i, deep) for m in form for i, _ in m}
        latest = max((i for i, definition in known.items() if definition is not None), default=None)
        if latest is None:
            return False
        definition = known[latest] or {}
        powers = {m: dict(m).get(latest, 0) for m in form}
        low = min(powers.values())
        one = len(definition) == 1 and self._positive(definition)
        parts: dict[Exponent, list[tuple[Monomial, Fraction, int]]] = {}
        for m, k in form.items():
            e = powers[m] - low
            rest = tuple(pair for pair in m if pair[0] != latest)
            part = e % 1
            if part and one:  # a power of a single term is one
                for n, c in self._root(definition, Fraction(part)).items():
                    parts.setdefault(0, []).append((merged(rest, n), k * c, int(e)))
            else:
                parts.setdefault(part, []).append((rest, k, int(e)))
        return all(self.vanishes(self._expanded(part, definition), deep) for part in parts.values())

    def _positive(self, term: Form) -> bool:
        ((monomial, k),) = term.items()
        return k > 0 and all(self.atoms[i].positive for i, _ in monomial)

    def _root(self, term: Form, exponent: Fraction) -> Form:
        ((monomial, k),) = term.items()
        return self.product({tuple((i, plain(e * exponent)) for i, e in monomial): Fraction(1)}, self.number_power(k, exponent))

    def _expanded(self, terms: Iterable[tuple[Monomial, Fraction, int]], definition: Form) -> Form:
        by_power: dict[int, Form] = {}
        for m, k, e in terms:
            accumulate(by_power.setdefault(e, {}), m, k)
        total: Form = {}
        for e in range(max(by_power), -1, -1):
            total = self.product(total, definition) if total else {}
            for m, k in by_power.get(e, {}).items():
                self._put(total, m, k)
            if len(total) > LARGEST:
                raise TooLarge
        return total
