"""Files of samples and of results that are not what they should be: exact texts, and nothing half written."""

import json
import os
import pickle
import struct
import zipfile
from errno import ENOSPC
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ntkc import Compilation, load
from ntkc.cli import main
from ntkc.files import Unwritable, writing

PROGRAM = "arch net {\n    input x: vector(4)\n    output x |> dense |> erf |> dense\n}\n"
X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
CURE = "write samples with `numpy.save(path, x)`, or several arrays with `numpy.savez(path, x=x)`"
CAST = "use x.astype('float32')"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text(PROGRAM)
    np.save("x.npy", X)
    return tmp_path


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Compilation:
    path = tmp_path_factory.mktemp("net") / "net.arch"
    path.write_text(PROGRAM)
    return load(path)


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def found(*args: str) -> tuple[str, str]:
    """The code and text of the one error."""
    status, output = run(*args, "--json")
    (error,) = json.loads(output)["diagnostics"]
    assert status == 1
    return error["code"], error["message"]


def _npy(header: str, data: bytes = X.tobytes()) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + data


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}"
FILES = {
    "text": (b"1,2,3,4\n5,6,7,8\n", f"is no .npy or .npz file; {CURE}"),
    "pickle": (pickle.dumps(X), f"is no .npy or .npz file; {CURE}"),
    "empty": (b"", f"is empty; {CURE}"),
    "cut_magic": (b"\x93NUMPY\x01", f"is damaged: EOF: reading magic string, expected 8 bytes got 7; {CURE}"),
    "cut_header": (_npy(HEADER)[:40], f"is damaged: EOF: reading array header, expected 58 bytes got 30; {CURE}"),
    "odd_header": (
        _npy(HEADER.replace("descr", "dscr")),
        f"is damaged: Header does not contain the correct keys: ['dscr', 'fortran_order', 'shape']; {CURE}",
    ),
    "cut_data": (
        _npy(HEADER)[:-8],
        "is damaged: Failed to read all data for array. Expected (3, 4) = 12 elements, could only read 10 elements. "
        f"(file seems not fully written?); {CURE}",
    ),
    "objects": (_npy(HEADER.replace("<f4", "|O"), pickle.dumps(X)), f"holds Python objects, not numbers; {CURE}"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_no_samples(folder: Path, name: str) -> None:
    Path("bad.npy").write_bytes(FILES[name][0])
    assert found("eval", "net.arch", "bad.npy") == ("unreadable-samples", f"`bad.npy` {FILES[name][1]}")


def test_a_header_larger_than_memory(folder: Path) -> None:
    Path("bad.npy").write_bytes(_npy(HEADER.replace("(3, 4)", "(10000000000000, 4)")))
    code, message = found("eval", "net.arch", "bad.npy")
    assert code == "unreadable-samples"
    assert message.startswith("`bad.npy` holds more than fits into memory: ")


@pytest.mark.parametrize("name", ["nowhere.npy", "."])
def test_a_path_that_is_no_file(folder: Path, name: str) -> None:
    reason = "is a directory" if name == "." else "no such file or directory"
    assert found("eval", "net.arch", name) == ("unreadable-samples", f"`{name}` cannot be read: {reason}")


def test_an_archive_of_other_things(folder: Path) -> None:
    for member in ("x.npy", "x.txt"):
        with zipfile.ZipFile("bad.npz", "w") as archive:
            archive.writestr(member, "hello")
        message = f"`bad.npz` holds `{member.removesuffix('.npy')}`, which is no array; {CURE}"
        assert found("eval", "net.arch", "bad.npz") == ("unreadable-samples", message)
    np.savez("bad.npz", x=X.astype(object))
    assert found("eval", "net.arch", "bad.npz")[1] == f"`bad.npz` holds Python objects, not numbers; {CURE}"
    np.savez("bad.npz")
    message = "bad.npz has no array `x`, which this network takes; write them with `numpy.savez(path, x=...)`"
    assert found("eval", "net.arch", "bad.npz") == ("missing-array", message)
    for name in ("y", "arr_0", "mask_x"):
        np.savez("bad.npz", x=X, **{name: X})
        message = f"bad.npz: this network takes no array `{name}`; it takes x"
        assert found("eval", "net.arch", "bad.npz") == ("unknown-array", message)


ARRAYS = {
    "int": (X.astype("int32"), f"x1, input x: expected floating point numbers, got int32; {CAST}"),
    "big_endian_int": (X.astype(">i4"), f"x1, input x: expected floating point numbers, got int32; {CAST}"),
    "bool": (X > 0, f"x1, input x: expected floating point numbers, got bool; {CAST}"),
    "long": (X.astype(np.longdouble), "x1: expected an array of numbers, got {}; use x.astype('float64')"),
    "complex": (X + 0j, "x1, input x: expected floating point numbers, got complex64; stack x.real and x.imag as channels"),
    "text": (X.astype(str), "x1: expected an array of numbers, got {}"),
    "times": (X.astype("M8[s]"), "x1: expected an array of numbers, got {}"),
    "fields": (np.zeros(3, [("a", "f4"), ("b", "f4")]), "x1: expected an array of numbers, got {}"),
    "none": (X[:0], "x1, input x: is empty"),
    "nan": (X * np.nan, "x1, input x: contains NaN or infinite entries"),
    "inf": (np.full_like(X, np.inf), "x1, input x: contains NaN or infinite entries"),
    "one": (X[0], "x1, input x: expected an array of shape (n, 4), got (4,)"),
    "number": (X[0, 0], "x1, input x: expected an array of shape (n, 4), got ()"),
    "images": (X[..., None], "x1, input x: expected an array of shape (n, 4), got (3, 4, 1)"),
    "wide": (X[:, [0, 1, 2, 3, 3]], "x1, input x: expected an array of shape (n, 4), got (3, 5)"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_no_batch_of_samples(folder: Path, net: Compilation, name: str) -> None:
    """The same by either way from the command line, and in Python."""
    bad, message = ARRAYS[name][0], ARRAYS[name][1].format(ARRAYS[name][0].dtype)
    np.save("bad.npy", bad)
    assert found("eval", "net.arch", "bad.npy") == ("bad-samples", message)
    for more in (["--digits", "20"], ["--sampled", "64"]):
        assert run("eval", "net.arch", "bad.npy", *more) == (1, f"error: {message}\n")
    with pytest.raises((ValueError, TypeError)) as raised:
        net.kernel(bad)
    assert str(raised.value) == message


@pytest.mark.parametrize(("bad", "kind"), [([[1.0, 2.0], [3.0]], "list"), (X.astype(object), "object"), (None, "NoneType")])
def test_python_objects_that_are_no_array(net: Compilation, bad: object, kind: str) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        net.kernel((bad,))
    assert str(raised.value) == f"x1: expected an array of numbers, got {kind}"


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">f2"])
def test_files_of_machines_of_the_other_byte_order(net: Compilation, dtype: str) -> None:
    x = X.astype(dtype)
    plain = x.astype(x.dtype.newbyteorder("="))
    np.testing.assert_array_equal(net.ntk(x), net.ntk(plain))
    np.testing.assert_array_equal(net.sampled(x, samples=64).ntk, net.sampled(plain, samples=64).ntk)


def test_kernels_larger_than_memory(net: Compilation) -> None:
    """Refused before anything is computed."""
    x = np.ones((1_000_000, 4), "float32")
    with pytest.raises(ValueError) as raised:
        net.kernel(x)
    start, end = str(raised.value).split(" GB of memory, and there are ")
    assert start == "nngp and ntk of 1000000 x 1000000 samples take 8000"
    assert end.partition(" ")[2] == "GB; ask for blocks of rows and columns: kernel(x[:1000], x[1000:2000])"
    assert net.kernel(x, x[:2], get="ntk").ntk.shape == (1_000_000, 2)


GRAPH = "arch net {\n input x: graph(4, 2) with A\n output x |> aggregate(A) |> dense |> relu |> global_avg_pool |> dense\n}\n"
A = "A: expected an array of shape (4, 4), one for all, or (3, 4, 4), one per sample; got"
GIVEN = {
    "wide": ({"A": np.ones((4, 5))}, f"{A} (4, 5)"),
    "few": ({"A": np.ones((2, 4, 4))}, f"{A} (2, 4, 4)"),
    "nan": ({"A": np.full((4, 4), np.nan)}, "A: contains NaN or infinite entries"),
    "complex": ({"A": np.ones((4, 4)) * 1j}, "A: expected real numbers, got complex128"),
    "text": ({"A": np.full((4, 4), "a")}, "A: expected an array of numbers, got <U1"),
    "mask_of_numbers": (
        {"A": np.eye(4), "mask_x": np.ones((3, 4))},
        "mask: expected a boolean array of shape (3, 4), true where present; got float64, (3, 4)",
    ),
    "short_mask": (
        {"A": np.eye(4), "mask_x": np.ones((2, 4), bool)},
        "mask: expected a boolean array of shape (3, 4), true where present; got bool, (2, 4)",
    ),
    "absent": ({"A": np.eye(4), "mask_x": np.zeros((3, 4), bool)}, "mask: a sample has no position that is present"),
}


@pytest.mark.parametrize("more", [(), ("--digits", "20"), ("--sampled", "64")], ids=["kernel", "digits", "sampled"])
@pytest.mark.parametrize("name", GIVEN)
def test_adjacencies_and_masks_are_checked_alike(folder: Path, name: str, more: tuple[str, ...]) -> None:
    Path("graph.arch").write_text(GRAPH)
    np.savez("x.npz", x=np.ones((3, 4, 2)), **GIVEN[name][0])
    assert run("eval", "graph.arch", "x.npz", *more) == (1, f"error: {GIVEN[name][1]}\n")


OUTPUTS = {"folder": "is a directory", "none/k.npz": "no such file or directory", "x.npy/k.npz": "no such file or directory"}


@pytest.mark.parametrize("place", OUTPUTS)
def test_where_nothing_can_be_written(folder: Path, place: str) -> None:
    """Said before the work is done."""
    Path("folder").mkdir()
    Path("broken.arch").write_text("arch")
    for command, *more in (["eval", "x.npy", "-o"], ["build", "-o"], ["verify", "--report"]):
        message = f"error: `{place}` cannot be written: {OUTPUTS[place]}\n"
        assert run(command, "broken.arch", *more, place) == (1, message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_device_that_is_full(folder: Path) -> None:
    message = "error: `/dev/full` cannot be written: no space left on device\n"
    assert run("build", "net.arch", "-o", "/dev/full") == (1, message)
    assert run("derive", "net.arch", "--certificate", "/dev/full") == (1, message)


def _break_off(path: str) -> None:
    with writing(path) as new:
        new.write_text("half")
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def test_a_full_disk_leaves_what_was_there(folder: Path) -> None:
    before = sorted(os.listdir())
    with pytest.raises(Unwritable) as raised:
        _break_off("net.arch")
    assert str(raised.value) == "error: `net.arch` cannot be written: no space left on device"
    assert Path("net.arch").read_text() == PROGRAM
    assert sorted(os.listdir()) == before


def test_results_take_the_place_of_older_ones(folder: Path) -> None:
    """With its name, its mode, and where it leads."""
    Path("real.py").write_text("old")
    Path("real.py").chmod(0o640)
    Path("link.py").symlink_to("real.py")
    assert run("build", "net.arch", "-o", "link.py")[0] == 0
    assert Path("link.py").is_symlink()
    assert "def kernel(" in Path("real.py").read_text()
    assert Path("real.py").stat().st_mode & 0o777 == 0o640
    assert run("eval", "net.arch", "x.npy", "-o", "k")[0] == 0
    assert set(np.load("k")) == {"nngp", "ntk"}
