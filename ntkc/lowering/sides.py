"""Moments of a sample with itself: derived with the suffix `_1` at x and `_2` at x', computed once per sample without one."""

from collections.abc import Iterator

import sympy as sp

from ntkc.ir.recursion import SAME, Equation, Recursion, Step, at_second, given_symbol


class Sides:
    """Which symbols are moments at x or at x' only, and the name of their counterpart."""

    def __init__(self, recursion: Recursion, steps: tuple[Step, ...]) -> None:
        self.data = list(dict.fromkeys(data.symbols[1] for data in recursion.data))
        self.firsts: set[sp.Symbol] = set(self.data)
        self.seconds: set[sp.Symbol] = {data.symbols[2] for data in recursion.data}
        self.givens = [given_symbol(given.name, "1") for given in recursion.givens]
        for symbol in self.givens:
            self.declare(symbol)
        for symbol, side in _symbols(steps):
            if side == "1":
                self.firsts.add(symbol)
                self.seconds.add(at_second(symbol))

    def cross(self, expr: sp.Expr, parameters: set[sp.Symbol]) -> set[sp.Symbol]:
        """Symbols that depend on both x and x'."""
        return {s for s in expr.free_symbols if s not in parameters | self.firsts | self.seconds | {SAME}}

    def name(self, name: str) -> sp.Symbol:
        """A new moment at x, `name_1`."""
        symbol = sp.Symbol(f"{name}_1", real=True, nonnegative=True)
        self.firsts.add(symbol)
        self.seconds.add(at_second(symbol))
        return symbol

    def declare(self, moment: sp.Basic) -> None:
        """A symbol that is to count as a moment at x."""
        if isinstance(moment, sp.Symbol):
            self.firsts.add(moment)
            self.seconds.add(at_second(moment))

    def other(self, expr: sp.Expr) -> sp.Expr:
        """An expression in moments at x, at x' instead."""
        return expr.xreplace({s: at_second(s) for s in expr.free_symbols if s in self.firsts})

    def first(self, expr: sp.Expr) -> sp.Expr:
        """An expression in moments at x', at x instead."""
        back = {at_second(s): s for s in self.firsts}
        return expr.xreplace({s: back[s] for s in expr.free_symbols if s in back})

    def bare(self, expr: sp.Expr) -> sp.Expr:
        """The same as the sample part names it."""
        owns = expr.free_symbols & (self.firsts | self.seconds)
        return expr.xreplace({s: sp.Symbol(s.name[:-2], **s.assumptions0) for s in owns})


def _symbols(steps: tuple[Step, ...]) -> Iterator[tuple[sp.Symbol, str]]:
    for step in steps:
        if isinstance(step, Equation):
            yield step.symbol, step.pair[3]
            continue
        for state in step.states:
            yield state.symbol, state.pair[3]
            yield state.result, state.pair[3]
        yield from _symbols(step.body)
