"""What was written between the parentheses of a call -> arguments, each checked."""

from collections.abc import Callable
from dataclasses import MISSING, fields

import sympy as sp

from ntkc.diagnostics import did_you_mean
from ntkc.ir import syntax as ast
from ntkc.ir.layer import Argument, Layer
from ntkc.resolving.problem import fail

LARGEST = sp.Integer(10) ** 150
"""Its square is still a number of float64."""
Number = Callable[[ast.Expr, str], sp.Expr]
Integer = Callable[[ast.Expr, str], int]


def bind_layer(kind: type[Layer], call: ast.Call, positional: tuple[ast.Expr, ...], number: Number, integer: Integer) -> Layer:
    """The layer with the arguments of the call; `positional` are those that stand after the value."""
    known = {f.name: f for f in fields(kind) if "argument" in f.metadata}
    given: dict[str, object] = {}
    leading = [name for name, f in known.items() if f.metadata["argument"].leading]
    if len(positional) > len(leading):
        where = positional[len(leading)].span
        fail("wrong-arguments", f"`{kind.name}` takes one value", where, "arguments after the value are given by name")
    for name, expr in zip(leading, positional, strict=False):
        given[name] = _read(known[name].metadata["argument"], name, expr, number, integer)
    for keyword in call.keywords:
        name = keyword.name.id
        if name not in known:
            label = did_you_mean(name, known) or (f"it takes {', '.join(known)}" if known else "it takes none")
            fail("unknown-argument", f"`{kind.name}` has no argument `{name}`", keyword.name.span, label)
        if name in given:
            fail("repeated-argument", f"`{name}` is given twice", keyword.span, "the second time")
        given[name] = _read(known[name].metadata["argument"], name, keyword.value, number, integer)
    for name, field in known.items():
        if name not in given and field.default is MISSING:
            fail("missing-argument", f"`{kind.name}` needs `{name}`", call.function.span, help=f"write `{name}=...`")
    layer = kind(**given)
    if problem := layer.problem():
        fail("bad-argument", f"`{kind.name}`: {problem}", call.span)
    return layer


def bind_parameters(
    callee: ast.Block | ast.Activation, call: ast.Call, value: Callable[[ast.Expr], sp.Expr]
) -> tuple[list[sp.Expr], dict[str, sp.Expr]]:
    """(positional values, named ones): an activation's arguments, and its or a block's parameters."""
    name = callee.name.id
    leading = len(callee.arguments) if isinstance(callee, ast.Activation) else 0
    formal = {p.name.id: p for p in callee.parameters}
    if len(call.args) < leading or len(call.args) > leading + len(formal):
        count = f"{leading} value{'s' * (leading != 1)}" if leading else f"{len(formal)} argument{'s' * (len(formal) != 1)}"
        fail("wrong-arguments", f"`{name}` takes {count}", call.span, f"{len(call.args)} given")
    values = [value(arg) for arg in call.args]
    given = dict(zip(formal, values[leading:], strict=False))
    for keyword in call.keywords:
        if keyword.name.id not in formal:
            label = did_you_mean(keyword.name.id, formal) or (f"it takes {', '.join(formal)}" if formal else "it takes none")
            fail("unknown-argument", f"`{name}` has no parameter `{keyword.name.id}`", keyword.name.span, label)
        if keyword.name.id in given:
            fail("repeated-argument", f"`{keyword.name.id}` is given twice", keyword.span, "the second time")
        given[keyword.name.id] = value(keyword.value)
    for parameter in formal.values():
        if parameter.name.id not in given:
            if parameter.default is None:
                fail("missing-argument", f"`{name}` needs `{parameter.name.id}`", call.span, "not given here")
            given[parameter.name.id] = value(parameter.default)
    return values[:leading], given


def _read(argument: Argument, name: str, expr: ast.Expr, number: Number, integer: Integer) -> object:
    word = expr.id if isinstance(expr, ast.Name) else None
    match argument.kind:
        case "choice":
            if word not in argument.choices:
                choices = ", ".join(argument.choices)
                fail(
                    "bad-argument",
                    f"`{name}` must be one of {choices}",
                    expr.span,
                    did_you_mean(word or "", argument.choices),
                )
            return word
        case "flag":
            if word not in ("true", "false"):
                fail("bad-argument", f"`{name}` must be true or false", expr.span)
            return word == "true"
        case "size":
            size = integer(expr, f"`{name}`")
            if size < 1:
                fail("bad-argument", f"`{name}` must be a positive integer", expr.span, f"its value is {size}")
            return size
        case "sizes":
            return _sizes(name, expr, integer)
        case "name":
            if word is None:
                fail("bad-argument", f"`{name}` must be a name", expr.span, "such as the A of `graph(N, d) with A`")
            return word
        case "axes":
            names = expr.items if isinstance(expr, ast.Tuple) else (expr,)
            return tuple(item.id if isinstance(item, ast.Name) else "" for item in names)
        case _:
            return None if argument.kind == "optional" and word == "none" else _number(name, expr, number)


def _sizes(name: str, expr: ast.Expr, integer: Integer) -> int | tuple[int, ...]:
    """A positive integer, or a tuple of them."""
    items = expr.items if isinstance(expr, ast.Tuple) else (expr,)
    values = [integer(item, f"`{name}`") for item in items]
    for item, value in zip(items, values, strict=True):
        if value < 1:
            fail("bad-argument", f"`{name}` must be a positive integer", item.span, f"its value is {value}")
    return tuple(values) if isinstance(expr, ast.Tuple) else values[0]


def _number(name: str, expr: ast.Expr, number: Number) -> sp.Expr:
    value = number(expr, f"`{name}`")
    if value.is_negative:
        fail("bad-argument", f"`{name}` must not be negative", expr.span, f"its value is {value}")
    if value.is_number and value > LARGEST:
        fail("bad-argument", f"`{name}` is too large for floating point", expr.span)
    if value.is_infinite:
        fail("bad-argument", f"`{name}` must be finite", expr.span)
    return value
