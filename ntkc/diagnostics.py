"""Errors as a product: what went wrong, where, and what to write instead."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from ntkc.source import Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `label` stands under the span, `help` on a line of its own."""

    code: str
    message: str
    span: Span
    label: str = ""
    help: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        head = f"{self.severity}[{self.code}]: {self.message}"
        if self.span.source.text == "":  # about a file as a whole
            return "\n".join([head, f"  --> {self.span.source.name}", *([f"   = help: {self.help}"] * bool(self.help))])
        line, column = self.span.source.position(self.span.start)
        text = self.span.source.line(line)
        number, width = f" {line}", len(str(line)) + 1
        shown, lead = _window(text, column - 1)
        length = max(1, min(self.span.end - self.span.start, len(shown) - lead))
        caret = (" " * lead + "^" * length + " " + self.label).rstrip()
        rows = [
            head,
            f"{' ' * width}--> {self.span.source.name}:{line}:{column}",
            f"{' ' * width} |",
            f"{number} | {shown}".rstrip(),
            f"{' ' * width} | {caret}",
        ]
        if self.help:
            rows.append(f"{' ' * width} = help: {self.help}")
        return "\n".join(rows)

    def record(self) -> dict[str, str | int | None]:
        """For programs: plain values, lines and columns from 1, `end_column` exclusive; no place in a file as a whole."""
        source, start, end = self.span.source, self.span.start, self.span.end
        whole = source.text == ""
        line, column = (None, None) if whole else source.position(start)
        end_line, end_column = (None, None) if whole else source.position(end)
        words = {"code": self.code, "severity": self.severity, "message": self.message, "label": self.label, "help": self.help}
        place = {"line": line, "column": column, "end_line": end_line, "end_column": end_column}
        return {**words, "file": source.name, **place}


class ArchWarning(UserWarning):
    """A valid program that may not be what was meant."""


class ArchError(Exception):
    """The input is at fault; carries every independent finding."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)  # its only argument, so that it travels between processes

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.diagnostics))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"did you mean `dense`?"``, or nothing when no known name is near."""
    words = sorted(known)
    near = [w for w in words if w.lower() == name.lower()] or get_close_matches(name, words, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def _window(text: str, column: int, width: int = 100) -> tuple[str, int]:
    """A printable part of a line around a column, and the column in it (tabs and controls become blanks)."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    start = max(0, column - width // 2) if len(clean) > width else 0
    return clean[start : start + width], column - start
