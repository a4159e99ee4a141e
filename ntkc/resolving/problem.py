"""A finding that ends the statement it is in; the ones after it are still read."""

from typing import NoReturn

from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.source import Span

SAMPLE_IT = "sample it: `option expectation = sampled`"


class Problem(Exception):
    """Carries one diagnostic, or none when it only follows from an earlier one."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        self.diagnostic = diagnostic
        super().__init__(str(diagnostic))


class Gated(ArchError):
    """Nonlinearities act on what scans carry, and nothing else is wrong: those that are short may be written out step by step."""

    def __init__(self, findings: list[Diagnostic], scans: frozenset[Span]) -> None:
        self.scans = scans
        super().__init__(findings)


def fail(code: str, message: str, span: Span, label: str = "", help: str = "") -> NoReturn:
    raise Problem(Diagnostic(code, message, span, label, help))
