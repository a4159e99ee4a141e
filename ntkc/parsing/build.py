"""Tree -> File: the grammar's tree as the nodes of `ntkc.ir.syntax`. Recursive, so depth is checked before."""

from collections.abc import Callable, Iterator
from typing import Any, cast

from lark import Token, Tree

from ntkc.ir.syntax import (
    Activation,
    Arch,
    Assign,
    Binary,
    Block,
    Call,
    Comment,
    Compare,
    Const,
    Expr,
    File,
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
    Type,
    Unary,
    Use,
)
from ntkc.parsing.layout import span_of
from ntkc.source import Source, Span

Node = Any  # a node of `ntkc.ir.syntax`; which one, the grammar rule of the same name says


def build(source: Source, tree: Tree[Any], comments: list[Token]) -> File:
    made = Build(source)
    notes = tuple(Comment(str(token).rstrip(), _trimmed(span_of(source, token))) for token in comments)
    items = tuple(cast(Item, made(child)) for child in tree.children)
    return File(items, notes, Span(source, 0, len(source.text)))


def _trimmed(span: Span) -> Span:
    return Span(span.source, span.start, span.start + len(span.text.rstrip()))


class Build:
    """One method for each rule of the grammar, with the rule's children, built, and its span."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __call__(self, tree: Tree[Any] | Token | None) -> Node:
        if not isinstance(tree, Tree):
            return tree
        rule = cast(Callable[[list[Node], Span], Node], getattr(self, f"on_{tree.data}"))
        return rule([self(child) for child in tree.children], self.span(tree))

    def span(self, tree: Tree[Any]) -> Span:
        """Empty rules (a body without statements, a bare `:`) have no place of their own."""
        start, end = getattr(tree.meta, "start_pos", 0), getattr(tree.meta, "end_pos", 0)
        return Span(self.source, start, end)

    # items

    def on_use(self, parts: list[Node], span: Span) -> Use:
        _, path, *names = parts
        return Use(path[1:-1], tuple(names), span)

    def on_activation(self, parts: list[Node], span: Span) -> Activation:
        _, name, arguments, *parameters, body = parts
        return Activation(name, arguments, parameters[0] if parameters else (), body, span)

    def on_block(self, parts: list[Node], span: Span) -> Block:
        _, name, *parameters, body = parts
        return Block(name, parameters[0] if parameters else (), body, span)

    def on_arch(self, parts: list[Node], span: Span) -> Arch:
        return Arch(parts[1], parts[2], span)

    def on_names(self, parts: list[Name], span: Span) -> tuple[Name, ...]:
        return tuple(parts)

    def on_parameters(self, parts: list[Parameter], span: Span) -> tuple[Parameter, ...]:
        return tuple(parts)

    def on_parameter(self, parts: list[Node], span: Span) -> Parameter:
        return Parameter(parts[0], parts[1] if len(parts) > 1 else None, span)

    def on_body(self, parts: list[Statement], span: Span) -> tuple[Statement, ...]:
        return tuple(parts)

    # statements

    def on_input(self, parts: list[Node], span: Span) -> Input:
        return Input(parts[1], parts[2], parts[4] if len(parts) > 3 else None, span)

    def on_type(self, parts: list[Node], span: Span) -> Type:
        return Type(parts[0], tuple(parts[1:]), span)

    def on_param(self, parts: list[Node], span: Span) -> Param:
        return Param(parts[1], parts[2], parts[4] if len(parts) > 3 else None, span)

    def on_interval(self, parts: list[Node], span: Span) -> Interval:
        left, low, high, right = parts
        return Interval(low, high, left == "(", right == ")", span)

    def on_const(self, parts: list[Node], span: Span) -> Const:
        return Const(parts[1], parts[2], span)

    def on_option(self, parts: list[Node], span: Span) -> Option:
        return Option(parts[1], parts[2], span)

    def on_layer(self, parts: list[Node], span: Span) -> Layer:
        _, name, call = parts
        return Layer(name, Call(call, (), (), call.span) if isinstance(call, Name) else call, span)

    def on_assign(self, parts: list[Node], span: Span) -> Assign:
        return Assign(parts[0], parts[1], span)

    def on_scan(self, parts: list[Node], span: Span) -> Scan:
        _, item, _, sequence, *states, body = parts
        return Scan(item, sequence, tuple(states), body, span)

    def on_repeat(self, parts: list[Node], span: Span) -> Repeat:
        return Repeat(parts[1], parts[2], span)

    def on_return(self, parts: list[Node], span: Span) -> Return:
        return Return(parts[1], span)

    def on_output(self, parts: list[Node], span: Span) -> Output:
        return Output(tuple(parts[1:]), span)

    def on_result(self, parts: list[Node], span: Span) -> Result:
        return Result(parts[0] if len(parts) > 1 else None, parts[-1], span)

    # expressions

    def on_pipe(self, parts: list[Node], span: Span) -> Pipe:
        return Pipe(parts[0], parts[1], span)

    def on_compare(self, parts: list[Node], span: Span) -> Compare:
        return Compare(str(parts[1]), parts[0], parts[2], span)

    def on_binary(self, parts: list[Node], span: Span) -> Binary:
        return Binary(str(parts[1]), parts[0], parts[2], span)

    def on_unary(self, parts: list[Node], span: Span) -> Unary:
        return Unary(str(parts[0]), parts[1], span)

    def on_index(self, parts: list[Node], span: Span) -> Index:
        return Index(parts[0], tuple(parts[1:]), span)

    def on_slice(self, parts: list[Expr | None], span: Span) -> Slice:
        return Slice(parts[0], parts[1], parts[2], span)

    def on_tuple(self, parts: list[Expr], span: Span) -> Tuple:
        return Tuple(tuple(parts), span)

    def on_call(self, parts: list[Node], span: Span) -> Call:
        keywords = tuple(part for part in parts if isinstance(part, Keyword))
        return Call(parts[0], tuple(part for part in parts[1:] if not isinstance(part, Keyword)), keywords, span)

    def on_keyword(self, parts: list[Node], span: Span) -> Keyword:
        return Keyword(parts[0], parts[1], span)

    def on_name(self, parts: list[Token], span: Span) -> Name:
        return Name(str(parts[0]), span)

    def on_number(self, parts: list[Token], span: Span) -> Number:
        return Number(str(parts[0]), span)


def walk(tree: Tree[Any]) -> Iterator[tuple[int, Tree[Any]]]:
    """Every node with its depth, without recursion."""
    stack = [(1, tree)]
    while stack:
        depth, node = stack.pop()
        yield depth, node
        stack.extend((depth + 1, child) for child in node.children if isinstance(child, Tree))
