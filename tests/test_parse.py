"""Every program parses, every span is exact, and no text makes the parser do more than report."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.ir import syntax
from ntkc.ir.syntax import Activation, Arch, Assign, Call, Expr, File, Layer, Name, Output, Param, Repeat, Scan
from ntkc.passes.parse import parse
from ntkc.passes.read import read
from ntkc.source import Source, Span

HERE = Path(__file__).parent
PROGRAMS = sorted([*HERE.glob("golden/arch/*.arch"), *HERE.glob("programs/*.arch")])
EXPRESSIONS = (
    *(syntax.Name, syntax.Number, syntax.Unary, syntax.Binary, syntax.Compare),
    *(syntax.Call, syntax.Pipe, syntax.Index, syntax.Tuple),
)


def program(text: str) -> File:
    return parse(Source("test.arch", text))


def body(text: str) -> Expr:
    """An expression, wherever it may stand: as an argument."""
    item = program(f"activation f(z) = g({text})").items[0]
    assert isinstance(item, Activation)
    assert isinstance(item.body, Call)
    return item.body.args[0]


def statements(text: str) -> tuple[syntax.Statement, ...]:
    item = program("arch a {\n" + text + "\n}").items[0]
    assert isinstance(item, Arch)
    return item.body


def diagnostics(text: str) -> tuple[Diagnostic, ...]:
    try:
        program(text)
    except ArchError as error:
        return error.diagnostics
    return ()


def codes(text: str) -> list[str]:
    return [d.code for d in diagnostics(text)]


def nodes(value: object) -> Iterator[Any]:
    if isinstance(value, tuple):
        for part in value:
            yield from nodes(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, Span):
        yield value
        for field in dataclasses.fields(value):
            yield from nodes(getattr(value, field.name))


def shape(node: Expr) -> str:
    """An expression with all its parentheses."""
    match node:
        case syntax.Name(id=text) | syntax.Number(text=text):
            return text
        case syntax.Unary():
            return f"({node.op}{shape(node.operand)})"
        case syntax.Binary() | syntax.Compare():
            return f"({shape(node.left)}{node.op}{shape(node.right)})"
        case syntax.Pipe():
            return f"({shape(node.value)}|>{shape(node.target)})"
        case syntax.Call():
            return f"{node.function.id}({','.join(map(shape, node.args))})"
        case _:
            return node.span.text


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_parse(path: Path) -> None:
    assert any(isinstance(item, Arch) for item in parse(read(path)).items)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_the_span_of_an_expression_is_its_text(path: Path) -> None:
    for node in nodes(parse(read(path))):
        if isinstance(node, EXPRESSIONS):
            assert body(node.span.text) == node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x^2", "(-(x^2))"),
        ("2^-1", "(2^(-1))"),
        ("a^b^c", "(a^(b^c))"),
        ("a - b - c", "((a-b)-c)"),
        ("a / b * c", "((a/b)*c)"),
        ("-a * b", "((-a)*b)"),
        ("a + b * c^d", "(a+(b*(c^d)))"),
        ("a + b |> f", "((a+b)|>f)"),
        ("a < b + c", "(a<(b+c))"),
        ("a < b |> where(c, d)", "((a<b)|>where(c,d))"),
        ("a |> f |> g(2)", "((a|>f)|>g(2))"),
        ("((h))", "h"),
        ("2^-x^2", "(2^(-(x^2)))"),
        ("--x", "(-(-x))"),
    ],
)
def test_precedence(text: str, expected: str) -> None:
    assert shape(body(text)) == expected


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("f(a, b=2) + (c)", {"f(a, b=2) + (c)", "f(a, b=2)", "b=2", "f", "a", "b", "2", "c"}),
        ("(a + b) * -c", {"(a + b) * -c", "a + b", "a", "b", "-c", "c"}),
        ("x[1:, :2]", {"x[1:, :2]", "x", "1:", "1", ":2", "2"}),
        ("x[:]", {"x[:]", "x", ":"}),
        ("(a) |> f( )", {"(a) |> f( )", "a", "f( )", "f"}),
        ("((3, 2,))", {"(3, 2,)", "3", "2"}),
        ("-(a)", {"-(a)", "a"}),
    ],
)
def test_spans(text: str, spans: set[str]) -> None:
    assert {node.span.text for node in nodes(body(text))} == spans


def test_spans_of_statements() -> None:
    text = "  hs = scan u in x, h = 0 { h = u } // end\n  repeat 2 {}\n  param p = 1 in [0, 1)\n  output a = x, b = (y)"
    found = statements(text)
    assert [node.span.text for node in found] == [line.split(" //")[0].strip() for line in text.split("\n")]
    assert isinstance(found[3], Output)
    assert [result.span.text for result in found[3].results] == ["a = x", "b = (y)"]


def test_a_file_spans_its_text() -> None:
    text = '// first\nuse "a.arch": f, g\nblock b(h, k = 2,) {}\narch n { } // last \n'
    file = program(text)
    assert file.span.text == text
    assert [comment.span.text for comment in file.comments] == ["// first", "// last"]
    assert [item.span.text for item in file.items] == ['use "a.arch": f, g', "block b(h, k = 2,) {}", "arch n { }"]


def test_layout() -> None:
    found = statements("a = (1 +\n 2)\nb = x\n\n  // note\n  |> f(\n)\n  |> g; c = 1;;d = x[\n0]")
    assert [node.span.text.split()[0] for node in found] == ["a", "b", "c", "d"]


def test_windows_line_ends() -> None:
    assert program("arch a {\r\n    x = 1 // c\r\n}\r\n") == program("arch a {\n    x = 1\n}\n")


def test_statement_forms() -> None:
    found = statements(
        "input x: graph(N, d) with A\nparam p = 1 in (0, inf]\nlayer W = dense\nlayer V = dense(b_std=1)\n"
        "h = scan u in x, h = 0, c = 1 { }\nrepeat n { }"
    )
    adjacency, param, bare, layer, assign, repeat = found
    assert isinstance(adjacency, syntax.Input)
    assert adjacency.adjacency == Name("A", adjacency.span)
    assert isinstance(param, Param)
    assert param.domain is not None
    assert (param.domain.open_low, param.domain.open_high) == (True, False)
    assert isinstance(bare, Layer)
    assert bare.call.args == ()
    assert isinstance(layer, Layer)
    assert len(layer.call.keywords) == 1
    assert isinstance(assign, Assign)
    assert isinstance(assign.value, Scan)
    assert [state.name.id for state in assign.value.states] == ["h", "c"]
    assert isinstance(repeat, Repeat)
    assert repeat.body == ()


def test_activation_parameters() -> None:
    item = program("activation f(z, w; beta = 1.0, c = 2) = z").items[0]
    assert isinstance(item, Activation)
    assert [name.id for name in item.arguments] == ["z", "w"]
    assert [parameter.name.id for parameter in item.parameters] == ["beta", "c"]


def test_words_are_keywords_only_where_they_begin_a_statement() -> None:
    found = statements("h = f(input, layer=param) + output\nlayer_norm = arch\ninputs = 1")
    assert len(found) == 3


def test_an_empty_file_is_a_file() -> None:
    assert program("").items == ()
    assert program("// nothing\n\n").items == ()


def test_all_statements_with_errors_are_reported() -> None:
    text = "arch a {\n h = \n repeat 3 {\n  k = 2 3\n  m = f(x)\n }\n n = g(,)\n}\narch {\n p = ]\n}"
    lines = [d.span.source.position(d.span.start)[0] for d in diagnostics(text)]
    assert lines == [2, 4, 7, 9, 10]


def test_at_most_twenty_errors() -> None:
    assert len(codes("arch a {\n" + "h = 2 3\n" * 50 + "}")) == 20
