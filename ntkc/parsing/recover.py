"""Words -> tree: one parse that goes on after a mistake, from the next statement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lark import Token, Tree, UnexpectedToken

from ntkc.diagnostics import Diagnostic
from ntkc.parsing.grammar import grammar
from ntkc.parsing.layout import Words
from ntkc.source import Source

MOST = 20


@dataclass(frozen=True, slots=True)
class Mistake:
    """The word at `index` does not fit; its statement began at `start`, and the words `expected` would have fitted."""

    source: Source
    tokens: list[Token]
    start: int
    index: int
    expected: frozenset[str]
    top: bool

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    @property
    def first(self) -> Token:
        return self.tokens[self.start]

    @property
    def scans(self) -> bool:
        """Whether the statement has a `scan`."""
        return any(token.type == "SCAN" for token in self.here())

    @property
    def goes_on(self) -> bool:
        """Whether the line ends here, and the next one is indented more."""
        following = self.tokens[self.index + 1 : self.index + 2]
        return self.token.type == "_END" and any(_deeper(self.source, token, self.first) for token in following)

    @property
    def before(self) -> Token:
        return self.tokens[self.index - 1]

    def after(self, steps: int = 1) -> str:
        """The kind of a later word."""
        place = self.index + steps
        return self.tokens[place].type if place < len(self.tokens) else "_END"

    def here(self) -> list[Token]:
        """The words of the statement up to the one that does not fit."""
        return self.tokens[self.start : self.index]


def _deeper(source: Source, token: Token, other: Token) -> bool:
    """Whether a word stands on a later line than another, and further right."""
    here, there = token.start_pos or 0, other.start_pos or 0
    columns = [start - source.text.rfind("\n", 0, start) for start in (here, there)]
    return columns[0] > columns[1] and "\n" in source.text[there:here]


Explain = Callable[[Mistake], Diagnostic]


@dataclass(slots=True)
class _Mark:
    """Where the latest statement of a body begins, and the parser as it was there."""

    start: int
    parser: Any  # an InteractiveParser, which lark leaves half typed
    failed: bool = False


@dataclass(slots=True)
class Recovery:
    """A parse in progress. Once it has `diagnostics`, its tree is of no use."""

    source: Source
    words: Words
    explain: Explain
    parser: Any = field(default_factory=lambda: grammar().parse_interactive())
    marks: list[_Mark] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    orphans: bool = False  # whether the header of the indented lines that follow was wrong
    muted: int = 0  # number of open bodies below which nothing is reported

    def run(self) -> Tree[Any]:
        tokens, index = self.words.tokens, 0
        self.mark(0)
        while index < len(tokens) and len(self.diagnostics) < MOST:
            if index and tokens[index - 1].type in ("_END", "LBRACE"):
                self.mark(index)
            index = self.feed(index)
        return self.parser.feed_eof() if not self.diagnostics else Tree("file", [])

    def mark(self, start: int) -> None:
        """Remember this statement's beginning in place of the one before it in the same body."""
        if self.marks:
            self.marks.pop()
        self.marks.append(_Mark(start, self.parser.copy(deepcopy_values=False)))

    def feed(self, index: int) -> int:
        """Take one word, or what a mistake makes of it; the index to go on from."""
        token = self.words.tokens[index]
        try:
            self.parser.feed_token(token)
        except UnexpectedToken:
            self.report(index)
            return self.resume(index)
        if token.type == "LBRACE":
            self.marks.append(self.marks[-1])
        elif token.type == "RBRACE":
            self.marks.pop()
            self.muted = self.muted if len(self.marks) > self.muted else 0
        return index + 1

    def report(self, index: int) -> None:
        """Add a diagnostic, unless the statement already has one."""
        mark, tokens = self.marks[-1], self.words.tokens
        top = "ARCH" in mark.parser.choices()
        self.orphans = self.orphans and top and self.belongs_to_header(tokens[mark.start])
        muted = 0 < self.muted < len(self.marks)
        silent = mark.failed or muted or self.orphans or self.has_layout_error(tokens[mark.start], tokens[index])
        if not silent:
            expected = frozenset(self.accepts())
            self.diagnostics.append(self.explain(Mistake(self.source, tokens, mark.start, index, expected, top)))
        mark.failed = True

    def belongs_to_header(self, token: Token) -> bool:
        """Whether a line reads like a part of the item above it."""
        start = token.start_pos or 0
        return token.type == "RBRACE" or self.source.text[start - 1 : start] in (" ", "\t")

    def has_layout_error(self, first: Token, last: Token) -> bool:
        low, high = first.start_pos or 0, last.end_pos or 0
        return any(low <= d.span.start < high for d in self.words.diagnostics if d.code != "missing-brace")

    def accepts(self) -> set[str]:
        """Words that would have fitted; tried on copies that share the values, for those can be deep."""
        fitting = set()
        for kind in self.parser.choices():
            if kind.isupper():
                trial = self.parser.copy(deepcopy_values=False)
                try:
                    trial.feed_token(Token(kind, ""))
                except UnexpectedToken:
                    continue
                fitting.add(kind)
        return fitting

    def resume(self, index: int) -> int:
        """Go back to before the statement, skip it, and keep the body that it opens."""
        tokens, mark = self.words.tokens, self.marks[-1]
        self.parser = mark.parser.copy(deepcopy_values=False)
        if tokens[index].type == "LBRACE" and tokens[mark.start].type not in ("ARCH", "BLOCK", "REPEAT"):
            self.muted = self.muted or len(self.marks)  # a brace that opens no body, as in `x = {1, 2}`
        index = self.skip(index)
        if index < len(tokens) and tokens[index].type == "LBRACE":
            # any header that may stand here will do to read the body
            header = ("ARCH", "NAME") if "ARCH" in self.parser.choices() else ("REPEAT", "NUMBER")
            for kind in (*header, "LBRACE"):
                self.parser.feed_token(Token(kind, "1"))
            self.marks.append(mark)
        elif "ARCH" in self.parser.choices():
            self.orphans = True
        return index + 1

    def skip(self, index: int) -> int:
        """The end of a wrong statement, or the brace that opens its body (on the next line, perhaps)."""
        tokens, first = self.words.tokens, self.words.tokens[self.marks[-1].start]
        cut_short = tokens[index].type == "_END"
        while index < len(tokens) and tokens[index].type != "LBRACE":
            following = tokens[index + 1] if index + 1 < len(tokens) else tokens[index]
            indented = cut_short and following.type != "RBRACE" and _deeper(self.source, following, first)
            if tokens[index].type == "_END" and not indented and following.type != "LBRACE":
                break
            index += 1
        return index
