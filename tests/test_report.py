"""The page for referees: complete, self-contained, escaped, reproducible, and its formulas say what was derived."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from reading import Tree, text_of

from ntkc import Compilation, load
from ntkc.cli import main
from ntkc.demo import examples
from ntkc.ir.recursion import equations
from ntkc.verify.fit import Means, fit
from ntkc.verify.report.page import Run, page
from ntkc.verify.simulate import Simulated
from ntkc.verify.verify import Report, Row

Compile = Callable[[str], Compilation]
ROWS = (
    Row("a claim", "proven", "by algebra", True),
    Row("a <b>bold</b> claim & more", "checked", 'gap "1e-16" </td>', True),
    Row("a series", "bounded", "error <= 1e-9", True),
    Row("networks", "simulated", "p = 0.4", True),
    Row("an open one", "NOT CHECKED", "tokens", True),
    Row("a new kind", "validated", "by a wall to come", True),
)
FLAT = "arch net {\n    input x: vector(3)\n    output dense(erf(dense(x, b_std=0.3)))\n}\n"
SHOWN = ["erf_mlp", "rnn", "siamese", "graph", "text", "tanh_mlp", "dropout", "transformer"]


@cache
def _example(name: str) -> Compilation:
    return load(examples() / f"{name}.arch")


def _page(compilation: Compilation, rows: tuple[Row, ...] = ROWS, simulated: tuple[Simulated, ...] = ()) -> str:
    return page(compilation, Report(rows, simulated), Run(seed=0, budget=5.0 if simulated else 0.0))


def _simulated(shift: float = 0.0) -> Simulated:
    kernel = np.array([1.0, 0.4, 0.7, 0.9, 0.2, 0.8])
    means = [Means(w, 100, kernel, kernel + shift + 2 / w, np.full(6, 1e-6)) for w in (64, 128, 256)]
    return Simulated("ntk", "", tuple(means), fit(means, 12))


def _section(root: ET.Element, name: str) -> ET.Element:
    (found,) = root.findall(f".//section[@id='{name}']")
    return found


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_is_well_formed_and_accessible(name: str) -> None:
    root = Tree(_page(_example(name), simulated=(_simulated(),))).root
    assert root.get("lang") == "en"
    assert [len(root.findall(f".//{tag}")) for tag in ("h1", "main", "header", "nav", "footer", "title")][:5] == [1] * 5
    identifiers = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(set(identifiers)) == len(identifiers)
    for element in root.iter():
        for key in ("aria-labelledby", "aria-describedby"):
            assert element.get(key) in (None, *identifiers)
        if element.tag == "table":
            assert element[0].tag == "caption"
            heads = element.findall("thead/tr/th")
            assert heads
            assert all(h.get("scope") == "col" for h in heads)
            assert {len(tr) for tr in element.findall("tbody/tr")} == {len(heads)}
        if element.tag == "svg":
            assert element.get("role") == "img"
            assert element[0].tag == "title"
        if element.tag == "math":
            assert element.get("alttext")
    for link in root.iter("a"):
        assert (link.get("href") or "").removeprefix("#") in identifiers


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_is_loaded(name: str) -> None:
    text = _page(_example(name), simulated=(_simulated(),))
    root = Tree(text).root
    assert not {e.tag for e in root.iter()} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "image",
        "use",
    }
    for element in root.iter():
        assert not [key for key in element.attrib if key.startswith("on") or key in ("src", "srcset", "style", "xlink:href")]
        assert all(v.startswith("#") for k, v in element.attrib.items() if k == "href")
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert text.count("url(") == text.count("url(#tip)")
    assert "default-src 'none'" in text


def test_every_claim_stands_in_the_table() -> None:
    root = Tree(_page(_example("erf_mlp"))).root
    (table,) = _section(root, "claims").findall("table")
    found = [tuple(text_of(cell) for cell in row) for row in table.findall("tbody/tr")]
    assert found == [(r.claim, r.status, r.detail) for r in ROWS]
    header = text_of(root.find(".//header") or root)
    assert "No claim failed; 1 of 6 NOT CHECKED." in header
    broken = Tree(_page(_example("erf_mlp"), (*ROWS, Row("wrong", "FAILED", "gap 1", False)))).root
    assert "1 of 7 claims FAILED: do not use these kernels." in text_of(broken.find(".//header") or broken)


def test_text_of_the_user_is_escaped(compile_text: Compile) -> None:
    nasty = "// </code></pre><script>alert('x')</script> & \"<b>\" <!-- ]]> {{7*7}} ﷽ \u202e\n" + FLAT
    text = _page(compile_text(nasty))
    root = Tree(text).root
    assert "<script" not in text
    assert [text_of(e) for e in root.findall(".//pre/code")] == [nasty]


def test_the_same_bytes_again_in_another_process() -> None:
    code = (
        "import sys; from ntkc import load; from ntkc.verify.verify import Report, Row; "
        "from ntkc.verify.report.page import Run, page; "
        "sys.stdout.buffer.write(page(load(sys.argv[1]), Report((Row('a', 'proven', 'b', True),)), Run(0, 0.0)).encode())"
    )
    path = examples() / "siamese.arch"
    found = subprocess.run([sys.executable, "-c", code, str(path)], env=_environment(), capture_output=True, check=True).stdout
    assert found.decode() == _page(load(path), (Row("a", "proven", "b", True),))


def _environment() -> dict[str, str]:
    return {"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path), "JAX_PLATFORMS": "cpu", "TZ": "Asia/Tokyo"}


def test_the_convergence_is_drawn() -> None:
    root = Tree(_page(_example("erf_mlp"), simulated=(_simulated(),))).root
    part = _section(root, "convergence")
    assert len(part.findall(".//circle")) == 6 * (3 + 1)
    assert len(part.findall(".//polyline")) == 6
    assert "The limit agrees" in text_of(part)
    numbers = [text_of(cell) for cell in part.findall(".//tbody/tr/td")]
    assert numbers[:2] == ["1, 1", "0.000"]
    wrong = _section(Tree(_page(_example("erf_mlp"), simulated=(_simulated(0.05),))).root, "convergence")
    assert "does NOT agree" in text_of(wrong)
    assert "weak evidence" not in text_of(part)
    few = replace(_simulated(), fit=replace(_simulated().fit, detects=0.3))
    assert "weak evidence" in text_of(_section(Tree(_page(_example("erf_mlp"), simulated=(few,))).root, "convergence"))
    nothing = _section(Tree(_page(_example("erf_mlp"))).root, "convergence")
    assert "the budget was 0 seconds" in text_of(nothing)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text", "the input is made of tokens"),
        ("siamese", "the program has 2 inputs"),
        ("rnn", "the input has positions"),
        ("erf_mlp", ""),
        ("tanh_mlp", ""),
    ],
)
def test_the_profile_is_drawn_or_not_for_a_reason(name: str, reason: str) -> None:
    part = _section(Tree(_page(_example(name))).root, "profile")
    assert len(part.findall(".//polyline")) == (0 if reason else 2)
    assert (f"Not drawn: {reason}" in text_of(part)) == bool(reason)


def test_the_profile_is_that_of_the_kernel(compile_text: Compile) -> None:
    compilation = compile_text(FLAT)
    part = _section(Tree(_page(compilation)).root, "profile")
    rows = [[text_of(cell).replace("−", "-") for cell in row] for row in part.findall(".//tbody/tr")]
    x = np.sqrt(3) * np.array([[1, 0, 0], [np.cos(np.pi / 3), np.sin(np.pi / 3), 0]])
    k = compilation.kernel(x[:1], x)
    for angle, column in ((0, 0), (2, 1)):
        assert [float(v) for v in rows[angle][1:]] == pytest.approx([float(k.nngp[0, column]), float(k.ntk[0, column])], rel=1e-5)


def test_every_output_has_its_own_figures(compile_text: Compile) -> None:
    text = "arch net {\n    input x: vector(3)\n    output linear = dense(x), bent = dense(erf(dense(x)))\n}\n"
    both = _simulated(), replace(_simulated(), output="bent")
    root = Tree(_page(compile_text(text), simulated=both)).root
    assert [text_of(title) for title in root.findall(".//svg/title")] == [
        "Network net",
        "Deviation of finite networks from the NTK",
        "Deviation of finite networks from the NTK of bent",
        "NNGP of linear and NTK of linear against the angle",
        "NNGP of bent and NTK of bent against the angle",
    ]
    identifiers = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(set(identifiers)) == len(identifiers)
    only = _section(Tree(_page(compile_text("arch net {\n    input x: vector(1)\n    output dense(x)\n}\n"))).root, "profile")
    assert "Not drawn: the input has one channel" in text_of(only)


@pytest.mark.parametrize("name", SHOWN)
def test_every_equation_stands_in_the_derivation(name: str) -> None:
    recursion = _example(name).recursion
    part = _section(Tree(_page(_example(name))).root, "derivation")
    shown = [e.get("alttext") for e in part.iter("math")]
    for equation in equations(recursion.steps):
        assert f"{equation.symbol} = {equation.value}" in shown
    assert len(part.findall(".//ol[@class='steps']//p[@class='why']")) >= len(list(equations(recursion.steps)))


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    file, place = tmp_path / "net.arch", tmp_path / "out.html"
    file.write_text(FLAT)
    result = CliRunner().invoke(main, ["verify", str(file), "--budget", "0", "--json", "--report", str(place)])
    assert result.exit_code == 0
    (table,) = _section(Tree(place.read_text(encoding="utf-8")).root, "claims").findall("table")
    claims = json.loads(result.stdout)["claims"]
    assert [text_of(row[0]) for row in table.findall("tbody/tr")] == [claim["claim"] for claim in claims]
    assert str(tmp_path) not in place.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntkc.cli.verify", lambda *_: Report(ROWS))
    place = tmp_path / "none" / "out.html"
    result = CliRunner().invoke(main, ["verify", str(examples() / "erf_mlp.arch"), "--report", str(place)])
    assert result.exit_code == 1
    assert f"error: `{place}` cannot be written: no such file or directory" in result.output
