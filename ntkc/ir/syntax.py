"""What was written: the syntax tree of a `.arch` file. Spans do not take part in comparison."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ntkc.source import Span


def _span() -> Any:
    return field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    id: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Number:
    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Unary:
    op: str
    operand: "Expr"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    """`left op right` with op one of `+ - * / ^`."""

    op: str
    left: "Expr"
    right: "Expr"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right` with op one of `< <= > >=`."""

    op: str
    left: "Expr"
    right: "Expr"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Keyword:
    name: Name
    value: "Expr"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call:
    function: Name
    args: "tuple[Expr, ...]"
    keywords: tuple[Keyword, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Pipe:
    """`value |> target`, the target a bare name or a call that takes `value` first."""

    value: "Expr"
    target: Name | Call
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Slice:
    start: "Expr | None"
    stop: "Expr | None"
    step: "Expr | None"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Index:
    value: "Expr"
    indices: "tuple[Expr | Slice, ...]"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Tuple:
    items: "tuple[Expr, ...]"
    span: Span = _span()


Expr: TypeAlias = Name | Number | Unary | Binary | Compare | Call | Pipe | Index | Tuple


@dataclass(frozen=True, slots=True)
class Type:
    """`vector(784)`; a size may be the name `_`."""

    name: Name
    sizes: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Interval:
    low: Expr
    high: Expr
    open_low: bool
    open_high: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Input:
    name: Name
    type: Type
    adjacency: Name | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Param:
    name: Name
    default: Expr
    domain: Interval | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Const:
    name: Name
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Option:
    name: Name
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Layer:
    """`layer W = dense(...)`: one set of weights with a name."""

    name: Name
    call: Call
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Scan:
    """`scan item in sequence, state = initial, ... { body }`."""

    item: Name
    sequence: Expr
    states: tuple[Keyword, ...]
    body: "tuple[Statement, ...]"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Assign:
    name: Name
    value: Expr | Scan
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Repeat:
    count: Expr
    body: "tuple[Statement, ...]"
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Return:
    """The last statement of a block."""

    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Result:
    """One output, with its name when there are several."""

    name: Name | None
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Output:
    results: tuple[Result, ...]
    span: Span = _span()


Statement: TypeAlias = Input | Param | Const | Option | Layer | Assign | Repeat | Return | Output


@dataclass(frozen=True, slots=True)
class Parameter:
    """A formal parameter of a block or activation, with its default if it has one."""

    name: Name
    default: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Use:
    """`use "path": NAME, ...`."""

    path: str
    names: tuple[Name, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Activation:
    """`activation name(arguments; parameters) = body`."""

    name: Name
    arguments: tuple[Name, ...]
    parameters: tuple[Parameter, ...]
    body: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Block:
    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Arch:
    name: Name
    body: tuple[Statement, ...]
    span: Span = _span()


Item: TypeAlias = Use | Activation | Block | Arch


@dataclass(frozen=True, slots=True)
class Comment:
    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class File:
    items: tuple[Item, ...]
    comments: tuple[Comment, ...] = field(compare=False)
    span: Span = _span()
