"""Tree -> findings: what the grammar lets pass and the language does not."""

from typing import Any

from lark import Token, Tree

from ntkc.diagnostics import Diagnostic
from ntkc.parsing.build import walk
from ntkc.parsing.layout import DEEPEST, too_deep
from ntkc.source import Source, Span


def check(source: Source, tree: Tree[Any]) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for depth, node in walk(tree):
        if depth > DEEPEST:
            return [too_deep(_span(source, node))]
        if node.data == "call":
            found += _arguments(source, node)
        elif node.data in ("assign", "result", "return", "activation", "param", "const"):
            found += _bare_comparison(source, node)
    return found


def _span(source: Source, tree: Tree[Any]) -> Span:
    return Span(source, tree.meta.start_pos, tree.meta.end_pos)


def _arguments(source: Source, call: Tree[Any]) -> list[Diagnostic]:
    """Positional arguments come first, and no keyword comes twice."""
    found: list[Diagnostic] = []
    seen: set[str] = set()
    for argument in call.children[1:]:
        if argument.data != "keyword":
            if seen:
                found.append(_late(_span(source, argument)))
            continue
        name = _span(source, argument.children[0])
        if name.text in seen:
            found.append(_twice(name))
        seen.add(name.text)
    return found


def _late(span: Span) -> Diagnostic:
    message = "an argument without a name stands after one with a name"
    return Diagnostic("argument-order", message, span, "move this to the front", "write `f(h, stride=2)`")


def _twice(name: Span) -> Diagnostic:
    return Diagnostic("duplicate-argument", f"the argument `{name.text}` is given twice", name, "leave one of them")


def _bare_comparison(source: Source, statement: Tree[Any]) -> list[Diagnostic]:
    return [_outside_where(source, child) for child in statement.children if isinstance(child, Tree) and child.data == "compare"]


def _outside_where(source: Source, compare: Tree[Any]) -> Diagnostic:
    sign = compare.children[1]
    assert isinstance(sign, Token)
    span = Span(source, sign.start_pos or 0, sign.end_pos or 0)
    right = compare.children[2]
    piped = sign == ">" and isinstance(right, Tree) and right.data in ("name", "call")
    help = "`where(a < b, x, y)` is `x` where `a < b`, and `y` elsewhere"
    label = "did you mean `|>`?" if piped else ""
    return Diagnostic("comparison-outside-where", "a comparison stands only inside `where`", span, label, help)
