"""Second moments of x with itself between all its positions: copies of the equations between x and x', where `own` asks."""

from dataclasses import replace

import sympy as sp

from ntkc.ir.recursion import Equation, LoopStep, Recursion, State, Step, diagonal, of_self, own, own_table


def with_tables(recursion: Recursion) -> Recursion:
    """`own(S)` becomes `diagonal(S_self)`, and S_self has equations of its own (side 11), in which `_2` is x again."""
    if not any(_asks(step) for step in recursion.steps):
        return recursion
    names = {s: of_self(s) for s in (*_cross(recursion.steps), *(data.symbols[0] for data in recursion.data))}
    return replace(recursion, steps=tuple(_expanded(recursion.steps, names)))


def _asks(step: Step) -> bool:
    if isinstance(step, Equation):
        return bool(step.value.has(own, own_table))
    return any(_asks(inner) for inner in step.body) or any(s.initial.has(own) or s.following.has(own) for s in step.states)


def _cross(steps: tuple[Step, ...]) -> list[sp.Symbol]:
    found: list[sp.Symbol] = []
    for step in steps:
        if isinstance(step, Equation):
            found += [step.symbol] * (step.pair[0] == "S" and step.pair[3] == "12")
        else:
            found += [
                s for state in step.states if state.pair[0] == "S" and state.pair[3] == "12" for s in (state.symbol, state.result)
            ]
            found += _cross(step.body)
    return found


def _expanded(steps: tuple[Step, ...], names: dict[sp.Symbol, sp.Symbol]) -> list[Step]:
    """Each equation between x and x' comes right before its copy; `own` reads the copies."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, LoopStep):
            states = [replace(s, initial=_own(s.initial, names), following=_own(s.following, names)) for s in step.states]
            copies = [_copy(s, names) for s in step.states if s.symbol in names]
            found.append(replace(step, states=(*copies, *states), body=tuple(_expanded(step.body, names))))
            continue
        if step.symbol in names:
            found.append(
                replace(step, symbol=names[step.symbol], value=step.value.xreplace(names), pair=(*step.pair[:3], "11"), own=None)
            )
        found.append(replace(step, value=_own(step.value, names)))
    return found


def _copy(state: State, names: dict[sp.Symbol, sp.Symbol]) -> State:
    new = {k: v.xreplace(names) for k, v in (("initial", state.initial), ("following", state.following))}
    return replace(state, symbol=names[state.symbol], result=names[state.result], pair=(*state.pair[:3], "11"), own=None, **new)


def _own(value: sp.Expr, names: dict[sp.Symbol, sp.Symbol]) -> sp.Expr:
    value = value.replace(own, lambda s: diagonal(s.xreplace(names)))
    return value.replace(own_table, lambda s: s.xreplace(names))
