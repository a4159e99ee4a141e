"""Recursion -> values to any number of digits, with mpmath: slow, and written without a thought of speed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import sympy as sp

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series, coefficients
from ntkc.ir.recursion import SAME, Dual, Equation, Recursion, Step

Vector = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Values:
    """Kernels of one pair of samples, by output."""

    nngp: dict[str, Any]
    ntk: dict[str, Any]


def evaluate(
    recursion: Recursion,
    x1: Sequence[Vector],
    x2: Sequence[Vector],
    digits: int = 50,
    params: Mapping[str, object] | None = None,
) -> Values:
    """NNGP and NTK of one pair; `x1[i]` is the vector of the i-th input. x1 is x2 counts as the same sample."""
    with mp.workdps(digits + 10):
        machine = _Machine(recursion, x1 is x2, dict(params or {}))
        machine.load(x1, x2)
        machine.run(recursion.steps)
        nngp = {o.name: +machine.value(o.nngp) for o in recursion.outputs}
        ntk = {o.name: +machine.value(o.ntk) for o in recursion.outputs if o.ntk is not None}
        return Values(nngp, ntk)


class _Machine:
    def __init__(self, recursion: Recursion, same: bool, params: dict[str, object]) -> None:
        self.recursion = recursion
        self.memory: dict[sp.Symbol, Any] = {SAME: mp.mpf(int(same))}
        self.calls = {dual.name: _callable(dual, self.memory) for dual in recursion.duals}
        self._compiled: dict[sp.Expr, Any] = {}
        for p in recursion.parameters:
            given = params.get(p.symbol.name)
            self.memory[p.symbol] = mp.mpf(str(given)) if given is not None else _number(p.default)

    def load(self, x1: Sequence[Vector], x2: Sequence[Vector]) -> None:
        names = [node.name for node in self.recursion.inputs]
        for data in self.recursion.data:
            i, j = names.index(data.first.name), names.index(data.second.name)
            for symbol, u, v in zip(data.symbols, (x1[i], x1[i], x2[i]), (x2[j], x1[j], x2[j]), strict=True):
                self.memory[symbol] = mp.fdot([mp.mpf(float(s)) for s in u], [mp.mpf(float(t)) for t in v]) / len(u)

    def run(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if isinstance(step, Equation):
                self.memory[step.symbol] = self.value(step.value)
                continue
            self.memory.update({s.symbol: self.value(s.initial) for s in step.states})
            for _ in range(step.count):
                self.run(step.body)
                self.memory.update({s.symbol: v for s, v in [(s, self.value(s.following)) for s in step.states]})
            self.memory.update({s.result: self.memory[s.symbol] for s in step.states})

    def value(self, expr: sp.Expr) -> Any:
        symbols = sorted(expr.free_symbols, key=str)
        if expr not in self._compiled:
            self._compiled[expr] = sp.lambdify(symbols, expr, [self.calls, "mpmath"])
        return mp.mpf(self._compiled[expr](*(self.memory[s] for s in symbols)))


def _number(value: sp.Expr) -> Any:
    return mp.mpf(sp.N(value, mp.mp.dps)._mpf_)


def _callable(dual: Dual, memory: dict[sp.Symbol, Any]) -> Any:
    law = dual.law
    if isinstance(law, Series):
        return lambda c, a, b: _summed(law, c, a, b)
    free = sorted(law.value.free_symbols - {A, B, C}, key=str)
    compiled = sp.lambdify([C, A, B, *free], _clamped(law), "mpmath")
    return lambda c, a, b: mp.re(compiled(c, a, b, *(memory[s] for s in free)))


def _clamped(law: Expectation) -> sp.Expr:
    """Roots of ab - c^2 are of max(ab - c^2, 0), which rounding may make negative where u = v."""
    gram = A * B - C**2
    return law.value.xreplace({gram: sp.Max(gram, 0)}).subs(sp.sqrt(gram), sp.sqrt(sp.Max(gram, 0)))


def _summed(law: Series, c: Any, a: Any, b: Any) -> Any:
    """The truncated series, with its coefficients to double precision: more digits would be beyond its own error."""
    left, _ = coefficients(law.f, float(a), law.kinks, law.terms)
    right, _ = coefficients(law.g, float(b), law.kinks, law.terms)
    rho = c / mp.sqrt(a * b) if a * b else mp.mpf(0)
    return mp.fsum(mp.mpf(s * t) * rho**k for k, (s, t) in enumerate(zip(left, right, strict=True)))
