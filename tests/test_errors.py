"""Every file of `tests/errors/` has exactly the errors of the `.txt` beside it."""

import os
from difflib import unified_diff
from pathlib import Path

import pytest

from ntkc.diagnostics import ArchError
from ntkc.pipeline import load

ERRORS = Path(__file__).parent / "errors"
UPDATE = os.environ.get("NTKC_UPDATE") == "1"


def errors_of(path: Path) -> str:
    """What the compiler says of a file; nothing when it has no fault."""
    try:
        load(path)
    except ArchError as error:
        return f"{error}\n"
    return ""


@pytest.mark.parametrize("path", sorted(ERRORS.rglob("*.arch")), ids=lambda path: str(path.relative_to(ERRORS)))
def test_errors(path: Path) -> None:
    golden, found = path.with_suffix(".txt"), errors_of(path)
    assert found, f"{path.name} has no errors"
    if UPDATE:
        golden.write_text(found)
    expected = golden.read_text() if golden.exists() else ""
    diff = "".join(unified_diff(expected.splitlines(True), found.splitlines(True), golden.name, "found"))
    assert not diff, f"{diff}\nIf this is meant: NTKC_UPDATE=1 pytest tests/test_errors.py"


def test_there_are_many() -> None:
    assert len(list(ERRORS.glob("syntax/*.arch"))) >= 25
