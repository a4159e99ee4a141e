"""Nodes -> text: expressions with no more parentheses than they need, and the first line of each statement."""

from collections.abc import Callable, Iterable
from typing import cast

from ntkc.ir.syntax import (
    Activation,
    Arch,
    Assign,
    Binary,
    Block,
    Call,
    Compare,
    Const,
    Expr,
    Index,
    Input,
    Interval,
    Item,
    Keyword,
    Layer,
    Name,
    Number,
    Option,
    Output,
    Param,
    Parameter,
    Pipe,
    Repeat,
    Result,
    Return,
    Scan,
    Slice,
    Statement,
    Tuple,
    Unary,
    Use,
)

Root = Callable[[Expr], str]  # how to print an expression that is a whole value: on one line, or broken

# how tightly a node binds; an operand that binds less than its place asks for stands in parentheses
PIPE, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(7)
LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "^": POWER}


def expression(node: Expr, least: int = PIPE) -> str:
    text = _bare(node)
    return text if _level(node) >= least else f"({text})"


def broken(node: Expr, pad: str) -> str:
    """A chain of pipes, each on its line."""
    if not isinstance(node, Pipe):
        return expression(node)
    return f"{broken(node.value, pad)}\n{pad}|> {expression(node.target)}"


def _level(node: Expr) -> int:
    match node:
        case Pipe():
            return PIPE
        case Compare():
            return COMPARE
        case Binary():
            return LEVELS[node.op]
        case Unary():
            return UNARY
        case _:
            return ATOM


def _bare(node: Expr) -> str:
    match node:
        case Name(id=text) | Number(text=text):
            return text
        case Pipe():
            return f"{expression(node.value)} |> {expression(node.target)}"
        case Compare():
            return f"{expression(node.left, SUM)} {node.op} {expression(node.right, SUM)}"
        case Binary(op="^"):
            return f"{expression(node.left, ATOM)}^{expression(node.right, UNARY)}"
        case Binary():
            level = LEVELS[node.op]
            return f"{expression(node.left, level)} {node.op} {expression(node.right, level + 1)}"
        case Unary():
            return f"{node.op}{expression(node.operand, UNARY)}"
        case Call():
            keywords = [f"{keyword.name.id}={expression(keyword.value)}" for keyword in node.keywords]
            return f"{node.function.id}({', '.join([*map(expression, node.args), *keywords])})"
        case Index():
            return f"{expression(node.value, ATOM)}[{', '.join(map(_index, node.indices))}]"
        case Tuple():
            return f"({_listed(node.items)}{',' * (len(node.items) == 1)})"


def _index(node: Expr | Slice) -> str:
    if not isinstance(node, Slice):
        return expression(node)
    start, stop, step = (expression(part) if part else "" for part in (node.start, node.stop, node.step))
    return f"{start}:{stop}" + f":{step}" * bool(step)


def _listed(nodes: Iterable[Expr]) -> str:
    return ", ".join(map(expression, nodes))


def header(node: Item | Statement, root: Root) -> str:
    """A statement up to its body."""
    match node:
        case Use():
            return f'use "{node.path}": {_listed(node.names)}'
        case Activation():
            parameters = f"; {_parameters(node.parameters)}" if node.parameters else ""
            return f"activation {node.name.id}({_listed(node.arguments)}{parameters}) = {root(node.body)}"
        case Block():
            return f"block {node.name.id}({_parameters(node.parameters)})"
        case Arch():
            return f"arch {node.name.id}"
        case Repeat():
            return f"repeat {root(node.count)}"
        case Return():
            return f"return {root(node.value)}"
        case Output():
            return f"output {', '.join(_named(result, root) for result in node.results)}"
        case _:
            return _declaration(node, root)


def _declaration(node: Input | Param | Const | Option | Layer | Assign, root: Root) -> str:
    name = node.name.id
    match node:
        case Input():
            adjacency = f" with {node.adjacency.id}" if node.adjacency else ""
            return f"input {name}: {node.type.name.id}({_listed(node.type.sizes)}){adjacency}"
        case Param():
            domain = f" in {_interval(node.domain)}" if node.domain else ""
            return f"param {name} = {root(node.default)}{domain}"
        case Const():
            return f"const {name} = {root(node.value)}"
        case Option():
            return f"option {name} = {root(node.value)}"
        case Layer():
            return f"layer {name} = {root(node.call)}"
        case Assign(value=Scan() as scan):
            states = ", ".join(_named(state, root) for state in scan.states)
            return f"{name} = scan {scan.item.id} in {root(scan.sequence)}, {states}"
        case Assign(value=value):
            return f"{name} = {root(cast(Expr, value))}"  # mypy does not narrow by the case above


def _parameters(parameters: tuple[Parameter, ...]) -> str:
    return ", ".join(
        parameter.name.id + (f" = {expression(parameter.default)}" if parameter.default else "") for parameter in parameters
    )


def _interval(node: Interval) -> str:
    left, right = "[("[node.open_low], "])"[node.open_high]
    return f"{left}{expression(node.low)}, {expression(node.high)}{right}"


def _named(node: Result | Keyword, root: Root) -> str:
    return (f"{node.name.id} = " if node.name else "") + root(node.value)
