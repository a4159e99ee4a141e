"""`repeat` and `scan`, run against a builder."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import sympy as sp

from ntkc.diagnostics import Diagnostic
from ntkc.ir import syntax as ast
from ntkc.ir.network import CombineNode, Law, Slot
from ntkc.layers.join import Embed
from ntkc.layers.select import Step
from ntkc.resolving.expressions import Expressions
from ntkc.resolving.problem import Problem, fail
from ntkc.resolving.scope import POISON, Scope
from ntkc.source import Span

Kind: TypeAlias = tuple[Law, int | None]
"""What is known of a carried value: its law and its nominal number of channels."""
LONGEST_REPEAT = 1_000_000
LONGEST_WRITTEN_OUT = 3
"""Steps of a scan: a gate of each on both sides makes twice as many erfs, of which Gaussian expectations take six."""
RESTRICTION = [Law.GAUSSIAN, Law.FUNCTION, Law.DATA]


class Loops(Expressions):
    """What a loop carries from turn to turn, or from step to step."""

    problems: list[Diagnostic]
    unrolled: frozenset[Span]
    gated: set[Span]
    """Short scans in whose bodies nonlinearities act on what is carried."""

    @abstractmethod
    def run(self, body: tuple[ast.Statement, ...], scope: Scope) -> None:
        """The statements of a body, in order."""

    def _repeat(self, statement: ast.Repeat, scope: Scope) -> None:
        count = self.integer(statement.count, scope, "the number of turns")
        if not 0 <= count <= LONGEST_REPEAT:
            label = f"its value is {count}"
            fail(
                "bad-repeat",
                f"`repeat` needs a number of turns from 0 to {LONGEST_REPEAT}",
                statement.count.span,
                label,
            )
        while count and (statement.span in self.unrolled or self._changes(statement, scope)):
            self._turn(statement.body, scope)
            count -= 1
        if count:
            self._loop(statement, count, scope)

    def _changes(self, statement: ast.Repeat, scope: Scope) -> bool:
        """A turn that reads other positions than it makes, or under the standard parameterization another width, stands before
        the loop."""
        point, trial = self.builder.checkpoint(), replace(scope, names=dict(scope.names))
        found = len(self.problems)
        self._turn(statement.body, trial)
        names = self._carried_names(statement, scope)
        changed = len(self.problems) == found and any(self._kind(trial, n) != self._kind(scope, n) for n in names)
        self.builder.rollback(point)
        del self.problems[found:]
        return changed

    def _kind(self, scope: Scope, name: str) -> object:
        """What must stay as it is from turn to turn."""
        meaning = scope.find(name)
        if not isinstance(meaning, sp.Expr):
            return None
        return self.builder.place(meaning), self.builder.width(meaning) if self.standard else None

    def _turn(self, body: tuple[ast.Statement, ...], scope: Scope) -> None:
        before = set(scope.names)
        self.run(body, scope)
        scope.names = {name: meaning for name, meaning in scope.names.items() if name in before}

    def _carried_names(self, statement: ast.Repeat, scope: Scope) -> list[str]:
        assigned = dict.fromkeys(name for s in statement.body for name in defines(s))
        return [name for name in assigned if isinstance(scope.names.get(name), sp.Expr)]

    def _loop(self, statement: ast.Repeat, count: int, scope: Scope) -> None:
        names = [n for n in self._carried_names(statement, scope) if self.builder.reads(scope.names[n])]
        initial = [self.builder.materialize(scope.names[n], statement.span) for n in names]
        parent, span = self.builder.loop, statement.span

        def enter(loop: int, kinds: list[Kind], inner: Scope) -> None:
            for slot, (name, start, (law, width)) in enumerate(zip(names, initial, kinds, strict=True)):
                inner.names[name] = self.builder.carried(loop, slot, law, self.builder.places[start], width, span)

        kinds = [(self.builder.laws[i], self.builder.widths[i]) for i in initial]
        loop, following = self._settled(statement.body, names, kinds, scope, span, enter, widen=False)
        slots = tuple(Slot(*entry) for entry in zip(names, initial, following, strict=True))
        self.builder.close_loop(loop, count, slots, parent, span)
        for i, (name, end) in enumerate(zip(names, following, strict=True)):
            scope.names[name] = self.builder.final(loop, i, end, span)

    def _settled(
        self,
        body: tuple[ast.Statement, ...],
        names: list[str],
        kinds: list[Kind],
        scope: Scope,
        span: Span,
        enter: Callable[[int, list[Kind], Scope], None],
        *,
        widen: bool,
    ) -> tuple[int, list[int]]:
        """The loop, and what its names are after a turn. Their laws (and widths, where these widen) are a fixed point: what a
        turn makes of them they may be at the start of the next."""
        found = len(self.problems)
        while True:
            point = self.builder.checkpoint()
            loop, inner = self.builder.open_loop(), replace(scope, names=dict(scope.names))
            enter(loop, kinds, inner)
            self.run(body, inner)
            ends = [inner.names[name] for name in names]
            if len(self.problems) > found or POISON in ends:
                raise Problem
            following = [self.builder.materialize(end, span) for end in ends]
            joined = [
                (max(law, self.builder.laws[f], key=RESTRICTION.index), self.builder.widths[f] if widen else width)
                for (law, width), f in zip(kinds, following, strict=True)
            ]
            if joined == kinds:
                return loop, following
            kinds = joined
            self.builder.rollback(point)

    def _scan(self, scan: ast.Scan, scope: Scope) -> sp.Expr:
        """The sequence of the first state."""
        sequence = self.value(scan.sequence, scope)
        place = self.builder.place(sequence)
        if not self.builder.reads(sequence) or place.vector or len(place.grid) != 1:
            fail("not-a-sequence", "`scan` walks a sequence", scan.sequence.span, "this value is none")
        if place.grid[0] is None:
            fail("bad-positions", "`scan` needs to know the length", scan.sequence.span, "write it in the input's type")
        sequence = self.builder.symbol(self.builder.materialize(sequence, scan.sequence.span))  # before the loop, not inside it
        names = [state.name.id for state in scan.states]
        if scan.span in self.unrolled:
            self._need_assigned(scan)
            return self._written_out(scan, sequence, int(place.grid[0]), scope)
        starts = [self._start(state, int(place.grid[0]), scope) for state in scan.states]
        parent = self.builder.loop

        def enter(loop: int, kinds: list[Kind], inner: Scope) -> None:
            inner.names[scan.item.id] = self.builder.item(loop, sequence, scan.span)
            for slot, (name, start, (law, width)) in enumerate(zip(names, starts, kinds, strict=True)):
                carried = self.builder.carried(loop, slot, law, replace(place, scan=loop), width, scan.span)
                begun = 0 if start is None else self.builder.item(loop, start, scan.span)
                inner.names[name] = carried + begun

        self._need_assigned(scan)
        found = len(self.problems)
        kinds: list[Kind] = [(Law.GAUSSIAN, None)] * len(names)
        try:
            loop, following = self._settled(scan.body, names, kinds, scope, scan.span, enter, widen=True)
        except Problem as problem:
            findings = [*self.problems[found:], *([problem.diagnostic] if problem.diagnostic else [])]
            if place.grid[0] <= LONGEST_WRITTEN_OUT and {finding.code for finding in findings} == {"not-gaussian"}:
                self.gated.add(scan.span)
            raise
        slots = tuple(Slot(name, -1, f) for name, f in zip(names, following, strict=True))
        self.builder.close_loop(loop, int(place.grid[0]), slots, parent, scan.span, scan=True)
        return self.builder.final(loop, 0, following[0], scan.span)

    def _written_out(self, scan: ast.Scan, sequence: sp.Expr, count: int, scope: Scope) -> sp.Expr:
        """The same, each step in nodes of its own; a state that starts from 0 is as wide as it is later."""
        names, found = [state.name.id for state in scan.states], len(self.problems)
        widths: list[int | None] = [None] * len(names)
        while True:
            point = self.builder.checkpoint()
            values = [
                self.builder.blank(width, scan.span) if value == 0 else value
                for value, width in zip((self.value(state.value, scope) for state in scan.states), widths, strict=True)
            ]
            steps = list[sp.Expr]()
            for t in range(count):
                inner = replace(scope, names={**scope.names, **dict(zip(names, values, strict=True))})
                inner.names[scan.item.id] = self.builder.positional(Step((t,)), sequence, scan.span)
                self.run(scan.body, inner)
                values = [inner.names[name] for name in names]
                if len(self.problems) > found or POISON in values:
                    raise Problem
                steps.append(values[0])
            after = [self.builder.widths[self.builder.materialize(value, scan.span)] for value in values]
            if after == widths:
                return self._row(steps, self.builder.node(sequence), scan.span)
            widths = after
            self.builder.rollback(point)

    def _row(self, steps: list[sp.Expr], walked: int, span: Span) -> sp.Expr:
        """Vectors as a sequence, padded like the one that was walked."""
        singles = [self.builder.begun(1, step, span) for step in steps]
        placed = [self.builder.positional(Embed(0, t, len(steps)), single, span) for t, single in enumerate(singles)]
        index = self.builder.materialize(sp.Add(*placed), span)
        self.builder.rows[index] = steps
        if isinstance(node := self.builder.nodes[index], CombineNode):
            self.builder.nodes[index] = replace(node, row=walked)
        return self.builder.symbol(index)

    def _need_assigned(self, scan: ast.Scan) -> None:
        """Each state gets a new value at each step."""
        assigned = {name for statement in scan.body for name in defines(statement)}
        for state in scan.states:
            if state.name.id not in assigned:
                label, help = "it would keep its first value", f"write `{state.name.id} = ...` in the body"
                fail("constant-state", f"the body does not assign `{state.name.id}`", state.name.span, label, help)

    def _start(self, state: ast.Keyword, count: int, scope: Scope) -> sp.Expr | None:
        """The first state at the first step and zero at the others; nothing where it starts from 0."""
        value = self.value(state.value, scope)
        if value == 0:
            return None
        if not self.builder.reads(value):
            label, help = "it is a number other than 0", "start from 0, or from a vector such as `dense(y)` of another input"
            fail("bad-start", f"`{state.name.id}` cannot start from a number", state.value.span, label, help)
        place = self.builder.place(value)
        if place.grid or place.scan is not None:
            label = "this value has positions; pool or index it first"
            fail("bad-start", f"`{state.name.id}` starts from one vector", state.value.span, label)
        return self.builder.begun(count, value, state.value.span)


def defines(statement: ast.Statement) -> list[str]:
    """The names that a statement gives a meaning to."""
    match statement:
        case ast.Input(name=name) | ast.Param(name=name) | ast.Const(name=name) | ast.Layer(name=name) | ast.Assign(name=name):
            return [name.id]
        case ast.Repeat(body=body):
            return [name for inner in body for name in defines(inner)]
        case _:
            return []
