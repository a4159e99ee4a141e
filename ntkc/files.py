"""Files that a command reads and writes."""

import os
import shutil
import tempfile
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
def writing(path: str | Path) -> Iterator[Path]:
    """Where the body writes a file, which takes its place when it is whole: a full disk leaves what was there."""
    place = Path(path).resolve()
    with _said(path):
        _check(place)
        if place.exists() and not (place.is_file() and os.access(place.parent, os.W_OK)):  # a pipe, or what cannot be moved
            yield place
            return
        handle, name = tempfile.mkstemp(place.suffix, f".{place.stem}.", place.parent)
        os.close(handle)
        try:
            yield Path(name)
            _keep_mode(place, Path(name))
            os.replace(name, place)
        finally:
            Path(name).unlink(missing_ok=True)


def check_writable(path: str | Path | None) -> None:
    """Before long work, whose result would be lost."""
    if path is not None:
        with _said(path):
            _check(Path(path).resolve())


@contextmanager
def _said(path: str | Path) -> Iterator[None]:
    """What the system refuses, in words."""
    try:
        yield
    except OSError as error:
        raise Unwritable("unwritable", f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}") from error


def _check(place: Path) -> None:
    if place.is_dir():
        raise IsADirectoryError(0, "is a directory")
    if not place.parent.is_dir():
        raise FileNotFoundError(0, "no such file or directory")
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        raise PermissionError(0, "permission denied")


def _keep_mode(place: Path, new: Path) -> None:
    """Who may read the file: as before, or as of any new file."""
    if place.exists():
        shutil.copymode(place, new)
    else:
        mask = os.umask(0)
        os.umask(mask)
        new.chmod(0o666 & ~mask)
