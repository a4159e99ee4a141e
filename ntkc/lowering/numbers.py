"""Moments at x at one random point, to compare expressions in them without expanding chains of equations."""

import random

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.erfs import erf_moment
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.ir.recursion import Equation, Recursion, Step

DIGITS = 30


class Numbers:
    """Inputs, hyperparameters and loop variables take random values; equations at x follow from them."""

    def __init__(self, recursion: Recursion, steps: tuple[Step, ...]) -> None:
        self._source = random.Random(7)
        self._laws = {dual.name: dual.law for dual in recursion.duals}
        self._values: dict[sp.Basic, sp.Expr] = {}
        self._opaque: dict[sp.Expr, sp.Expr] = {}
        self._walk(steps)

    def equal(self, left: sp.Expr, right: sp.Expr) -> bool:
        """Whether the two agree to 20 digits."""
        gap, size = self._number(left - right), self._number(right)
        return bool(abs(gap) < sp.Float("1e-20") * (1 + abs(size)))

    def _walk(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if not isinstance(step, Equation):
                self._walk(step.body)
            elif step.pair[3] == "1":
                self._values[step.symbol] = self._number(step.value)

    def _number(self, expr: sp.Expr) -> sp.Expr:
        calls = {call: self._call(call) for call in expr.atoms(AppliedUndef, erf_moment)}
        value = expr.xreplace(calls)
        for symbol in sorted(value.free_symbols - self._values.keys(), key=str):
            self._values[symbol] = sp.Rational(self._source.randrange(30, 170), 100)
        return value.evalf(DIGITS, subs={s: self._values[s] for s in value.free_symbols})

    def _call(self, call: sp.Expr) -> sp.Expr:
        if call not in self._opaque:
            law = self._laws.get(call.func.__name__)  # of no other is more known than that equal calls are equal
            if not isinstance(law, Expectation):
                self._opaque[call] = sp.Rational(self._source.randrange(30, 170), 100)
                return self._opaque[call]
            at = dict(zip((C, A, B), (self._number(x) for x in call.args), strict=True))
            self._opaque[call] = self._number(law.value.subs(at))
        return self._opaque[call]
