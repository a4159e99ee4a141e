"""The first turn of a loop, written out before it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import sympy as sp

from ntkc.ir.recursion import Equation, LoopStep, State, Step
from ntkc.lowering.sides import Sides


def peel(steps: tuple[Step, ...], index: int, sides: Sides) -> tuple[Step, ...]:
    """The same steps, with the loop of that index one turn shorter, after its first turn; loops are numbered anew."""
    return _numbered(_peel(steps, index, sides), count())


def _peel(steps: tuple[Step, ...], index: int, sides: Sides) -> tuple[Step, ...]:
    found: list[Step] = []
    for step in steps:
        if isinstance(step, LoopStep) and step.index == index:
            found += _peeled(step, sides)
        else:
            found.append(replace(step, body=_peel(step.body, index, sides)) if isinstance(step, LoopStep) else step)
    return tuple(found)


def _numbered(steps: tuple[Step, ...], numbers: Iterator[int]) -> tuple[Step, ...]:
    return tuple(
        replace(step, index=next(numbers), body=_numbered(step.body, numbers)) if isinstance(step, LoopStep) else step
        for step in steps
    )


def _peeled(loop: LoopStep, sides: Sides) -> list[Step]:
    """Values of the first turn are named `first_...`; the states go on from what it ends with."""
    names: dict[sp.Basic, sp.Basic] = {s: sp.Symbol(f"first_{s.name}", **s.assumptions0) for s in _writes(loop.body)}
    names |= {state.symbol: state.initial for state in loop.states}
    firsts = {s: new for s, new in names.items() if s in sides.firsts}
    for new in firsts.values():
        sides.declare(new)
    names |= {sides.other(s): sides.other(new) for s, new in firsts.items()}
    first = [_renamed(step, names) for step in loop.body]
    states = tuple(replace(s, initial=s.following.xreplace(names)) for s in loop.states)
    return [*first, replace(loop, count=loop.count - 1, states=states)]


def _writes(steps: tuple[Step, ...]) -> Iterator[sp.Symbol]:
    for step in steps:
        if isinstance(step, Equation):
            yield step.symbol
        else:
            yield from (s for state in step.states for s in (state.symbol, state.result))
            yield from _writes(step.body)


def _renamed(step: Step, names: dict[sp.Basic, sp.Basic]) -> Step:
    def new(expr: sp.Expr | None) -> Any:
        return None if expr is None else expr.xreplace(names)

    if isinstance(step, Equation):
        return replace(step, symbol=new(step.symbol), value=new(step.value), own=new(step.own))
    states = tuple(State(new(s.symbol), new(s.initial), new(s.following), new(s.result), s.pair, new(s.own)) for s in step.states)
    return replace(step, states=states, body=tuple(_renamed(inner, names) for inner in step.body))
