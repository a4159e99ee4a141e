"""File -> text: the one canonical way to write a program, with its comments."""

import re
from dataclasses import dataclass, field
from functools import partial

from ntkc.ir.syntax import Activation, Arch, Assign, Block, Comment, File, Item, Repeat, Scan, Statement, Use
from ntkc.parsing.unparse import broken, expression, header
from ntkc.source import Source

WIDTH = 100
INDENT = "    "
_ITEMS = (Use, Activation, Block, Arch)


def format_file(file: File) -> str:
    page = _Page(file.span.source, list(file.comments))
    page.parts(file.items, file.span.end, "")
    return "".join(f"{line}\n" for line in page.lines)


@dataclass(slots=True)
class _Page:
    """Lines so far. Comments and blank lines are found again by their place in the source."""

    source: Source
    comments: list[Comment]  # those not yet written
    lines: list[str] = field(default_factory=list)
    last: int = -1  # where the source of the latest line ends, or -1 at the beginning of a body
    above: Item | Statement | None = None  # what the latest line belongs to; None if to a comment

    def parts(self, parts: tuple[Item, ...] | tuple[Statement, ...], end: int, pad: str) -> None:
        """The lines of a file or a body that reaches to `end`."""
        for part in parts:
            self.notes(part.span.start, part.span.start, pad, part)
            self.part(part, pad)
        self.notes(end, end, pad)

    def notes(self, before: int, place: int, pad: str, part: Item | Statement | None = None) -> None:
        """The comments that begin before an offset, as lines that stand at `place` or earlier, above `part`."""
        while self.comments and self.comments[0].span.start < before:
            comment = self.comments.pop(0)
            self.gap(min(comment.span.start, place), part)
            self.lines.append(pad + comment.text)
            self.last, self.above = max(self.last, min(comment.span.end, place)), None

    def part(self, part: Item | Statement, pad: str) -> None:
        body, end = _body(part), part.span.end
        brace = self.brace(_header_end(part)) if body is not None else end
        self.notes(brace, part.span.start, pad, part)
        self.gap(part.span.start, part)
        self.lines += _first_lines(part, pad, body is not None)
        self.trailing(brace + (body is not None))
        if body is not None:
            self.body(body, end, pad)
            self.trailing(end)
        self.last, self.above = max(self.last, end), part

    def body(self, body: tuple[Statement, ...], end: int, pad: str) -> None:
        if not body and not self.comments_before(end) and self.lines[-1].endswith("{"):
            self.lines[-1] += "}"
            return
        self.last, self.above = -1, None
        self.parts(body, end - 1, pad + INDENT)
        self.lines.append(pad + "}")
        self.last = end

    def comments_before(self, end: int) -> bool:
        return bool(self.comments) and self.comments[0].span.start < end

    def gap(self, start: int, part: Item | Statement | None) -> None:
        """An empty line between items; elsewhere, where the source has one or more."""
        if self.last < 0 or not self.lines:
            return
        items = isinstance(self.above, _ITEMS) and not (isinstance(self.above, Use) and isinstance(part, Use))
        if items or re.search(r"\n[ \t\r\f]*\n", self.source.text[self.last : start]):
            self.lines.append("")

    def trailing(self, end: int) -> None:
        """A comment behind a statement stays behind it."""
        if not self.comments:
            return
        span = self.comments[0].span
        between = self.source.text[end : span.start]
        if span.start >= end and not between.strip(" \t\r\f;"):
            self.lines[-1] += f"  {self.comments.pop(0).text}"
            self.last = span.end

    def brace(self, start: int) -> int:
        """The `{` after a header, which no comment hides."""
        hidden = [comment.span for comment in self.comments if comment.span.end > start]
        for match in re.finditer(r"\{", self.source.text[start:]):
            place = start + match.start()
            if not any(span.start <= place < span.end for span in hidden):
                return place
        return start


def _first_lines(part: Item | Statement, pad: str, opens: bool) -> list[str]:
    """The statement on one line, or broken before each `|>` when that is too long."""
    tail = " {" if opens else ""
    line = pad + header(part, expression) + tail
    if len(line) <= WIDTH:
        return [line]
    return (pad + header(part, partial(broken, pad=pad + INDENT)) + tail).split("\n")


def _body(part: Item | Statement) -> tuple[Statement, ...] | None:
    match part:
        case Arch(body=body) | Block(body=body) | Repeat(body=body) | Assign(value=Scan(body=body)):
            return body
        case _:
            return None


def _header_end(part: Item | Statement) -> int:
    """Where the last node before the body ends."""
    match part:
        case Block(parameters=(*_, last)) | Assign(value=Scan(states=(*_, last))) | Repeat(count=last):
            return last.span.end
        case Arch(name=name) | Block(name=name):
            return name.span.end
        case _:
            return part.span.end
