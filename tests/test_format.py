"""The formatter keeps the tree and the comments, and has nothing to change in what it wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkc.ir import syntax
from ntkc.ir.syntax import Call, Compare, Expr, File, Keyword, Name, Number, Pipe
from ntkc.parsing.layout import EVERYWHERE, ITEMS, STATEMENTS
from ntkc.passes.format import WIDTH, format_file
from ntkc.passes.parse import parse
from ntkc.passes.read import read
from ntkc.source import Source, Span

HERE = Path(__file__).parent
PROGRAMS = sorted([*HERE.glob("golden/arch/*.arch"), *HERE.glob("programs/*.arch")])
NOWHERE = Span(Source("made.arch", ""), 0, 0)

COMMENTED = """// file


// second
use "a.arch" : f,g // t0
use "b.arch": h
// for p
activation p ( z ;beta=1.0, ) = ((z)) // t1
block b ( x, // first {
   s ) { // trailing header
   // only comment
   }
arch q {}
arch n { // head
   // lead

   input x: graph(N , 3) with A ; param p = 1 in ( 0 ,inf] // t2
   // before


   h = x // inner
     // inner2
     |> dense(W_std = 2) |> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa |> bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb(3)  // t3
   hs = scan u in (x |> f), h = 0, c = -1 { h = u^-2^3; c = -(h^2) } // t4
   repeat 3 { repeat (2 // hid {
      ) { }
      // end of repeat
   }
   output a = h[1:, :2, ::3, -1:] , b = (3,) // t5
   // end of body
}
// end
// of file"""

CANONICAL = """// file

// second
use "a.arch": f, g  // t0
use "b.arch": h

// for p
activation p(z; beta = 1.0) = z  // t1

// first {
block b(x, s) {  // trailing header
    // only comment
}

arch q {}

arch n {  // head
    // lead

    input x: graph(N, 3) with A
    param p = 1 in (0, inf]  // t2
    // before

    // inner
    // inner2
    h = x
        |> dense(W_std=2)
        |> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        |> bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb(3)  // t3
    hs = scan u in x |> f, h = 0, c = -1 {
        h = u^-2^3
        c = -h^2
    }  // t4
    repeat 3 {
        // hid {
        repeat 2 {}
        // end of repeat
    }
    output a = h[1:, :2, ::3, -1:], b = (3,)  // t5
    // end of body
}

// end
// of file
"""


def parsed(text: str) -> File:
    return parse(Source("made.arch", text))


def test_comments_and_layout() -> None:
    assert format_file(parsed(COMMENTED)) == CANONICAL


@pytest.mark.parametrize("text", [COMMENTED, *(path.read_text() for path in PROGRAMS)])
def test_formatting_keeps_the_tree_and_settles(text: str) -> None:
    tree = parsed(text)
    once = parsed(format_file(tree))
    assert once == tree
    assert sorted(comment.text for comment in once.comments) == sorted(comment.text for comment in tree.comments)
    assert format_file(once) == format_file(tree)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_lines_are_broken_before_pipes(path: Path) -> None:
    for line in format_file(parse(read(path))).split("\n"):
        assert len(line.split("//")[0].rstrip()) <= WIDTH or line.lstrip().startswith("|>")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("((a+b))*c", "(a + b) * c"),
        ("a-(b-c)", "a - (b - c)"),
        ("(a-b)-c", "a - b - c"),
        ("(-a)^2", "(-a)^2"),
        ("-(a^2)", "-a^2"),
        ("a^(b^c)", "a^b^c"),
        ("(a^b)^c", "(a^b)^c"),
        ("2^(-1)", "2^-1"),
        ("a*(-b)", "a * -b"),
        ("f( a,b = 2,)", "f(a, b=2)"),
        ("(a|>f)+b", "(a |> f) + b"),
        ("(a|>f)|>g", "a |> f |> g"),
        ("f(a|>g)", "f(a |> g)"),
        ("where((a)<(b),1e-3,.50)", "where(a < b, 1e-3, .50)"),
        ("(a+b)[0:1:2]", "(a + b)[0:1:2]"),
        ("(3,)", "(3,)"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    assert format_file(parsed(f"activation f(z) = {text}")) == f"activation f(z) = {expected}\n"


# Random trees. They have no place in a source; comparison does not look at spans.

KEYWORDS = {*ITEMS, *STATEMENTS, *EVERYWHERE}
idents = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True).filter(lambda text: text not in KEYWORDS)
names = st.builds(Name, idents, st.just(NOWHERE))
numbers = st.builds(Number, st.sampled_from(["0", "3", "0.5", "1e-3", ".5", "2.", "1E+10"]), st.just(NOWHERE))


def node(kind: Callable[..., Any], *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, *parts, st.just(NOWHERE))


def some(part: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(part, min_size=least, max_size=most).map(tuple)


def keywords(value: st.SearchStrategy[Expr], least: int = 0) -> st.SearchStrategy[tuple[Keyword, ...]]:
    each = node(Keyword, names, value)
    return st.lists(each, min_size=least, max_size=3, unique_by=lambda keyword: keyword.name.id).map(tuple)


def calls(value: st.SearchStrategy[Expr]) -> st.SearchStrategy[Call]:
    return node(Call, names, some(value), keywords(value))


def larger(part: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    slices = node(syntax.Slice, *[st.none() | part] * 3)
    return st.one_of(
        node(syntax.Unary, st.just("-"), part),
        node(syntax.Binary, st.sampled_from("+-*/^"), part, part),
        node(Compare, st.sampled_from(["<", "<=", ">", ">="]), part, part),
        calls(part),
        node(Pipe, part, names | calls(part)),
        node(syntax.Index, part, some(part | slices, 1)),
        node(syntax.Tuple, some(part, 1)),
    )


expressions: st.SearchStrategy[Expr] = st.recursive(names | numbers, larger, max_leaves=12)
values = expressions.filter(lambda expression: not isinstance(expression, Compare))
parameters = some(node(syntax.Parameter, names, st.none() | expressions))
intervals = node(syntax.Interval, expressions, expressions, st.booleans(), st.booleans())
types = node(syntax.Type, names, some(expressions))
several = some(node(syntax.Result, names, values), 1)
single = node(syntax.Result, st.none(), values).map(lambda result: (result,))

simple = st.one_of(
    node(syntax.Input, names, types, st.none() | names),
    node(syntax.Param, names, values, st.none() | intervals),
    node(syntax.Const, names, values),
    node(syntax.Option, names, expressions),
    node(syntax.Layer, names, calls(expressions)),
    node(syntax.Assign, names, values),
    node(syntax.Return, values),
    node(syntax.Output, single | several),
)


def compound(statement: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    scans = node(syntax.Scan, names, expressions, keywords(expressions, 1), some(statement))
    return node(syntax.Repeat, expressions, some(statement)) | node(syntax.Assign, names, scans)


bodies = some(st.recursive(simple, compound, max_leaves=4))
items = st.one_of(
    node(syntax.Use, st.sampled_from(["a.arch", "../b c.arch"]), some(names, 1)),
    node(syntax.Activation, names, some(names, 1), parameters, values),
    node(syntax.Block, names, parameters, bodies),
    node(syntax.Arch, names, bodies),
)
files = st.builds(File, some(items), st.just(()), st.just(NOWHERE))


@given(files)
def test_random_trees_come_back(tree: File) -> None:
    text = format_file(tree)
    again = parsed(text)
    assert again == tree
    assert format_file(again) == text
