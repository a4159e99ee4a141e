"""The documentation says what is so: its code runs, and every error code stands in docs/errors.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTED = (ROOT / "docs" / "errors.md").read_text()
CODES = sorted(
    {
        match
        for path in (ROOT / "tests" / "errors").rglob("*.txt")
        for match in re.findall(r"^(?:error|warning)\[([a-z0-9-]+)\]", path.read_text(), re.MULTILINE)
    }
)


def test_every_code_of_an_error_is_documented() -> None:
    assert [code for code in CODES if f"| `{code}` |" not in DOCUMENTED] == []


def test_python_blocks_of_the_readme_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile("\n".join(blocks), "README.md", "exec"), {})
