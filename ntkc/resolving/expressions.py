"""Expressions of the syntax tree -> SymPy expressions over the builder's nodes."""

from dataclasses import replace

import sympy as sp

from ntkc.diagnostics import did_you_mean
from ntkc.gaussian.terms import Z
from ntkc.ir import syntax as ast
from ntkc.ir.layer import Joint, Layer, Map, Mixing, Positional, Vector, Weighted
from ntkc.ir.network import Parameter
from ntkc.resolving.arguments import bind_layer, bind_parameters
from ntkc.resolving.builder import Builder
from ntkc.resolving.indexing import Indexing
from ntkc.resolving.numbers import CONSTANTS, arithmetic, finite, interval_text, literal, within
from ntkc.resolving.problem import SAMPLE_IT, Problem, fail
from ntkc.resolving.scope import NamedLayer, Poison, Scope
from ntkc.source import Span
from ntkc.vocabulary import PLANNED, layer_types, scalar_functions

COMPARISONS = {"<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge}
DEEPEST_CALL = 60


class Expressions(Indexing):
    """Evaluates expressions in a scope; calls make nodes in the builder."""

    parameters: list[Parameter]

    def __init__(self, builder: Builder, standard: bool = False) -> None:
        self.builder = builder
        self.standard = standard
        self.named: dict[sp.Expr, str] = {}
        self._calls = 0
        self._weights = 0

    def value(self, expr: ast.Expr | ast.Slice, scope: Scope) -> sp.Expr:
        """A number, or a value of the network."""
        match expr:
            case ast.Number(text=text, span=span):
                return literal(text, span)
            case ast.Name():
                return self._name(expr, scope)
            case ast.Unary(operand=operand):
                return -self.value(operand, scope)
            case ast.Binary(op=op, left=left, right=right, span=span):
                a, b = self.value(left, scope), self.value(right, scope)
                if op == "^":
                    self._check_root(a, b, span)
                return finite(arithmetic(op, a, b, span), span)
            case ast.Pipe(value=value, target=target, span=span):
                name, call = (target, None) if isinstance(target, ast.Name) else (target.function, target)
                args = (value, *(call.args if call else ()))
                return self._call(ast.Call(name, args, call.keywords if call else (), span), scope)
            case ast.Call():
                return self._call(expr, scope)
            case ast.Compare(span=span):
                fail("misplaced-comparison", "a comparison stands where a value is needed", span, "use it inside `where`")
            case ast.Index(value=value, indices=indices, span=span):
                return self._index(self.value(value, scope), indices, span, scope)
            case _:
                fail("misplaced-tuple", "a tuple stands where one value is needed", expr.span)

    def _check_root(self, base: sp.Expr, exponent: sp.Expr, span: Span) -> None:
        """Of a hyperparameter that may be negative there is none, and algebra would say otherwise: sqrt(w)^2 is w."""
        domains = {p.symbol: p.domain for p in self.parameters}
        one = len(base.free_symbols) == 1 and base.free_symbols <= set(domains) and base.diff(*base.free_symbols).is_number
        if one and not exponent.is_integer and not within(base, sp.Interval(0, sp.oo), domains):
            help = "give the `param` a domain, such as `param w = 1 in [0, inf)`"
            fail("not-a-number", "this root may be one of a negative number", span, f"`{base}` may be negative", help)

    def number(self, expr: ast.Expr, scope: Scope, what: str) -> sp.Expr:
        """A value that is no value of the network."""
        value = self.value(expr, scope)
        if self.builder.reads(value):
            fail("not-a-number", f"{what} must be a number", expr.span, "this is a value of the network")
        return value

    def integer(self, expr: ast.Expr, scope: Scope, what: str) -> int:
        value = self.number(expr, scope, what)
        if not value.is_Integer:
            found = "it depends on a parameter" if value.free_symbols else f"its value is {value}"
            cure = "" if not value.free_symbols else "use `const` instead of `param`: it must be known at compile time"
            fail("not-an-integer", f"{what} must be an integer", expr.span, found, cure)
        return int(value)

    def layer(self, call: ast.Call, scope: Scope, positional: tuple[ast.Expr, ...] = ()) -> Layer:
        """The layer of a call, whatever it is applied to; `positional` are its arguments after the value."""
        kind = layer_types()[call.function.id]
        layer = bind_layer(
            kind, call, positional, lambda e, what: self.number(e, scope, what), lambda e, w: self.integer(e, scope, w)
        )
        domains = {p.symbol: p.domain for p in self.parameters}
        for name, value, interval in layer.bounded():
            if not within(value, interval, domains):
                where, span = interval_text(interval), next(k.value.span for k in call.keywords if k.name.id == name)
                help = "give the `param` a domain that keeps it there, such as `param keep = 0.8 in (0, 1]`"
                fail("bad-argument", f"`{kind.name}`: `{name}` must lie in {where}", span, "this may be outside", help)
        return layer

    def fresh_weight(self, name: str) -> str:
        self._weights += 1
        return f"{name}{self._weights}"

    def _name(self, name: ast.Name, scope: Scope) -> sp.Expr:
        meaning = scope.find(name.id)
        if isinstance(meaning, Poison):
            raise Problem
        if isinstance(meaning, NamedLayer):
            fail(
                "layer-as-value",
                f"`{name.id}` is a layer, not a value",
                name.span,
                "a layer",
                f"apply it: `{name.id}(h)`",
            )
        if meaning is not None:
            return meaning
        if name.id in CONSTANTS:
            return CONSTANTS[name.id]
        callable_ = name.id in scope.blocks or name.id in scope.activations or name.id in {**layer_types(), **scalar_functions()}
        if callable_:
            fail(
                "missing-argument",
                f"`{name.id}` is a function",
                name.span,
                "it needs an argument",
                f"write `{name.id}(h)`",
            )
        label = did_you_mean(name.id, [*scope.known(), *CONSTANTS]) or "not defined before this line"
        fail("unknown-name", f"nothing is named `{name.id}`", name.span, label)

    def _call(self, call: ast.Call, scope: Scope) -> sp.Expr:
        name = call.function.id
        meaning = scope.find(name)
        if isinstance(meaning, Poison):
            raise Problem
        if isinstance(meaning, NamedLayer):
            return self._apply_named(meaning, call, scope)
        if name in scope.blocks:
            return self._block(scope.blocks[name], call, scope)
        if name in scope.activations:
            return self._activation(scope.activations[name], call, scope)
        if name == "where":
            return self._where(call, scope)
        if name in scalar_functions():
            return self._scalar(call, scope)
        if name == "concat":
            return self._concat(call, scope)
        if name in layer_types():
            return self._layer_call(call, scope)
        if name in PLANNED:
            fail("not-supported-yet", f"not supported yet: {name}", call.function.span, "this layer is still to come")
        words = [*scope.known(), *layer_types(), *scalar_functions(), "where"]
        fail("unknown-layer", f"no layer or function is named `{name}`", call.function.span, did_you_mean(name, words))

    def _apply_named(self, named: NamedLayer, call: ast.Call, scope: Scope) -> sp.Expr:
        value = self._operand(call, scope)
        if call.keywords:
            label = "its arguments were given where it was named"
            fail("named-layer-arguments", f"`{named.name}` takes only a value", call.keywords[0].span, label)
        layer = self._with_fan_in(named.layer, value, call.span)
        return self.builder.weighted(layer, named.weight, named.home, value, call.span)

    def _layer_call(self, call: ast.Call, scope: Scope) -> sp.Expr:
        first = replace(call, args=call.args[:1], keywords=())
        value = self._operand(first, scope)
        layer = self.layer(call, scope, call.args[1:])
        if self.builder.sampled is None and (reason := layer.unclosed()):
            fail("no-closed-form", f"`{layer.name}` has no closed form here", call.span, reason, SAMPLE_IT)
        match layer:
            case Joint():
                return self.builder.joint(layer, value, call.span)
            case Map():
                return self.builder.mapped(layer, value, call.span)
            case Positional():
                return self.builder.positional(layer, value, call.span)
            case Vector():
                layer = self.builder.parameterized(layer, self.standard, call.span)
                return self.builder.vector(layer, self.fresh_weight(call.function.id), value, call.span)
            case Mixing():
                layer = self.builder.with_widths(layer, value, self.standard, call.span)
                return self.builder.mixing(layer, self.fresh_weight(call.function.id), value, call.span)
        assert isinstance(layer, Weighted)  # a layer is one of these
        weight = self.fresh_weight(call.function.id)
        return self.builder.weighted(self._with_fan_in(layer, value, call.span), weight, self.builder.loop, value, call.span)

    def _with_fan_in(self, layer: Weighted, value: sp.Expr, span: Span) -> Weighted:
        return self.builder.with_fan_in(layer, value, self.standard, span)

    def _operand(self, call: ast.Call, scope: Scope) -> sp.Expr:
        if len(call.args) == 1:
            value = self.value(call.args[0], scope)
            if not self.builder.reads(value):
                fail(
                    "no-value",
                    f"`{call.function.id}` needs a value of the network",
                    call.args[0].span,
                    "this is a number",
                )
            return value
        where = call.args[1].span if call.args else call.span
        label = "arguments after the value are given by name" if call.args else "no value to apply it to"
        fail("wrong-arguments", f"`{call.function.id}` takes one value", where, label)

    def _scalar(self, call: ast.Call, scope: Scope) -> sp.Expr:
        function = scalar_functions()[call.function.id]
        if call.keywords:
            label = "give arguments by position"
            fail("unknown-argument", f"`{function.name}` has no named arguments", call.keywords[0].span, label)
        least, most = function.arity
        if len(call.args) < least or (most is not None and len(call.args) > most):
            count = f"{least}" if least == most else f"at least {least}"
            label = f"{len(call.args)} given"
            fail("wrong-arguments", f"`{function.name}` takes {count} argument{'s' * (count != '1')}", call.span, label)
        values = [self.value(arg, scope) for arg in call.args]
        if function.name == "hermite" and not (values[1].is_Integer and 0 <= values[1] <= 100):
            fail("not-an-integer", "the degree of `hermite` must be an integer from 0 to 100", call.args[1].span)
        if function.name == "sqrt":
            self._check_root(values[0], sp.Rational(1, 2), call.span)
        dummies = tuple(sp.Dummy(f"t{i}", real=True) for i in range(len(values)))
        if not any(self.builder.reads(value) for value in values):
            return finite(function.formula(*values), call.span)
        if len(values) > 1 and not any(self.builder.reads(value) for value in values[1:]):
            body = function.formula(Z, *values[1:])
            self.named.setdefault(body, function.name)
            return self.builder.apply(body, (Z,), (values[0],), call.span)
        if len(values) == 1:
            self.named.setdefault(function.formula(Z), function.name)
        return self.builder.apply(function.formula(*dummies), dummies, tuple(values), call.span)

    def _where(self, call: ast.Call, scope: Scope) -> sp.Expr:
        """where(condition, a, b) = b + (a - b) H(condition), which has a derivative in the sense of distributions."""
        condition = call.args[0] if call.args else None
        if len(call.args) != 3 or call.keywords:
            fail("wrong-arguments", "`where` takes a condition and two values", call.span, f"{len(call.args)} given")
        if not isinstance(condition, ast.Compare):
            fail(
                "not-a-condition",
                "the first argument of `where` must be a comparison",
                call.args[0].span,
                "such as `z > 0`",
            )
        left, right, then, other = (self.value(e, scope) for e in (condition.left, condition.right, *call.args[1:]))
        gap = left - right if condition.op in (">", ">=") else right - left
        dummy = sp.Dummy("t", real=True)
        step = self.builder.apply(sp.Heaviside(dummy, sp.Rational(1, 2)), (dummy,), (gap,), call.span)
        return other + (then - other) * step

    def _activation(self, activation: ast.Activation, call: ast.Call, scope: Scope) -> sp.Expr:
        values, parameters = bind_parameters(activation, call, lambda e: self.value(e, scope))
        names = [name.id for name in activation.arguments]
        dummies = tuple(sp.Symbol(f"arg_{name}", real=True) if len(names) > 1 else Z for name in names)
        inner = scope.for_block()
        inner.names = {**dict(zip(names, dummies, strict=True)), **parameters}
        body = self._guarded(call.span, lambda: self.value(activation.body, inner))
        if len(names) == 1:
            self.named.setdefault(body, activation.name.id)
        return self.builder.apply(body, dummies, tuple(values), call.span)

    def _block(self, block: ast.Block, call: ast.Call, scope: Scope) -> sp.Expr:
        inner = scope.for_block()
        inner.names = dict(bind_parameters(block, call, lambda e: self.value(e, scope))[1])
        return self._guarded(call.span, lambda: self.body(block, inner))

    def body(self, block: ast.Block, scope: Scope) -> sp.Expr:
        raise NotImplementedError  # given by the statements, which know how to run a body

    def _guarded(self, span: Span, run: "object") -> sp.Expr:
        self._calls += 1
        try:
            if self._calls > DEEPEST_CALL:
                fail(
                    "recursion",
                    "blocks and activations call each other without end",
                    span,
                    "this call leads back to itself",
                )
            return run()  # type: ignore[operator]
        finally:
            self._calls -= 1
