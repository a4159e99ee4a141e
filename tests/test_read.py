"""What is no program text is refused with its reason."""

from pathlib import Path

import pytest

from ntkc.diagnostics import ArchError
from ntkc.passes.read import LARGEST, read
from ntkc.source import Source


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"arch a {}\n\xff", "not-utf8"),
        ("arch a {}".encode("utf-16"), "not-utf8"),
        (b"arch\0a", "binary-file"),
        (b" " * (LARGEST + 1), "file-too-large"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "a.arch"
    path.write_bytes(data)
    with pytest.raises(ArchError) as caught:
        read(path)
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert str(caught.value).split("\n")[1] == f"  --> {path}"


def test_files_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "network.arch").write_text("arch a {}")
    with pytest.raises(ArchError, match=r"(?s)file-not-found.*did you mean `network.arch`"):
        read(tmp_path / "netwerk.arch")
    with pytest.raises(ArchError, match=r"is-a-directory"):
        read(tmp_path)
    with pytest.raises(ArchError, match=r"unreadable-file"):
        read("/dev/null")
    with pytest.raises(ArchError, match=r"unreadable-file|file-not-found"):
        read("a\0b")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.arch"
    path.write_bytes(b"\xef\xbb\xbfarch a {}\n")
    assert read(path) == Source("a.arch", "arch a {}\n")
