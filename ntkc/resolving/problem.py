"""A finding that ends the statement it is in; the ones after it are still read."""

from typing import NoReturn

from ntkc.diagnostics import Diagnostic
from ntkc.source import Span

SAMPLE_IT = "sample it: `option expectation = sampled`"


class Problem(Exception):
    """Carries one diagnostic, or none when it only follows from an earlier one."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        self.diagnostic = diagnostic
        super().__init__(str(diagnostic))


def fail(code: str, message: str, span: Span, label: str = "", help: str = "") -> NoReturn:
    raise Problem(Diagnostic(code, message, span, label, help))
