"""Gaussian expectations as functions of values: opaque ones of (c, a, b), or of the angle where the code has curves for them."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import mpmath as mp
import sympy as sp

from ntkc.backends.exact import callable_of
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.ir.recursion import Dual
from ntkc.verify.translation import functions as fn
from ntkc.verify.translation.expression import value_of
from ntkc.verify.translation.field import Field, Unread, Value
from ntkc.verify.translation.gates import erf_moment
from ntkc.verify.translation.monomials import Atom
from ntkc.verify.translation.trace import MOMENT

DEGREES = range(9)


class Duals:
    """`curved` names those that the code reads by angle: E f(u) f(v) = (a b)^(p/2) kappa(d), d = (1 - c/sqrt(a b))/2."""

    def __init__(self, field: Field, duals: tuple[Dual, ...], given: Mapping[sp.Basic, Value], curved: frozenset[str]) -> None:
        self.field, self.given = field, given
        self.duals = {d.name: d for d in duals}
        numbers = {s: v.number for s, v in given.items()}
        self._run = {d.name: callable_of(d, numbers, object) for d in duals}
        self._extra: dict[str, list[sp.Symbol]] = {}
        self.degrees = {name: _degree(self.duals[name]) for name in curved}

    def extra(self, name: str) -> list[sp.Symbol]:
        """Hyperparameters that a dual reads."""
        if name not in self._extra:
            law = self.duals[name].law
            free = law.value.free_symbols - {A, B, C} if isinstance(law, Expectation) else set()
            self._extra[name] = sorted(free, key=lambda s: str(s.name))
        return self._extra[name]

    def __call__(self, name: str, arguments: tuple[Value, ...]) -> Value:
        """Of (c, a, b)."""
        if name not in self.duals:
            raise Unread(f"the function {name}")
        c, a, b = (self.field.settled(v) for v in arguments[:3])
        extra = tuple(self.given[s] for s in self.extra(name))
        if name not in self.degrees:
            number, meaning = (lambda: self._run[name](c.number, a.number, b.number)), self._meaning(name, c, a, b)
            return self.field.apply(name, (c, a, b, *extra), number, meaning=meaning)
        degree = self.degrees[name]
        if a.form == {} or b.form == {}:
            if degree == 0:
                raise Unread(f"{name} of a value that is 0")
            return self.field.zero
        roots = fn.power(a, Fraction(1, 2)) * fn.power(b, Fraction(1, 2))
        half = self.field.constant(Fraction(1, 2))
        d = self.field.settled(half - half * c * fn.power(roots, Fraction(-1)))
        return fn.power(roots, Fraction(degree)) * self.kappa(name, d)

    def _meaning(self, name: str, c: Value, a: Value, b: Value) -> Any:
        law = self.duals[name].law
        if not isinstance(law, Expectation):
            return None
        return lambda: value_of(self.field, law.value, {**self.given, C: c, A: a, B: b}, self)

    def kappa(self, name: str, d: Value) -> Value:
        """E f(u) f(v) of variances 1 at the angle where (1 - correlation)/2 is d."""
        if d.form == {}:
            return self.own(name)
        extra = tuple(self.given[s] for s in self.extra(name))
        return self.field.apply(f"{name}_kappa", (d, *extra), lambda: self._run[name](1 - 2 * d.number, mp.mpf(1), mp.mpf(1)))

    def own(self, name: str) -> Value:
        """E f(u)^2 of variance 1."""
        law = self.duals[name].law
        assert isinstance(law, Expectation)
        return value_of(self.field, sp.simplify(law.value.subs({A: 1, B: 1, C: 1})), self.given, self)

    def emitted(self, function: str, arguments: tuple[Value, ...]) -> Value:
        """What a function of the code means that is read by name."""
        if function.startswith(MOMENT):
            return erf_moment(self.field, int(function.removeprefix(MOMENT)), arguments)
        if function in self.duals:
            self._same_parameters(function, arguments[3:])
            return self(function, arguments)
        name, _, kind = function.rpartition("_")
        count = len(self.extra(name))
        d, extra, e = arguments[0], arguments[1 : 1 + count], arguments[1 + count :]
        self._same_parameters(name, extra)
        one = self.field.constant(1)
        if e and not self.field.equal(e[0], one - d, f"e = 1 - d at {function}"):
            raise Wrong(f"{function} is called with an e that is not 1 - d")
        if not e and d.number > mp.mpf(1) / 2:
            raise Wrong(f"{function} is called without e, but d is above 1/2")
        found = self.kappa(name, self.field.settled(d))
        if kind == "angle":
            return found
        return (one - found * fn.power(self.own(name), Fraction(-1))) * self.field.constant(Fraction(1, 2))

    def _same_parameters(self, name: str, extra: tuple[Value, ...]) -> None:
        for symbol, value in zip(self.extra(name), extra, strict=True):
            if not self.field.equal(value, self.given[symbol], f"the parameter {symbol} of {name}"):
                raise Wrong(f"{name} is called with another {symbol}")


class Wrong(Exception):
    """The code differs from the recursion."""


def _degree(dual: Dual) -> int:
    """p such that E f(s u) f(t v) = (s t)^p E f(u) f(v), proven."""
    law = dual.law
    if not isinstance(law, Expectation):
        raise Unread(f"a curve of the series {dual.name}")
    field = Field()
    names = sorted(law.value.free_symbols - {A, B, C}, key=str)
    known: dict[sp.Basic, Any] = {
        s: field.atom(Atom(s.name, mp.mpf(i + 3) / 7, bool(s.is_positive))) for i, s in enumerate(names)
    }
    s, t, r = (field.atom(Atom(n, mp.mpf(k) / 10, n != "r")) for n, k in (("s", 13), ("t", 17), ("r", 3)))
    one = field.constant(1)

    def at(c: Value, a: Value, b: Value) -> Value:
        return value_of(field, law.value, {**known, C: c, A: a, B: b}, _none)

    scaled, plain = at(s * t * r, s * s, t * t), at(r, one, one)
    for degree in DEGREES:
        if field.equal(scaled, plain * fn.power(s * t, Fraction(degree)), "homogeneity") and not field.guesses:
            return degree
    raise Unread(f"{dual.name} is not proven homogeneous")


def _none(name: str, arguments: tuple[Value, ...]) -> Value:
    raise Unread(f"the function {name}")
