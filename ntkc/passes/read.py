"""path -> Source: the text of a file, or why it is no program text."""

from os import PathLike
from pathlib import Path

from ntkc.diagnostics import ArchError, Diagnostic, did_you_mean
from ntkc.source import Source, Span

LARGEST = 1 << 20  # bytes; a thousand times a long program


def read(path: str | PathLike[str]) -> Source:
    place = Path(path)
    text = _decoded(place, _bytes(place)).removeprefix("\ufeff")
    if "\0" in text:
        raise _error(place, "binary-file", "is not a text file: it holds NUL bytes", "give the path of a `.arch` file")
    return Source(place.name, text, str(place.parent))


def _bytes(place: Path) -> bytes:
    try:
        _refuse_odd_files(place)
        return place.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path itself
        reason = getattr(error, "strerror", None) or str(error)
        raise _error(place, "unreadable-file", f"cannot be read: {reason.lower()}") from None


def _refuse_odd_files(place: Path) -> None:
    if place.is_dir():
        raise _error(place, "is-a-directory", "is a directory, not a file", _programs_in(place))
    if not place.exists():
        raise _error(place, "file-not-found", "does not exist", _near(place))
    if not place.is_file():
        raise _error(place, "unreadable-file", "is not a regular file")
    if place.stat().st_size > LARGEST:
        raise _error(place, "file-too-large", "is larger than 1 MiB, which no program is")


def _decoded(place: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text: byte {error.start + 1}, on line {line}, is 0x{data[error.start]:02x}"
        help = "the file looks like UTF-16; " * data.startswith((b"\xff\xfe", b"\xfe\xff")) + "save it as UTF-8"
        raise _error(place, "not-utf8", message, help) from None


def _near(place: Path) -> str:
    """The file of the same folder that was perhaps meant."""
    return did_you_mean(place.name, (other.name for other in place.parent.glob("*.arch")))


def _programs_in(place: Path) -> str:
    programs = sorted(other.name for other in place.glob("*.arch"))
    return f"name one of its files, such as `{place / programs[0]}`" if programs else ""


def _error(place: Path, code: str, message: str, help: str = "") -> ArchError:
    """A finding about a file as a whole: a place in an empty text."""
    return ArchError([Diagnostic(code, f"`{place}` {message}", Span(Source(str(place), ""), 0, 0), help=help)])
