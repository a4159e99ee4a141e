"""Depth collapse: a homogeneous network without biases is |x| |x'| to a power times a function of the angle alone."""

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.ir.program import Collapse
from ntkc.ir.recursion import Equation, Recursion, Step
from ntkc.lowering.angles import Angles

SHALLOWEST, DEEPEST = 3, 2000


class Inhomogeneous(Exception):
    """A sum of terms that scale differently."""


def collapse(recursion: Recursion, steps: tuple[Step, ...], angles: Angles) -> Collapse | None:
    """How to collapse the network, if it can be and is deep enough to gain."""
    depth = _depth(steps, set(angles.curves))
    if not angles.pure or len(recursion.data) != 1 or not SHALLOWEST <= depth <= DEEPEST:
        return None
    scaling = _Scaling(recursion, angles)
    try:
        scaling.run(steps)
        found = {scaling.of(x) for o in recursion.outputs for x in o.values if x != 0}
    except Inhomogeneous:
        return None
    return Collapse(int(found.pop()), depth, 24 if depth <= 100 else 48) if len(found) == 1 else None


class _Scaling:
    """The power of |x| |x'| that each quantity grows with."""

    def __init__(self, recursion: Recursion, angles: Angles) -> None:
        self.parameters, self.curves = angles.parameters, angles.curves
        self.powers: dict[sp.Basic, sp.Expr] = dict.fromkeys(recursion.data[0].symbols, sp.S.One)

    def run(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if isinstance(step, Equation):
                self.powers[step.symbol] = self.of(step.value)
                continue
            for state in step.states:
                self.powers[state.symbol] = self.of(state.initial)
            for state in step.states:  # tangents may start from 0, which scales in any way
                if self.powers[state.symbol] is sp.S.NaN:
                    self.powers[state.symbol] = self.powers[step.states[0].symbol]
            self.run(step.body)
            for state in step.states:
                if self.of(state.following) not in (self.powers[state.symbol], sp.S.NaN):
                    raise Inhomogeneous
                self.powers[state.result] = self.powers[state.symbol]

    def of(self, value: sp.Expr) -> sp.Expr:
        if value == 0:
            return sp.S.NaN
        found = {self._term(term) for term in sp.Add.make_args(sp.expand(value))}
        if len(found) != 1:
            raise Inhomogeneous
        return found.pop()

    def _term(self, term: sp.Expr) -> sp.Expr:
        total: sp.Expr = sp.S.Zero
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if base.is_Symbol and base in self.powers:
                total += power * self.powers[base]
            elif isinstance(base, AppliedUndef) and base.func.__name__ in self.curves:
                total += power * self.curves[base.func.__name__].degree * self.of(base.args[0])
            elif not base.free_symbols <= self.parameters or base.atoms(AppliedUndef):
                raise Inhomogeneous
        return total


def _depth(steps: tuple[Step, ...], curves: set[str]) -> int:
    """The number of kinked functions one after another."""
    total = 0
    for step in steps:
        if isinstance(step, Equation):
            calls = {call.func.__name__ for call in step.value.atoms(AppliedUndef)}
            total += step.own is not None and bool(calls & curves)
        else:
            total += step.count * _depth(step.body, curves)
    return total
