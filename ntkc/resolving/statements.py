"""Statements of an `arch` or block, run in order against a builder."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from keyword import iskeyword
from typing import TypeAlias

import sympy as sp

from ntkc.diagnostics import Diagnostic, did_you_mean
from ntkc.ir import syntax as ast
from ntkc.ir.layer import Weighted
from ntkc.ir.network import Law, Parameter, Slot, Type
from ntkc.resolving.builder import Builder
from ntkc.resolving.expressions import Expressions
from ntkc.resolving.numbers import literal
from ntkc.resolving.problem import Problem, fail
from ntkc.resolving.scope import POISON, NamedLayer, Scope
from ntkc.source import Span
from ntkc.vocabulary import layer_types

Kind: TypeAlias = tuple[Law, int | None]
"""What is known of a carried value: its law and its nominal number of channels."""
LONGEST_REPEAT = 1_000_000
RESERVED = re.compile(
    r"(C|[KSTmAdev]\d|Theta\d|C_|[der]\d*_|own\d|root\d|root_|first_|turn|loop|i\d|jnp$|jax$|lax$|math$|params$|left$|right$|same$"
    r"|state$|weights$|xs$|outputs$|partial$|kernel$|nngp$|ntk$|dual_).*"
)
"""Names of moments and of what else the emitted module defines."""
RANKS = {"vector": 1, "sequence": 2, "image": 3, "volume": 4}
RESTRICTION = [Law.GAUSSIAN, Law.FUNCTION, Law.DATA]


class Statements(Expressions):
    """Runs statements; collects what is wrong with them and goes on."""

    def __init__(self, builder: Builder, overrides: dict[str, str]) -> None:
        super().__init__(builder)
        self.overrides = overrides
        self.problems: list[Diagnostic] = []
        self.parameters: list[Parameter] = []
        self.outputs: list[tuple[str, int]] = []
        self.output_span: Span | None = None

    def run(self, body: tuple[ast.Statement, ...], scope: Scope) -> None:
        for statement in body:
            try:
                self._statement(statement, scope)
            except Problem as problem:
                if problem.diagnostic is not None and problem.diagnostic not in self.problems:
                    self.problems.append(problem.diagnostic)
                for name in _defines(statement):
                    scope.names[name] = POISON

    def body(self, block: ast.Block, scope: Scope) -> sp.Expr:
        *statements, last = block.body or (None,)
        if not isinstance(last, ast.Return):
            fail("missing-return", f"block `{block.name.id}` does not end in `return`", block.name.span)
        self.run(tuple(s for s in statements if s is not None), scope)
        return self.value(last.value, scope)

    def _statement(self, statement: ast.Statement, scope: Scope) -> None:
        match statement:
            case ast.Input():
                self._input(statement, scope)
            case ast.Param():
                self._param(statement, scope)
            case ast.Const(name=name, value=value):
                expr = self._override(name.id, name.span) or self.number(value, scope, f"`{name.id}`")
                if expr.free_symbols:
                    fail(
                        "not-constant",
                        f"`{name.id}` depends on a parameter",
                        value.span,
                        help="use `param`, or a plain value",
                    )
                scope.constants[name.id] = expr
            case ast.Option():
                self._option(statement)
            case ast.Layer():
                self._layer(statement, scope)
            case ast.Assign(name=name, value=value):
                scope.names[name.id] = self._scan(value, scope) if isinstance(value, ast.Scan) else self.value(value, scope)
            case ast.Repeat():
                self._repeat(statement, scope)
            case ast.Output():
                self._output(statement, scope)
            case ast.Return(span=span):
                fail("misplaced-return", "`return` stands outside of a block", span, help="an `arch` ends in `output`")

    def _input(self, statement: ast.Input, scope: Scope) -> None:
        kind, name = statement.type.name, statement.name
        known = ["vector", "sequence", "image", "volume", "tokens", "graph"]
        if kind.id not in known:
            fail("unknown-type", f"no input type is named `{kind.id}`", kind.span, did_you_mean(kind.id, known))
        if kind.id in ("tokens", "graph"):
            fail("not-supported-yet", f"not supported yet: {kind.id} inputs", kind.span, "this type is still to come")
        count = RANKS[kind.id]
        if len(statement.type.sizes) != count:
            sizes = f"{count} size{'s' * (count > 1)}" if count > 1 else "one size"
            fail("wrong-arguments", f"`{kind.id}` takes {sizes}", statement.type.span, f"{len(statement.type.sizes)} given")
        found = [self._size(size, scope) for size in statement.type.sizes]
        scope.names[name.id] = self.builder.input(name.id, Type(tuple(found[:-1]), found[-1]), statement.span)

    def _size(self, size: ast.Expr, scope: Scope) -> int | None:
        value = None if isinstance(size, ast.Name) and size.id == "_" else self.integer(size, scope, "a size")
        if value is not None and value < 1:
            fail("bad-size", "a size must be positive", size.span, f"its value is {value}")
        return value

    def _param(self, statement: ast.Param, scope: Scope) -> None:
        name = statement.name.id
        if iskeyword(name) or RESERVED.fullmatch(name):
            label = "the emitted Python code needs this name for itself"
            fail("reserved-name", f"`{name}` cannot name a hyperparameter", statement.name.span, label, f"call it `p_{name}`")
        domain = sp.Interval(-sp.oo, sp.oo)
        if statement.domain is not None:
            ends = statement.domain
            low, high = (self.number(end, scope, "an end of the domain") for end in (ends.low, ends.high))
            domain = sp.Interval(low, high, ends.open_low, ends.open_high)
        default = self._override(name, statement.name.span) or self.number(statement.default, scope, f"`{name}`")
        if default.free_symbols or default.is_infinite:
            fail("not-constant", f"the default of `{name}` must be a number", statement.default.span)
        if domain.contains(default) != sp.true:
            fail(
                "out-of-domain",
                f"the default of `{name}` is not in its domain",
                statement.default.span,
                f"not in {statement.domain.span.text}" if statement.domain else "",
            )
        positive = domain.inf > 0 or (domain.inf == 0 and domain.left_open)
        assumptions = {"positive": True} if positive else {"nonnegative": True} if domain.inf == 0 else {"real": True}
        symbol = sp.Symbol(name, **assumptions)
        self.parameters.append(Parameter(symbol, default, domain, statement.span))
        scope.constants[name] = symbol

    def _override(self, name: str, span: Span) -> sp.Expr | None:
        if name not in self.overrides:
            return None
        text = self.overrides[name]
        try:
            return -literal(text[1:], span) if text.startswith("-") else literal(text, span)
        except (TypeError, ValueError):
            fail("bad-override", f"`--set {name}={text}` is not a number", span, "this name was to be set")

    def _option(self, statement: ast.Option) -> None:
        name, value = statement.name, statement.value
        if name.id != "parameterization":
            label = did_you_mean(name.id, ["parameterization"])
            fail("unknown-option", f"no option is named `{name.id}`", name.span, label)
        word = value.id if isinstance(value, ast.Name) else ""
        if word not in ("ntk", "standard"):
            fail(
                "bad-argument",
                "`parameterization` must be ntk or standard",
                value.span,
                did_you_mean(word, ["ntk", "standard"]),
            )
        self.standard = word == "standard"

    def _layer(self, statement: ast.Layer, scope: Scope) -> None:
        call, name = statement.call, statement.name.id
        kind = layer_types().get(call.function.id)
        if kind is None:
            label = did_you_mean(call.function.id, layer_types())
            fail("unknown-layer", f"no layer is named `{call.function.id}`", call.function.span, label)
        if not issubclass(kind, Weighted) or (call.args and not _leading(kind)):
            where = call.args[0].span if call.args else call.function.span
            fail(
                "bad-layer",
                "`layer` names a set of weights",
                where,
                help="write `layer W = dense(W_std=...)`, then `W(h)`",
            )
        layer = self.layer(call, scope, call.args)
        scope.names[name] = NamedLayer(name, layer, self.fresh_weight(name), self.builder.loop)  # type: ignore[arg-type]

    def _output(self, statement: ast.Output, scope: Scope) -> None:
        if self.output_span is not None:
            fail(
                "several-outputs",
                "there is more than one `output`",
                statement.span,
                "the second one",
                "name them: `output a = ..., b = ...`",
            )
        self.output_span = statement.span
        for result in statement.results:
            node = self.builder.materialize(self.value(result.value, scope), result.value.span)
            self.outputs.append((result.name.id if result.name else "", node))

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
        while count and self._changes(statement, scope):
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
        assigned = dict.fromkeys(name for s in statement.body for name in _defines(s))
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
        for state in scan.states:
            if self.value(state.value, scope) != 0:
                fail("not-supported-yet", "not supported yet: a state that does not start from 0", state.value.span)
        names = [state.name.id for state in scan.states]
        parent = self.builder.loop

        def enter(loop: int, kinds: list[Kind], inner: Scope) -> None:
            for slot, (name, (law, width)) in enumerate(zip(names, kinds, strict=True)):
                inner.names[name] = self.builder.carried(loop, slot, law, replace(place, scan=loop), width, scan.span)
            inner.names[scan.item.id] = self.builder.item(loop, sequence, scan.span)

        loop, following = self._settled(
            scan.body, names, [(Law.GAUSSIAN, None)] * len(names), scope, scan.span, enter, widen=True
        )
        slots = tuple(Slot(name, -1, f) for name, f in zip(names, following, strict=True))
        self.builder.close_loop(loop, int(place.grid[0]), slots, parent, scan.span, scan=True)
        return self.builder.final(loop, 0, following[0], scan.span)


def _leading(kind: type[Weighted]) -> bool:
    """Whether some arguments may be given without their names."""
    return any("argument" in f.metadata and f.metadata["argument"].leading for f in fields(kind))


def _defines(statement: ast.Statement) -> list[str]:
    """The names that a statement gives a meaning to."""
    match statement:
        case ast.Input(name=name) | ast.Param(name=name) | ast.Const(name=name) | ast.Layer(name=name) | ast.Assign(name=name):
            return [name.id]
        case ast.Repeat(body=body):
            return [name for inner in body for name in _defines(inner)]
        case _:
            return []
