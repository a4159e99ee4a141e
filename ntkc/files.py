"""Files that a command reads and writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(Exception):
    """Data handed to a command is at fault."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"error: {message}")

    def record(self) -> dict[str, str | int | None]:
        """For programs, as of a diagnostic that has no place in a program."""
        place = dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
        return {"code": self.code, "severity": "error", "message": self.message, "label": "", "help": "", **place}


class Unwritable(InputError):
    """A path that the user gave cannot be written."""


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """What keeps the body from writing a file, in words."""
    try:
        yield
    except OSError as error:
        raise Unwritable("unwritable", f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}") from error
