"""Statements of an `arch` or block, run in order against a builder."""

import builtins
import re
from dataclasses import fields
from keyword import iskeyword

import sympy as sp

from ntkc.diagnostics import Diagnostic, did_you_mean
from ntkc.ir import syntax as ast
from ntkc.ir.layer import Weighted
from ntkc.ir.network import InputNode, Parameter, Type
from ntkc.resolving.builder import Builder
from ntkc.resolving.loops import Loops, defines
from ntkc.resolving.numbers import literal
from ntkc.resolving.problem import Problem, fail
from ntkc.resolving.scope import POISON, NamedLayer, Scope
from ntkc.source import Span
from ntkc.vocabulary import layer_types

RESERVED = re.compile(
    r"(C|[KSTmAdev]\d|Theta\d|C_|[der]\d*_|own\d|expected\d|root\d|root_|first_|turn|loop|i\d|jnp$|jax$|lax$|math$|params$|left$|right$|same$"
    r"|x1$|x2$|get$|precision$|mask$|state$|samples$|seed$|weights$|xs$|outputs$|partial$|kernel$|nngp$|ntk$|dual_).*"
)
"""Names of moments, of what else the emitted module defines, and of what else `kernel` takes."""
BUSY = re.compile(
    r"[a-eghpqxyz]|det|z\d+|arg_.*|given_.*|param_.*|same_cell|here|above|beside|corner|tables|firsts|seconds|partial|init|apply|diagonal"
)
"""Names of arguments and of what else a hyperparameter might be taken for; such a one goes by `param_` and its name."""
SIZES = {"vector": 1, "sequence": 2, "image": 3, "volume": 4, "tokens": 2, "graph": 2}
OPTIONS = {"parameterization": ("ntk", "standard"), "expectation": ("exact", "sampled")}


class Statements(Loops):
    """Runs statements; collects what is wrong with them and goes on."""

    def __init__(self, builder: Builder, overrides: dict[str, str], unrolled: frozenset[Span]) -> None:
        super().__init__(builder)
        self.unrolled = unrolled
        self.gated: set[Span] = set()
        self.overrides = overrides
        self.problems: list[Diagnostic] = []
        self.parameters: list[Parameter] = []
        self.outputs: list[tuple[str, int]] = []
        self.output_span: Span | None = None
        self.output_spans: list[tuple[str, Span]] = []

    def run(self, body: tuple[ast.Statement, ...], scope: Scope) -> None:
        for statement in body:
            try:
                self._statement(statement, scope)
            except Problem as problem:
                if problem.diagnostic is not None and problem.diagnostic not in self.problems:
                    self.problems.append(problem.diagnostic)
                for name in defines(statement):
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
        if any(isinstance(node, InputNode) and node.name == name.id for node in self.builder.nodes):
            fail("name-taken", f"`{name.id}` is already defined", name.span, "an input of this name stands above")
        if kind.id not in SIZES:
            fail("unknown-type", f"no input type is named `{kind.id}`", kind.span, did_you_mean(kind.id, SIZES))
        count = SIZES[kind.id]
        if len(statement.type.sizes) != count:
            sizes = f"{count} size{'s' * (count > 1)}" if count > 1 else "one size"
            fail("wrong-arguments", f"`{kind.id}` takes {sizes}", statement.type.span, f"{len(statement.type.sizes)} given")
        found = [self._size(size, scope) for size in statement.type.sizes]
        type = Type(tuple(found[:-1]), found[-1], kind.id == "tokens")
        adjacency = self._adjacency(statement)
        scope.names[name.id] = self.builder.input(name.id, type, statement.span, adjacency)

    def _adjacency(self, statement: ast.Input) -> str:
        """The name of a graph's adjacency."""
        kind, name = statement.type.name, statement.adjacency
        if (kind.id == "graph") != (name is not None):
            where = kind.span if name is None else name.span
            label = "a graph comes with its adjacency" if name is None else f"`{kind.id}` has no adjacency"
            fail("bad-adjacency", "`with` names the adjacency of a graph", where, label, "write `input x: graph(N, d) with A`")
        if name is None:
            return ""
        taken = name.id in self.builder.adjacencies or name.id in self.overrides or iskeyword(name.id)
        if taken or name.id in ("x1", "x2", "x", "get", "precision", "mask"):
            fail("reserved-name", f"`{name.id}` cannot name an adjacency", name.span, "this name is taken", "choose another name")
        return name.id

    def _size(self, size: ast.Expr, scope: Scope) -> int | None:
        value = None if isinstance(size, ast.Name) and size.id == "_" else self.integer(size, scope, "a size")
        if value is not None and value < 1:
            fail("bad-size", "a size must be positive", size.span, f"its value is {value}")
        return value

    def _param(self, statement: ast.Param, scope: Scope) -> None:
        name = statement.name.id
        if name in scope.constants:
            fail("name-taken", f"`{name}` is already defined", statement.name.span, "choose another name")
        if iskeyword(name) or name.startswith("_") or RESERVED.fullmatch(name):
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
        symbol = sp.Symbol(f"param_{name}" if _busy(name) else name, **assumptions)
        self.parameters.append(Parameter(symbol, default, domain, statement.span, name))
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
        if name.id not in OPTIONS:
            label = did_you_mean(name.id, OPTIONS)
            fail("unknown-option", f"no option is named `{name.id}`", name.span, label)
        words = OPTIONS[name.id]
        word = value.id if isinstance(value, ast.Name) else ""
        if word not in words:
            message = f"`{name.id}` must be {' or '.join(words)}"
            fail("bad-argument", message, value.span, did_you_mean(word, words))
        if name.id == "parameterization":
            self.standard = word == "standard"
        elif self.builder.nodes:
            label = "it holds for the whole network"
            fail("late-option", "`option expectation` stands after the first input", statement.span, label, "write it above")
        else:
            self.builder.sampled = statement.span if word == "sampled" else None

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
            name = result.name.id if result.name else ""
            self.outputs.append((name, node))
            self.output_spans.append((name, result.value.span))


def _busy(name: str) -> bool:
    """Whether the compiler or the emitted code uses a name for something else."""
    return bool(BUSY.fullmatch(name)) or hasattr(builtins, name)


def _leading(kind: type[Weighted]) -> bool:
    """Whether some arguments may be given without their names."""
    return any("argument" in f.metadata and f.metadata["argument"].leading for f in fields(kind))
