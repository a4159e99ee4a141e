"""The command line, as a user meets it."""

import json
import os
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from click.testing import CliRunner

from ntkc import Compilation, load
from ntkc.cli import main
from ntkc.demo import examples
from ntkc.ir.network import InputNode
from ntkc.verify.samples import kernels, samples_of
from ntkc.verify.small import small
from ntkc.verify.verify import verify

RELU = str(examples() / "relu_mlp.arch")


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.mark.parametrize("command", [["check"], ["fmt"], ["derive"], ["build"], ["show", "--stage", "network"], ["show"]])
def test_commands(command: list[str]) -> None:
    status, output = run(*command, RELU)
    assert status == 0
    assert output


def test_errors_are_text_and_status_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.arch"
    bad.write_text("arch net {\n    input x: vector(3)\n    output dens(x)\n}\n")
    status, output = run("check", str(bad))
    assert status == 1
    assert "did you mean `dense`?" in output
    assert run("check", str(tmp_path / "none.arch"))[0] == 1
    assert run("check", RELU, "--set", "depth")[0] == 2
    assert run("check", RELU, "--set", "dept=3")[0] == 1


def test_json_of_errors_and_warnings(tmp_path: Path) -> None:
    bad = tmp_path / "bad.arch"
    bad.write_text("arch net {\n    input x: vector(3)\n    output dens(x)\n}\n")
    for command in ("check", "verify"):
        status, output = run(command, str(bad), "--json")
        (found,) = json.loads(output)["diagnostics"]
        assert (status, found["code"], found["severity"]) == (1, "unknown-layer", "error")
        assert (found["line"], found["column"], found["end_line"], found["end_column"]) == (3, 12, 3, 16)
    (found,) = json.loads(run("check", str(tmp_path / "none.arch"), "--json")[1])["diagnostics"]
    assert (found["code"], found["line"]) == ("file-not-found", None)
    bad.write_text("arch net {\n    input x: vector(3)\n    output relu(dense(x))\n}\n")
    result = CliRunner().invoke(main, ["check", str(bad), "--json"])
    assert result.exit_code == 0
    assert [d["code"] for d in json.loads(result.stdout)["diagnostics"]] == ["no-readout"]
    assert result.stderr.startswith("warning[no-readout]: the output does not end in a linear readout")


@pytest.mark.parametrize(("end", "demand"), [("flatten", "matching positions"), ("global_avg_pool", "all pairs of positions")])
def test_the_recursion_shows_what_is_needed(tmp_path: Path, end: str, demand: str) -> None:
    path = tmp_path / "net.arch"
    path.write_text(f"arch net {{\n input x: image(4, 4, 1)\n output x |> conv(3) |> relu |> {end} |> dense\n}}\n")
    status, output = run("show", str(path), "--stage", "recursion")
    assert status == 0
    assert demand in output
    assert ("all pairs" in output) == (end == "global_avg_pool")


def test_unwritable_paths(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 784), "float32"))
    place = str(tmp_path / "none" / "out")
    for command in (["build", RELU, "-o", place], ["eval", RELU, str(tmp_path / "x.npy"), "-o", place]):
        status, output = run(*command)
        assert status == 1
        assert f"error: `{place}` cannot be written: no such file or directory" in output


def test_eval_checks_what_to_get(tmp_path: Path) -> None:
    status, output = run("eval", RELU, str(tmp_path / "x.npy"), "--get", "ntkk")
    assert status == 2
    assert "--get takes nngp, ntk or nngp,ntk; got 'ntkk'" in output


def test_eval(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(3, 784)).astype("float32"))
    status, output = run("eval", RELU, str(tmp_path / "x.npy"), "-o", str(tmp_path / "k.npz"), "--set", "depth=2")
    assert status == 0
    assert "ntk: shape (3, 3), float32" in output
    assert set(np.load(tmp_path / "k.npz")) == {"nngp", "ntk"}
    (tmp_path / "junk.npy").write_text("junk")
    assert run("eval", RELU, str(tmp_path / "junk.npy"))[0] == 1


