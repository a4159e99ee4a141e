"""Python text -> the same, laid out as `ruff format` does."""

import subprocess
import textwrap

from ruff import find_ruff_bin

LINE_LENGTH = 88
WIDTH = 86


def tidy(text: str) -> str:
    """Raises where the text is no Python: that is a mistake of the compiler."""
    options = [
        "--isolated",
        "--config",
        "format.skip-magic-trailing-comma=true",
        "--line-length",
        str(LINE_LENGTH),
        "--target-version",
        "py311",
        "--stdin-filename",
        "module.py",
        "-",
    ]
    done = subprocess.run([find_ruff_bin(), "format", *options], input=text, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"the emitted text cannot be formatted: {done.stderr}")
    return done.stdout


def rows(numbers: tuple[object, ...]) -> str:
    """A tuple of numbers as full lines, which the formatter would set one to a line: keep it within `fmt: off`."""
    inside = {"initial_indent": "    ", "subsequent_indent": "     ", "break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(f"{numbers!r},", WIDTH, **inside)  # type: ignore[arg-type]
