"""Network -> Recursion: equations for K, Theta and means, demanded backwards from the outputs."""

from dataclasses import replace
from graphlib import TopologicalSorter
from typing import TypeVar

import sympy as sp

from ntkc.deriving.memory import CROSS, FIRST, SECOND, Underivable
from ntkc.deriving.rules import Rules
from ntkc.deriving.tables import with_tables
from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.gaussian.series import Unbounded
from ntkc.gaussian.slope import Discontinuous
from ntkc.ir.network import InputNode, Network
from ntkc.ir.recursion import Equation, LoopStep, Output, PositionMap, Recursion, State, Step, flat_mean
from ntkc.resolving.problem import SAMPLE_IT

Moment = TypeVar("Moment", Equation, State)


def derive(network: Network) -> Recursion:
    rules = Rules(network)
    try:
        outputs = tuple(_output(rules, name, node) for name, node in network.outputs)
        own = {node: rules.second(node, node, FIRST) for node in rules.variances() if rules.has_own(node)}
    except Underivable as error:
        raise ArchError([_diagnostic(network, error)]) from error
    inputs = tuple(node for node in network.nodes if isinstance(node, InputNode))
    duals = tuple(rules.duals.values())
    steps = _steps(rules, None, own)
    maps = tuple(PositionMap(name, geometry, grid) for (geometry, grid), name in rules.maps.items())
    data = tuple(rules.data.values())
    return with_tables(Recursion(network.name, inputs, data, network.parameters, duals, steps, outputs, maps, network.grids))


def _output(rules: Rules, name: str, node: int) -> Output:
    over = flat_mean if rules.network.grids[node] else lambda moment: moment
    nngp = over(rules.second(node, node, CROSS))
    try:
        return Output(name, nngp, over(rules.tangent(node, node)))
    except Discontinuous as error:
        return Output(name, nngp, None, str(error))


def _diagnostic(network: Network, error: Underivable) -> Diagnostic:
    span = network.nodes[error.node].origin.span
    help = "write it so that each nonlinearity acts on one Gaussian value, or as a sum of products of such"
    help += "" if isinstance(error.__cause__, Unbounded) else f", or {SAMPLE_IT}"
    return Diagnostic("no-closed-form", "the expectation of this value cannot be derived", span, error.reason, help)


def _steps(rules: Rules, place: int | None, own: dict[int, sp.Expr]) -> tuple[Step, ...]:
    """The equations and loops of one body, each after what it reads."""
    steps: list[Step] = [_with_own(e, own) for e in rules.scopes[place].equations if e.pair[3] != SECOND]
    for index, loop in enumerate(rules.network.loops):
        states = tuple(_with_own(s, own) for s in rules.scopes[index].states if s.pair[3] != SECOND)
        if loop.parent == place and states:
            turns = loop.count * (2 if index in rules.slow else 1)
            steps.append(LoopStep(index, turns, states, _steps(rules, index, own), loop.span))
    writer = {symbol: i for i, step in enumerate(steps) for symbol in _writes(step)}
    graph = {i: sorted({writer[s] for s in _reads(step) if s in writer} - {i}) for i, step in enumerate(steps)}
    return tuple(steps[i] for i in TopologicalSorter(graph).static_order())


def _with_own(moment: Moment, own: dict[int, sp.Expr]) -> Moment:
    kind, p, q, side = moment.pair
    return replace(moment, own=own[p]) if kind == "S" and p == q and side == CROSS and p in own else moment


def _writes(step: Step) -> set[sp.Symbol]:
    return {step.symbol} if isinstance(step, Equation) else {state.result for state in step.states}


def _reads(step: Step) -> set[sp.Symbol]:
    if isinstance(step, Equation):
        return set(step.value.free_symbols)
    return {s for state in step.states for s in (state.initial.free_symbols | state.following.free_symbols)} | {
        s for inner in step.body for s in _reads(inner)
    }
