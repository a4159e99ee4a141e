"""Every file of `tests/errors/` has exactly the errors, or the warnings, of the `.txt` beside it."""

import os
from difflib import unified_diff
from pathlib import Path
from warnings import catch_warnings, simplefilter

import pytest

from ntkc.diagnostics import ArchError, ArchWarning
from ntkc.passes.read import read
from ntkc.pipeline import compile_source, load
from ntkc.source import Source

ERRORS = Path(__file__).parent / "errors"
UPDATE = os.environ.get("NTKC_UPDATE") == "1"


def errors_of(path: Path) -> str:
    """What the compiler says of a file; nothing when it has no fault."""
    try:
        with catch_warnings(record=True) as found:
            simplefilter("always")
            if path.parent.name == "masks":
                compile_source(read(path), masked=True)
            else:
                load(path)
    except ArchError as error:
        return f"{error}\n"
    assert all(warning.category is ArchWarning for warning in found)
    return "".join(f"{warning.message}\n" for warning in found)


@pytest.mark.parametrize("path", sorted(ERRORS.rglob("*.arch")), ids=lambda path: str(path.relative_to(ERRORS)))
def test_errors(path: Path) -> None:
    golden, found = path.with_suffix(".txt"), errors_of(path)
    assert found, f"{path.name} has no errors"
    if UPDATE:
        golden.write_text(found)
    expected = golden.read_text() if golden.exists() else ""
    diff = "".join(unified_diff(expected.splitlines(True), found.splitlines(True), golden.name, "found"))
    assert not diff, f"{diff}\nIf this is meant: NTKC_UPDATE=1 pytest tests/test_errors.py"


@pytest.mark.parametrize(
    "body",
    [
        "layer W = dense()\n output a = W(relu(dense(x))), b = W(erf(dense(x)))",
        "layer W = dense()\n h = dense(x)\n repeat 3 { h = W(relu(h)) }\n output dense(h)",
        "h = dense(x)\n repeat 3 { h = h + dense(relu(h)) }\n output h",
        "h = dense(x)\n output h + dense(relu(h))",
    ],
)
def test_valid_readouts(body: str) -> None:
    compilation = compile_source(Source("net.arch", f"arch net {{\n input x: vector(3)\n {body}\n}}\n"))
    assert compilation.warnings == ()


def test_there_are_many() -> None:
    assert len(list(ERRORS.glob("syntax/*.arch"))) >= 25