SIAMESE = """arch net {
    input x: graph(4, 2) with A
    input y: sequence(4, 2)
    layer W = dense()
    output relu(W(aggregate(x, A)) + W(y)) |> global_avg_pool |> dense
}
"""


def test_eval_of_inputs_by_name(tmp_path: Path) -> None:
    file, one, two = (tmp_path / name for name in ("net.arch", "a.npz", "b.npz"))
    file.write_text(SIAMESE)
    draw = np.random.default_rng(0).normal
    sides = [{"y": draw(size=(n, 4, 2)), "x": draw(size=(n, 4, 2)), "A": abs(draw(size=(4, 4)))} for n in (3, 2)]
    masks = np.arange(4) < np.array([[4], [2], [3]]), None
    np.savez(one, **sides[0], mask_y=masks[0])
    np.savez(two, **sides[1])
    net = load(file)
    x1, x2 = ({name: side[name] for name in ("y", "x")} for side in sides)
    expected = net.kernel(x1, x2, A=(sides[0]["A"], sides[1]["A"]), mask={"y": masks})
    status, output = run("eval", str(file), str(one), str(two), "--json")
    assert status == 0
    np.testing.assert_allclose(json.loads(output)["ntk"], expected.ntk, rtol=1e-14)
    lines = run("eval", str(file), str(one), str(two), "--digits", "20", "--get", "ntk")[1].splitlines()
    np.testing.assert_allclose([float(line.split("= ")[1]) for line in lines], np.ravel(expected.ntk), rtol=1e-12)


@pytest.mark.parametrize(
    ("arrays", "code", "words"),
    [
        ({"x": (3, 4, 2), "y": (3, 4, 2)}, "missing-array", "has no array `A`, which this network takes; write them with"),
        ({"x": (3, 4, 2), "y": (3, 4, 2), "a": (4, 4)}, "unknown-array", "takes no array `a`; did you mean `A`?"),
        (
            {"x": (3, 4, 2), "y": (3, 4, 3), "A": (4, 4)},
            "bad-samples",
            "x1, input y: expected an array of shape (n, 4, 2), got (3, 4, 3)",
        ),
        ({"x": (3, 4, 2), "y": (3, 4, 2), "A": (4, 5)}, "bad-samples", "A: expected an array of shape (4, 4), one for all"),
        (
            {"x": (3, 4, 2), "y": (3, 4, 2), "A": (4, 4), "mask_y": (3, 4)},
            "bad-samples",
            "mask: expected a boolean array of shape (3, 4)",
        ),
    ],
)
def test_eval_says_which_array_is_wrong(tmp_path: Path, arrays: dict[str, tuple[int, ...]], code: str, words: str) -> None:
    file, samples = tmp_path / "net.arch", tmp_path / "a.npz"
    file.write_text(SIAMESE)
    np.savez(samples, **{name: np.ones(shape) for name, shape in arrays.items()})
    status, output = run("eval", str(file), str(samples), "--json")
    (found,) = json.loads(output)["diagnostics"]
    assert (status, found["code"]) == (1, code)
    assert words in found["message"]


ERF = "arch net { input x: vector(4); output x |> dense |> erf |> dense }"


def test_digits_are_as_many_as_asked_for(tmp_path: Path) -> None:
    file, samples = tmp_path / "net.arch", tmp_path / "x.npy"
    file.write_text(ERF)
    np.save(samples, np.ones((1, 4)))
    (line,) = run("eval", str(file), str(samples), "--digits", "40", "--get", "nngp")[1].splitlines()
    with mp.workdps(50):
        wanted = 2 / mp.pi * mp.asin(mp.mpf(2) / 3)
        assert line == f"nngp[0,0] = {mp.nstr(wanted, 40)}"


@pytest.mark.parametrize("bad", [np.full((2, 4), np.nan), np.ones((2, 5)), np.ones(4), np.ones((0, 4)), np.ones((2, 4)) + 1j])
@pytest.mark.parametrize("more", [[], ["--digits", "20"]])
def test_eval_refuses_bad_samples(tmp_path: Path, bad: np.ndarray, more: list[str]) -> None:
    """With mpmath as with JAX, where numbers would come out of them."""
    file, samples = tmp_path / "net.arch", tmp_path / "x.npy"
    file.write_text(ERF)
    np.save(samples, bad)
    status, output = run("eval", str(file), str(samples), *more)
    assert (status, output.startswith("error: x1, input x: ")) == (1, True)


