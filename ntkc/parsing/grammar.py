"""The grammar file as a Lark parser."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from lark import Lark, Token

BEYOND_THE_RULES = (
    *("NEWLINE", "COMMENT", "BAD_NUMBER", "BAD_NAME", "BAD_STRING", "BLOCK_COMMENT", "HASH_COMMENT", "DOUBLE_STAR"),
    *("DOUBLE_EQUAL", "NOT_EQUAL", "WALRUS", "AUGMENTED", "ARROW", "SHIFT", "LOGIC", "BAR", "DOT", "UNKNOWN"),
)


class _Keep:
    """Lark drops words that no rule uses unless a post-lexer asks for them."""

    always_accept = BEYOND_THE_RULES

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return stream


def grammar_text() -> str:
    """The text of `arch.lark`: inside the package when installed, beside it in a checkout."""
    installed = files("ntkc") / "grammar" / "arch.lark"
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "grammar" / "arch.lark").read_text(encoding="utf-8")


@cache
def grammar() -> Lark:
    return Lark(grammar_text(), start="file", parser="lalr", lexer="basic", postlex=_Keep(), propagate_positions=True)
