"""Recursion -> Program: definitions for what is called by name, shapes for loop variables, delicate pieces as intrinsics."""

from sympy.core.function import AppliedUndef

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.terms import Z
from ntkc.ir.intrinsics import with_intrinsics
from ntkc.ir.network import Network
from ntkc.ir.program import Assign, Carry, Definition, For, Instruction, Program
from ntkc.ir.recursion import Data, Dual, Equation, LoopStep, Recursion, Step


def lower(recursion: Recursion, network: Network) -> Program:
    definitions = tuple(_definition(dual) for dual in recursion.duals)
    body = _body(recursion.steps, recursion.data[0])
    names = _called(recursion.steps)
    used = tuple(d for d in definitions if d.name in names)
    return Program(recursion.name, network, recursion.inputs, recursion.data, recursion.parameters, used, body, recursion.outputs)


def _definition(dual: Dual) -> Definition:
    law = dual.law
    describes = f"E f(u) g(v) with f(z) = {law.f}" + (f", g(z) = {law.g}" if law.f != law.g else ", g = f")
    value = with_intrinsics(law.value, C, A, B) if isinstance(law, Expectation) else law
    return Definition(dual.name, (C, A, B), value, describes.replace(str(Z), "z"))


def _body(steps: tuple[Step, ...], data: Data) -> tuple[Instruction, ...]:
    """Between loops, moments of a sample with itself come first: on the diagonal a cross moment is one of them."""
    instructions: list[Instruction] = []
    waiting: list[Equation] = []
    for step in steps:
        if isinstance(step, Equation):
            waiting.append(step)
            continue
        instructions += [*_equations(waiting), _loop(step, data)]
        waiting = []
    return (*instructions, *_equations(waiting))


def _equations(steps: list[Equation]) -> list[Assign]:
    own = {
        step.pair[1]: step.symbol
        for step in steps
        if step.pair[0] == "S" and step.pair[1] == step.pair[2] and step.pair[3] == "1"
    }
    ordered = sorted(steps, key=lambda step: step.pair[3] == "12")
    return [Assign(s.symbol, s.value, own.get(s.pair[1]) if _is_variance(s) else None, s.span) for s in ordered]


def _is_variance(step: Equation) -> bool:
    kind, p, q, side = step.pair
    return kind == "S" and p == q and side == "12"


def _loop(step: LoopStep, data: Data) -> For:
    carries = tuple(
        Carry(s.symbol, s.initial, s.following, s.result, data.symbols[("12", "1", "2").index(s.pair[3])]) for s in step.states
    )
    return For(step.count, carries, _body(step.body, data), step.span)


def _called(steps: tuple[Step, ...]) -> set[str]:
    """Names of the functions that the equations call."""
    names: set[str] = set()
    for step in steps:
        if isinstance(step, Equation):
            names |= {call.func.__name__ for call in step.value.atoms(AppliedUndef)}
        else:
            names |= _called(step.body)
            for state in step.states:
                calls = state.initial.atoms(AppliedUndef) | state.following.atoms(AppliedUndef)
                names |= {call.func.__name__ for call in calls}
    return names
