"""The pair part on second moments themselves: sums of any sign, tables over positions. Kinked functions still go by the angle,
which is read off the moments, so near duplicates want float64."""

from dataclasses import dataclass, field, replace

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.erfs import erf_moment
from ntkc.gaussian.price import Expectation
from ntkc.ir.intrinsics import ratio
from ntkc.ir.program import Assign, Carry, For, Instruction
from ntkc.ir.recursion import Dual, Equation, LoopStep, Recursion, State, Step, zeros
from ntkc.lowering.calls import called_once
from ntkc.lowering.cells import SAME_CELL, NotCellwise, cells, cellwise, where_here
from ntkc.lowering.forms import FULL, MATCHED, Forms
from ntkc.lowering.homogeneous import Homogeneous, homogeneous
from ntkc.lowering.sides import Sides
from ntkc.lowering.twins import Twins

TOP = -1
half_gap = sp.Function("_half_gap")


@dataclass
class Place:
    """What a loop body has computed so far: angles by moment and form, and what the sample part has to add."""

    angles: dict[tuple[sp.Expr, str], tuple[sp.Symbol, sp.Symbol, sp.Expr]] = field(default_factory=dict)
    calls: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)
    extra: list[Assign] = field(default_factory=list)


class Moments:
    """`run(steps, "12")` gives the pair part, `run(steps, "11")` the tables of x with itself."""

    def __init__(self, recursion: Recursion, sides: Sides, forms: Forms) -> None:
        self.sides, self.forms = sides, forms
        self.parameters = {p.symbol for p in recursion.parameters}
        self.duals: dict[str, Dual] = {dual.name: dual for dual in recursion.duals}
        self.curves: dict[str, Homogeneous] = {}
        self.places: dict[int, Place] = {}
        self._known: dict[tuple[sp.Expr, int], sp.Symbol] = {}
        self._twins = Twins(sides, self.parameters)

    @property
    def extra(self) -> dict[int, list[Assign]]:
        """What the sample part computes besides, by loop."""
        return {index: place.extra for index, place in self.places.items()}

    def run(self, steps: tuple[Step, ...], kind: str, place: int = TOP) -> list[Instruction]:
        here = self.places.setdefault(place, Place())
        here.angles.clear()
        here.calls.clear()
        found: list[Instruction] = []
        for step in steps:
            if isinstance(step, LoopStep):
                found += self._for(step, kind, place)
            elif step.pair[3] == kind:
                found += self._equation(step, place)
        return found

    def output(self, value: sp.Expr) -> sp.Expr:
        """An output's value, a mean over positions at most; a whole table, if its positions are samples."""
        return self.forms.rewritten(value, FULL, (1, 1)) if self.forms.batches else self.forms.rewritten(value, MATCHED, (0, 0))

    def _equation(self, step: Equation, place: int) -> list[Instruction]:
        self._twins.add(step)
        form, ranks = self.forms.form(step.symbol), self.forms.pairs[step.symbol]
        before, value = self._value(self._twins.shorter(step), form, ranks, place)
        own = None if step.own is None else self.forms.rewritten(step.own, MATCHED, (0, 0))
        if own is not None and form == FULL and any(ranks):
            value, own = sp.Function("_with_diagonal")(value, own, sp.Symbol("same"), sp.Integer(ranks[0])), None
        if value.has(erf_moment):
            value = called_once(value, self.places[place].calls, before, "_self" if step.pair[3] == "11" else "")
        return [*before, Assign(step.symbol, value, own, step.span)]

    def _value(self, value: sp.Expr, form: str, ranks: tuple[int, int], place: int) -> tuple[list[Instruction], sp.Expr]:
        before, value = self._by_angle(value, form, ranks, place)
        return before, self.forms.rewritten(self._hoisted(value, place), form, ranks)

    def _by_angle(self, value: sp.Expr, form: str, ranks: tuple[int, int], place: int) -> tuple[list[Instruction], sp.Expr]:
        """The value with its kinked functions by their angles, and what gives these."""
        before: list[Instruction] = []
        for call in sorted((c for c in value.atoms(AppliedUndef) if self._curve(c)), key=str):
            assigns, replaced = self._kinked(call, form, ranks, place)
            before += assigns
            value = value.xreplace({call: replaced})
        return before, value

    def _curve(self, call: sp.Expr) -> Homogeneous | None:
        """The function of the angle that a call is, if it is one and depends on both sides."""
        dual = self.duals.get(call.func.__name__)
        if dual is None or not isinstance(dual.law, Expectation) or not self.sides.cross(call.args[0], self.parameters):
            return None
        return homogeneous(dual.law)

    def _kinked(self, call: sp.Expr, form: str, ranks: tuple[int, int], place: int) -> tuple[list[Instruction], sp.Expr]:
        curve = self._curve(call)
        assert curve is not None
        name, (c, a, b) = call.func.__name__, call.args
        self.curves[name] = curve
        known = self.places[place].angles
        assigns: list[Instruction] = []
        if (call.args, form) not in known:
            scale = self._hoisted(sp.sqrt(a) * sp.sqrt(b), place)
            stem = f"{c}{'' if form == FULL or not any(ranks) else '_matched'}" if c.is_Symbol else f"{len(known)}_{place + 1}"
            d, e = sp.Symbol(f"d_{stem}"), sp.Symbol(f"e_{stem}")
            inverse = self._hoisted(ratio(1, sp.sqrt(a)) * ratio(1, sp.sqrt(b)), place)
            gap = half_gap(*(self.forms.rewritten(x, form, ranks) for x in (c, inverse)))
            assigns = [Assign(d, gap), Assign(e, 1 - d)]
            known[call.args, form] = d, e, scale
        d, e, scale = known[call.args, form]
        value = sp.Function(f"{name}_angle")(d, e)
        return assigns, scale**curve.degree * value if curve.degree else value

    def _hoisted(self, value: sp.Expr, place: int) -> sp.Expr:
        """Functions of one side's moments become moments of their own, computed once per sample."""
        if value.is_Symbol or not value.args or not value.free_symbols:
            return value
        free = value.free_symbols - self.parameters
        if (value.is_Pow or isinstance(value, ratio | erf_moment | AppliedUndef)) and free and not value.has(zeros):
            if free <= self.sides.firsts:
                return self._own(value, place)
            if free <= self.sides.seconds:
                return self.sides.other(self._own(self.sides.first(value), place))
        return value.func(*(self._hoisted(part, place) for part in value.args))

    def _own(self, value: sp.Expr, place: int) -> sp.Symbol:
        key = value, place
        if key not in self._known:
            self._known[key] = symbol = self.sides.name(f"own{len(self._known)}")
            rank = self.forms.ranks_of(value)[0]
            self.forms.owns[symbol] = rank
            self.places[place].extra.append(Assign(symbol, self.forms.rewritten(value, MATCHED, (rank, 0))))
        return self._known[key]

    # --- loops ----------------------------------------------------------------------------------------------------------

    def _for(self, step: LoopStep, kind: str, place: int) -> list[Instruction]:
        states = [s for s in step.states if s.pair[3] == kind]
        if (loop := self._by_cells(step, tuple(states), kind)) is not None:
            return [loop] if kind == "12" else [_settling(loop, states)]
        body = self.run(step.body, kind, step.index)
        before: list[Instruction] = []
        carries = []
        for state in states:
            form, ranks = self.forms.form(state.symbol), self.forms.pairs[state.symbol]
            assigns, initial = self._value(state.initial, form, ranks, place)
            inner, following = self._value(state.following, form, ranks, step.index)
            if initial == 0 and any(ranks):
                initial = sp.Function("jnp.zeros_like")(self._like(state, states, form))
            before += assigns
            body += inner
            carries.append(Carry(state.symbol, initial, following, state.result))
        return [*before, For(step.index, step.count, tuple(carries), tuple(body), step.span)]

    def _by_cells(self, step: LoopStep, states: tuple[State, ...], kind: str) -> For | None:
        """A scan cell by cell, where it reads neighbouring cells only."""
        known, places = dict(self._known), {i: Place(extra=list(p.extra)) for i, p in self.places.items()}
        self.places.setdefault(step.index, Place()).angles.clear()
        try:
            tables = frozenset(s.symbol for s in states)
            equations = [e for e in step.body if isinstance(e, Equation) and e.pair[3] == kind]
            body = [i for e in equations for i in self._cell(e, tables, step.index)]
            carries = tuple(Carry(s.symbol, sp.S.Zero, cellwise(s.following, tables), s.result) for s in states)
            found = cells(step, states, kind, self.forms)
        except NotCellwise:
            self._known, self.places = known, places
            return None
        return For(step.index, step.count, carries, tuple(body), step.span, found)

    def _cell(self, step: Equation, tables: frozenset[sp.Symbol], place: int) -> list[Instruction]:
        self._twins.add(step)
        found, value = self._by_angle(cellwise(self._twins.shorter(step), tables), FULL, (0, 0), place)
        value = self._hoisted(value, place)
        if step.own is not None:
            value = where_here(SAME_CELL, step.own, value)
        return [*found, Assign(step.symbol, value, None, step.span)]

    def _like(self, state: State, states: list[State], form: str) -> sp.Expr:
        """A table of the same positions as a state that starts from 0."""
        twins = [s for s in states if s.pair[1:3] == state.pair[1:3] and s.initial != 0]
        if not twins:
            raise NotImplementedError(f"{state.symbol} starts from 0 and nothing has its positions")
        return self.forms.rewritten(twins[0].initial, form, self.forms.pairs[state.symbol])


def _settling(loop: For, states: list[State]) -> For:
    """Tables of x with itself, whose variances come from their own diagonal: once the variance at t is right, a sweep over all
    cells makes row t right, and the one after that the variance at t + 1; each further stage of a step takes as many again."""
    assert loop.cells is not None
    steps = loop.cells.count
    stages = max(1, 2 * loop.count // (steps * (steps + 1)))
    now = {c.result: sp.Symbol(f"{c.result}_now", real=True) for c in loop.carries}
    sweep = replace(loop, carries=tuple(replace(c, result=now[c.result]) for c in loop.carries))
    carries = tuple(Carry(s.symbol, s.initial, now[s.result], s.result) for s in states)
    return For(loop.index, 2 * stages * steps, carries, (sweep,), loop.span)
