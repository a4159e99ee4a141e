"""Files that a command writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Unwritable(Exception):
    """A path that the user gave cannot be written."""


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """What keeps the body from writing a file, in words."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"error: `{path}` cannot be written: {(error.strerror or str(error)).lower()}") from error