def test_a_broken_archive_is_text(tmp_path: Path) -> None:
    file, samples = tmp_path / "net.arch", tmp_path / "x.npz"
    file.write_text(ERF)
    np.savez(samples, x=np.ones((1, 4)))
    samples.write_bytes(samples.read_bytes()[:150])
    assert "is damaged: File is not a zip file" in run("eval", str(file), str(samples))[1]


GOLDEN = Path(__file__).parent / "golden" / "examples"
LONG = {"batch_norm", "lenet", "myrtle5", "myrtle7", "myrtle10", "wide_resnet", "normalized_transformer", "unet", "transformer"}
LONG |= {"conv_batch_norm", "depthwise_separable", "siamese", "siamese_rnn", "liquid"}


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow if p.stem in LONG else (), id=p.stem) for p in sorted(examples().glob("*.arch"))],
)
def test_examples_verify(path: Path) -> None:
    settings = {"depth": 4} if path.stem == "deep_relu" else {}
    compilation = load(path, **settings)
    if compilation.derived is None:  # sampled: there is nothing to verify
        _same_samples(compilation, GOLDEN / f"{path.stem}.json")
        return
    report = verify(compilation, budget=0, translate=False)
    assert [row for row in report.rows if not row.ok] == []
    few = small(compilation)
    x = samples_of(few, 0)
    found: dict[str, dict[str, np.ndarray]] = {}
    for (kind, name), values in kernels(few, x, x).items():  # compiled already by the lines above
        found.setdefault(kind, {})[name] = values[:2, 2:]
    golden = GOLDEN / f"{path.stem}.json"
    if os.environ.get("NTKC_UPDATE"):
        golden.write_text(json.dumps({kind: {k: v.tolist() for k, v in named.items()} for kind, named in found.items()}) + "\n")
    for kind, named in json.loads(golden.read_text()).items():
        for name, values in named.items():
            np.testing.assert_allclose(found[kind][name], values, rtol=1e-10, atol=1e-10 * np.abs(values).max())


def _same_samples(compilation: Compilation, golden: Path) -> None:
    """The same seed gives the same kernels, but for rounding."""
    (node,) = (n for n in compilation.network.nodes if isinstance(n, InputNode))
    x = np.random.default_rng(0).normal(size=(3, *(n or 0 for n in (*node.type.positions, node.type.channels))))
    found = compilation.kernel(x, samples=1024, seed=0)._asdict()
    if os.environ.get("NTKC_UPDATE"):
        golden.write_text(json.dumps({k: np.asarray(v).tolist() for k, v in found.items()}) + "\n")
    expected = json.loads(golden.read_text())
    for kind in ("nngp", "ntk"):
        error = np.array(expected[f"{kind}_error"])
        assert np.all(np.abs(found[kind] - np.array(expected[kind])) < 0.01 * error)
        np.testing.assert_allclose(found[f"{kind}_error"], error, rtol=0.01)
        assert error.max() < 0.15 * np.max(expected[kind])


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, output = run("demo")
    assert status == 0
    accuracy = float(next(line for line in output.splitlines() if line.strip().startswith("NTK: 9")).split()[1].rstrip("%"))
    assert accuracy > 97
    assert (tmp_path / "ntkc_demo.png").stat().st_size > 10_000


def test_digits_refuse_what_they_cannot_give(tmp_path: Path) -> None:
    """Arrays hold 16 digits, and a batch is no pair of samples."""
    file, samples = tmp_path / "net.arch", tmp_path / "x.npy"
    file.write_text("arch net {\n    input x: vector(4)\n    output x |> dense |> batch_norm |> relu |> dense\n}\n")
    np.save(samples, np.random.default_rng(0).normal(size=(6, 4)))
    for more, words in (([], "takes whole batches: leave it out"), (["--json"], "leave out --sampled, --output and --json")):
        code, error = run("eval", str(file), str(samples), "--digits", "20", *more)
        assert code == 2
        assert words in " ".join(error.split())
