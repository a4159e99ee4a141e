"""No text makes the parser do more than report, nor take long over it."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.ir.syntax import File
from ntkc.passes.parse import parse
from ntkc.source import Source

PROGRAMS = sorted(Path(__file__).parent.glob("*/**/*.arch"))


def program(text: str) -> File:
    return parse(Source("test.arch", text))


def diagnostics(text: str) -> tuple[Diagnostic, ...]:
    try:
        program(text)
    except ArchError as error:
        return error.diagnostics
    return ()


def codes(text: str) -> list[str]:
    return [d.code for d in diagnostics(text)]


LONG = {
    "parentheses": "(" * 1_000_000,
    "square brackets": "arch a { h = x" + "[" * 500_000 + "]" * 500_000 + "}",
    "braces": "arch a " + "{" * 100_000,
    "repeats": "arch a {" + "repeat 2 {" * 500 + "}" * 501,
    "calls": "activation f(z) = " + "f(" * 190 + "z" + ")" * 190,
    "sums": "activation f(z) = z" + " + z" * 10_000,
    "pipes": "activation f(z) = z" + " |> f" * 10_000,
    "minuses": "activation f(z) = " + "-" * 10_000 + "z",
    "powers": "activation f(z) = z" + "^z" * 10_000,
    "indices": "activation f(z) = z" + "[0]" * 10_000,
    "names": "a " * 10_000,
    "closers": ")" * 100_000,
    "unclosed comment": "/*" * 100_000,
    "unclosed string": '"' * 100_001,
    "digits and dots": "1." * 100_000,
    "tabs": "\t" * 300_000 + "x",
}


@pytest.mark.parametrize("name", LONG)
def test_long_texts_end_in_a_diagnostic(name: str) -> None:
    start = time.process_time()
    if name == "calls":  # deep, but within the bounds
        assert program(LONG[name]).items
    else:
        assert codes(LONG[name])
    assert time.process_time() - start < 5  # about one second; the bound allows for a busy machine


@pytest.mark.parametrize("name", ["parentheses", "repeats", "sums", "pipes", "minuses", "powers", "indices"])
def test_depth_has_its_own_code(name: str) -> None:
    assert codes(LONG[name]) == ["nesting-too-deep"]


def test_random_bytes() -> None:
    data = random.Random(0).randbytes(10_000)
    assert codes(data.decode("latin-1"))


def only_reports(text: str) -> None:
    found = diagnostics(text)
    assert all(0 <= d.span.start <= d.span.end <= len(text) for d in found)
    assert all(str(d) for d in found)


WORDS = [
    *("arch", "block", "activation", "use", "input", "param", "const", "option", "layer", "repeat", "return"),
    *("output", "scan", "in", "with", "x", "h", "2", "0.5", '"a"', "if", "let", "for", "and"),
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ";",
        "=",
        "+",
        "-",
        "*",
        "/",
        "^",
        "<",
        ">=",
        "|>",
        "\n",
        "\n    ",
        "// c",
    ),
    *("**", "==", "!=", ":=", "+=", "->", "|", ".", "#", "'", "1.2.3", "@", "é"),
]


@given(st.binary(max_size=200))
def test_bytes_only_make_reports(data: bytes) -> None:
    only_reports(data.decode("latin-1"))


@given(st.text(max_size=100))
def test_text_only_makes_reports(text: str) -> None:
    only_reports(text)


@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_words_only_make_reports(words: list[str]) -> None:
    only_reports(" ".join(words))


@given(st.sampled_from(PROGRAMS), st.integers(0), st.integers(0, 3), st.sampled_from(["", *WORDS]))
def test_edited_programs_only_make_reports(path: Path, place: int, length: int, word: str) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    place %= len(text) + 1
    only_reports(text[:place] + word + text[place + length :])
