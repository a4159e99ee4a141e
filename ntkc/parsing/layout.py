"""Source -> words: where statements end, which names are keywords, and which bracket was never closed."""

from bisect import bisect_right
from dataclasses import dataclass, field

from lark import Token

from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.parsing.grammar import grammar
from ntkc.source import Source, Span

DEEPEST = 200
ITEMS = ("use", "activation", "block", "arch")
STATEMENTS = ("input", "param", "const", "option", "layer", "repeat", "return", "output")
EVERYWHERE = ("scan", "in", "with")
CLOSES = {"(": ")", "[": "]", "{": "}"}
OPERAND_ENDS = ("NAME", "NUMBER", "RPAR", "RSQB")


@dataclass(frozen=True, slots=True)
class Words:
    """The words that the grammar reads, the comments, and what was found wrong on the way."""

    tokens: list[Token]
    comments: list[Token]
    diagnostics: list[Diagnostic]


def layout(source: Source) -> Words:
    comments: list[Token] = []
    rows = _rows(source, comments)
    state = _Layout(source, rows)
    state.run()
    return Words(state.out, comments, state.diagnostics)


def span_of(source: Source, token: Token) -> Span:
    start = token.start_pos or 0
    return Span(source, start, token.end_pos or start)


def too_deep(span: Span) -> Diagnostic:
    return Diagnostic(
        "nesting-too-deep",
        f"this is nested more than {DEEPEST} levels deep",
        span,
        "too deep from here",
        "give the inner parts names of their own, `h = …`, or write the pattern with `repeat`",
    )


def inner_scan(span: Span) -> Diagnostic:
    message = "a `scan` stands only to the right of `name =`"
    help = "give it a name, `hs = scan u in x, h = 0 { … }`, and use `hs` below"
    return Diagnostic("scan-in-expression", message, span, "", help)


@dataclass(frozen=True, slots=True)
class _Row:
    """A word, with its column, and whether it is the first on its line."""

    token: Token
    column: int
    first: bool


def _rows(source: Source, comments: list[Token]) -> list[_Row]:
    """The words of a text; stops at once when brackets nest too deep, however long the text."""
    starts = [0, *(i + 1 for i, char in enumerate(source.text) if char == "\n")]
    rows: list[_Row] = []
    depth, first = 0, True
    for token in grammar().lex(source.text):
        if token.type == "NEWLINE":
            first = True
        elif token.type == "COMMENT":
            comments.append(token)
        else:
            depth = max(0, depth + (token in CLOSES) - (token in CLOSES.values()))
            if depth > DEEPEST:
                raise ArchError([too_deep(span_of(source, token))])
            position = token.start_pos or 0
            rows.append(_Row(token, position - starts[bisect_right(starts, position) - 1], first))
            first = False
    return rows


@dataclass(frozen=True, slots=True)
class _Open:
    """An open bracket, and the column at which its line begins."""

    token: Token
    indent: int


@dataclass(slots=True)
class _Layout:
    source: Source
    rows: list[_Row]
    out: list[Token] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    suspect: _Open | None = None  # a brace whose partner stands further left than it should
    indent: int = 0  # column of the first word of the line
    margin: int = 0  # column of the first word of the statement

    def run(self) -> None:
        for index, row in enumerate(self.rows):
            self.indent = row.column if row.first else self.indent
            self.word(index, row)
        self.close_round()
        self.end()
        self.close_braces()

    def word(self, index: int, row: _Row) -> None:
        token = row.token
        if self.inside() and (token == "}" or self.opens_body(row) or self.begins_anew(index)):
            self.close_round()
            self.end()
        if not self.inside():
            if token.type == "SEMICOLON":
                return self.end()
            if token == "}" or (row.first and token.type != "PIPE"):
                self.end()
        return self.put(index, row)

    def put(self, index: int, row: _Row) -> None:
        token = row.token
        if self.fresh():
            self.margin = row.column
            if self.begins_item(index):
                self.close_braces()
        self.out.append(self.keyword(token) if token.type == "NAME" else token)
        if token in CLOSES:
            self.stack.append(_Open(token, self.indent))
        elif token in CLOSES.values():
            self.close(row)

    def close(self, row: _Row) -> None:
        if not self.stack or self.inside() == (row.token == "}"):
            return
        opened = self.stack.pop()
        if row.token == "}" and row.first and row.column < opened.indent:
            self.suspect = self.suspect or opened

    def inside(self) -> bool:
        """Whether the innermost open bracket is round or square: newlines do not count there."""
        return bool(self.stack) and self.stack[-1].token != "{"

    def fresh(self) -> bool:
        """Whether the next word begins a statement."""
        return not self.out or self.out[-1].type in ("_END", "LBRACE")

    def end(self) -> None:
        if not self.fresh():
            self.out.append(self.made("_END", ""))

    def made(self, kind: str, text: str) -> Token:
        """A word that is not in the text, of no width, placed behind the last one."""
        position = self.out[-1].end_pos if self.out else 0
        return Token(kind, text, start_pos=position, end_pos=position)

    def keyword(self, token: Token) -> Token:
        begins = self.fresh() and token in (*ITEMS, *STATEMENTS)
        return Token.new_borrow_pos(token.upper(), token, token) if begins or token in EVERYWHERE else token

    def begins_item(self, index: int) -> bool:
        """Whether an item begins at the left margin although a brace is open."""
        row = self.rows[index]
        return bool(self.stack) and row.first and row.column <= self.stack[0].indent and row.token in ITEMS

    def opens_body(self, row: _Row) -> bool:
        """Whether a `{` stands where a body may begin, and not where an expression must."""
        return row.token == "{" and (row.first or self.out[-1].type in OPERAND_ENDS)

    def begins_anew(self, index: int) -> bool:
        """Whether a line inside brackets reads like the next statement, so that a bracket was forgotten."""
        row = self.rows[index]
        if not row.first or row.column > self.margin or row.token.type != "NAME" or index + 1 == len(self.rows):
            return False
        following = self.rows[index + 1].token.type
        if following == "EQUAL":
            return self.out[-1].type in OPERAND_ENDS
        return row.token in (*ITEMS, *STATEMENTS) and following in ("NAME", "NUMBER", "STRING")

    def close_round(self) -> None:
        """Report the outermost open round or square bracket of a statement, and close them all."""
        while self.inside():
            opened = self.stack.pop().token
            if not self.inside() and not self.scan_within(opened):
                self.unclosed(opened, "unclosed-bracket")
            self.out.append(self.made("RPAR" if opened == "(" else "RSQB", CLOSES[opened]))

    def scan_within(self, opened: Token) -> bool:
        """Report a `scan` inside brackets, whose body would pass for a forgotten bracket."""
        scans = [t for t in self.out if t.type == "SCAN" and (t.start_pos or 0) > (opened.start_pos or 0)]
        self.diagnostics += [inner_scan(span_of(self.source, scan)) for scan in scans[:1]]
        return bool(scans)

    def close_braces(self) -> None:
        """Report what is open, and close it."""
        if self.stack:
            self.unclosed((self.suspect or self.stack[-1]).token, "missing-brace")
        while self.stack:
            self.stack.pop()
            self.out.append(self.made("RBRACE", "}"))
            self.end()

    def unclosed(self, opened: Token, code: str) -> None:
        closing = CLOSES[opened]
        span = span_of(self.source, opened)
        help = f"add `{closing}` behind what it encloses"
        self.diagnostics.append(Diagnostic(code, f"this `{opened}` is never closed", span, f"no `{closing}` for it", help))
