"""Network -> Recursion: equations for K, Theta and means, demanded backwards from the outputs."""

from dataclasses import replace
from graphlib import TopologicalSorter
from typing import TypeVar

import sympy as sp

from ntkc.deriving.batches import whole_batches
from ntkc.deriving.fuse import fuse
from ntkc.deriving.masks import mask_arrays
from ntkc.deriving.memory import CROSS, FIRST, SECOND, Underivable
from ntkc.deriving.rules import Rules
from ntkc.deriving.tables import with_tables
from ntkc.deriving.turns import restless
from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.gaussian.hermite import Unbounded
from ntkc.gaussian.slope import Discontinuous
from ntkc.ir.network import CombineNode, InputNode, Loop, Network
from ntkc.ir.recursion import Equation, GivenArray, LoopStep, Output, PositionMap, Recursion, State, Step, at_second
from ntkc.resolving.problem import SAMPLE_IT

Moment = TypeVar("Moment", Equation, State)


LONGEST_UNROLLED = 24
"""Turns; the second moments between all of them are equations, and so their number grows with its square."""


class Entangled(ArchError):
    """The turns of a `repeat` are correlated in a way that its states do not tell: it has to be written out."""

    def __init__(self, finding: Diagnostic, loop: Loop) -> None:
        self.loop = loop
        super().__init__([finding])


def check_turns(network: Network) -> None:
    """Under masks a loop's body is one for all turns only where each leaves the masks as they were."""
    if network.masked and (loop := restless(network)) is not None:
        message, label = (
            "a mask has no meaning in this `repeat`",
            "a turn leaves other positions present than stood there before it",
        )
        help = f"one of at most {LONGEST_UNROLLED} turns would be written out turn by turn"
        raise Entangled(Diagnostic("no-mask", message, loop.span, label, help), loop)


def derive(network: Network) -> Recursion:
    check_turns(network)
    network = fuse(network)
    inputs = tuple(node for node in network.nodes if isinstance(node, InputNode))
    try:
        network = whole_batches(network)
        rules = Rules(network)
        outputs = tuple(_output(rules, name, node) for name, node in network.outputs)
        own = {node: rules.second(node, node, FIRST) for node in rules.variances() if rules.has_own(node)}
    except Underivable as error:
        finding = _diagnostic(network, error)
        raise (ArchError([finding]) if error.loop is None else Entangled(finding, network.loops[error.loop])) from error
    duals = tuple(rules.duals.values())
    steps = _steps(rules, None, own)
    maps = tuple(PositionMap(name, geometry, grid) for (geometry, grid), name in rules.maps.items())
    data = tuple(rules.data.values())
    givens = (*(GivenArray(node.adjacency, node, 2) for node in inputs if node.adjacency), *mask_arrays(network))
    grids, parameters, batches = network.grids, network.parameters, network.batches
    return with_tables(Recursion(network.name, inputs, data, parameters, duals, steps, outputs, maps, grids, givens, batches))


def _output(rules: Rules, name: str, node: int) -> Output:
    def over(moment: sp.Expr) -> sp.Expr:
        return rules.averaged(moment, node, CROSS) if rules.network.grid(node) else moment

    nngp = over(rules.second(node, node, CROSS))
    try:
        return Output(name, nngp, over(rules.tangent(node, node)))
    except Discontinuous as error:
        return Output(name, nngp, None, str(error))


def _diagnostic(network: Network, error: Underivable) -> Diagnostic:
    span = network.nodes[error.node].origin.span
    help = "write it so that each nonlinearity acts on one Gaussian value, or as a sum of products of such"
    if error.sampled:
        help = f"{error.help}, or {SAMPLE_IT}" if error.help else SAMPLE_IT
    elif error.help:
        help = error.help
    elif error.loop is not None:
        help = f"a `repeat` of at most {LONGEST_UNROLLED} turns would be written out turn by turn"
    elif not isinstance(error.__cause__, Unbounded):
        help += f", or {SAMPLE_IT}"
    return Diagnostic("no-closed-form", "the expectation of this value cannot be derived", span, error.reason, help)


def _steps(rules: Rules, place: int | None, own: dict[int, sp.Expr]) -> tuple[Step, ...]:
    """The equations and loops of one body, each after what it reads."""
    steps: list[Step] = [_with_own(e, own) for e in rules.scopes[place].equations if e.pair[3] != SECOND]
    for index, loop in enumerate(rules.network.loops):
        states = tuple(_with_own(s, own) for s in rules.scopes[index].states if s.pair[3] != SECOND)
        if loop.parent == place and states:
            slow = _stages(rules, index) * loop.count * (loop.count + 1) // 2
            turns = slow if index in rules.slow else loop.count
            steps.append(LoopStep(index, turns, states, _steps(rules, index, own), loop.span))
    writer = {symbol: i for i, step in enumerate(steps) for symbol in _writes(step)}
    graph = {i: sorted({writer[s] for s in _reads(step) if s in writer} - {i}) for i, step in enumerate(steps)}
    return tuple(steps[i] for i in TopologicalSorter(graph).static_order())


def _stages(rules: Rules, loop: int) -> int:
    """How many values of one step, each a function of those before it, need the variances of one another."""
    nodes = {i for s in rules.scopes[loop].states if s.pair[0] == "S" for i in s.pair[1:3]}
    return max(1, sum(not isinstance(rules.network.nodes[i], CombineNode) for i in nodes))


def _with_own(moment: Moment, own: dict[int, sp.Expr]) -> Moment:
    kind, p, q, side = moment.pair
    return replace(moment, own=own[p]) if kind == "S" and p == q and side == CROSS and p in own else moment


def _writes(step: Step) -> set[sp.Symbol]:
    """A moment at x stands for the same at x', too."""
    moments = [step] if isinstance(step, Equation) else step.states
    names = {m.symbol if isinstance(m, Equation) else m.result: m.pair[3] for m in moments}
    return {*names, *(at_second(symbol) for symbol, side in names.items() if side == FIRST)}


def _reads(step: Step) -> set[sp.Symbol]:
    if isinstance(step, Equation):
        return set(step.value.free_symbols)
    return {s for state in step.states for s in (state.initial.free_symbols | state.following.free_symbols)} | {
        s for inner in step.body for s in _reads(inner)
    }
