"""The checker of certificates: right ones are proven, each kind of wrong one is found, and it needs nothing of the compiler."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import sympy as sp
from certified import Data, certified, put, replaced, step_of
from click.testing import CliRunner

from ntkc.checker.check import NoCertificate, prove
from ntkc.cli import main
from ntkc.layers.dense import Dense
from ntkc.pipeline import Compilation, compile_source
from ntkc.source import Source
from ntkc.verify.verify import verify

NETWORKS = {
    "dense": "input x: vector(5)\noutput x |> dense(W_std=1.3, b_std=0.2) |> relu |> dense",
    "tied": "input x: vector(5)\nlayer W = dense(b_std=0.3)\nh = x |> dense |> relu |> W |> erf |> W\n"
    "output relu(h) + h |> dense",
    "loop": "input x: vector(5)\nh = x |> dense\nrepeat 7 { h = h + (h |> relu |> dense(b_std=0.1)) }\noutput h |> erf |> dense",
    "scan": "input x: sequence(4, 3)\nlayer W = dense(b_std=0.3)\nlayer U = dense\n"
    "hs = scan u in x, h = 0 { h = 0.5 * h + 0.5 * erf(W(h) + U(u)) }\noutput hs |> last |> dense",
    "encoded scan": "input x: sequence(4, 3)\nlayer W = dense\nlayer U = dense\n"
    "hs = scan u in x, h = 0 { h = erf(U(u)) * dense(u) + relu(W(h)) }\n"
    "output hs |> positional(std=0.6) |> rms_norm |> last |> dense",
    "images": "input x: image(6, 6, 2)\n"
    "output x |> conv(3, b_std=0.1) |> relu |> avg_pool(2) |> layer_norm |> conv(2, stride=2) |> erf |> flatten |> dense",
    "attention": "input x: sequence(4, 3)\n"
    "output x |> dense |> attention(tied_query_key=true) |> relu |> global_avg_pool |> dense",
    "sinusoids": "input x: sequence(4, 3)\nh = x |> dense |> relu |> positional(kind=fixed, std=1.3)\n"
    "h = h |> layer_norm |> dense |> positional(kind=fixed)\noutput h |> layer_norm |> dense |> relu |> flatten |> dense",
    "series": "input x: vector(5)\noutput x |> dense |> softplus |> dense |> tanh |> dense",
    "series beside its argument": "input x: vector(3)\nh = dense(x)\nk = 0.5 * h + dense(relu(h))\noutput tanh(k) + k |> dense",
    "standard": "option parameterization = standard\ninput x: vector(5)\n"
    "output x |> dense(width=64, b_std=0.1) |> relu |> dense(width=8)",
}


def _compile(body: str) -> Compilation:
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return compile_source(Source("test.arch", f"arch test {{\n{indented}\n}}\n"))


@pytest.mark.parametrize("name", NETWORKS)
def test_right_certificates_are_proven(name: str) -> None:
    findings = prove(certified(_compile(NETWORKS[name])))
    assert {f.status for f in findings} <= {"proven", "checked", "bounded"}, [
        f for f in findings if f.status in ("FAILED", "UNKNOWN")
    ]


def _loop(data: Data) -> Data:
    return next(step for step in data["steps"] if "loop" in step)


WRONG: dict[str, tuple[str, Callable[[Data], None]]] = {
    "factor": ("dense", replaced("Theta1", "169", "168")),
    "bias dropped": ("dense", replaced("K1", " + 1/25", "")),
    "moment of the wrong kind": ("dense", replaced("T2", "prime(K1, ", "prime(K1_1, ")),
    "sides swapped": ("dense", replaced("S2_1", "K1_1", "K1_2")),
    "premise": ("dense", lambda data: step_of(data, "K1").update(premises=["v1 and v1 share no weights"])),
    "premise that nobody knows": ("dense", lambda data: step_of(data, "K1").update(premises=["by inspection"])),
    "closed form": ("dense", put(("expectations", 0, "value"), "c/2")),
    "price link": ("dense", lambda data: data["expectations"][0]["chains"][-1]["links"].__setitem__(1, "1/3")),
    "read before it is known": ("dense", lambda data: data["steps"].reverse()),
    "output": ("dense", put(("outputs", 0, "ntk"), "S2")),
    "layer of the network": ("dense", put(("nodes", 1, "layer", "W_std"), "7/5")),
    "correlation of tied weights": ("tied", lambda data: step_of(data, "T6").update(value="0")),
    "start of a loop": ("loop", lambda data: _loop(data)["states"][0].update(initial="2*C")),
    "turn of a loop": ("loop", lambda data: _loop(data)["states"][0].update(following=_loop(data)["states"][0]["symbol"])),
    "turns of a loop": ("loop", lambda data: _loop(data).update(turns=6)),
    "turns of a scan": ("scan", lambda data: _loop(data).update(turns=4)),
    "start of a scan": ("scan", lambda data: _loop(data)["states"][0].update(initial="C")),
    "padding of a map": ("images", lambda data: data["maps"][0]["geometry"]["axes"][0].update(padding="valid")),
    "statistics": ("images", lambda data: _scaled(data, "layer_norm")),
    "pool": ("images", lambda data: _scaled(data, "avg_pool")),
    "attention": ("attention", put(("maps", 0, "geometry", "scale"), "2")),
    "amplitude of sinusoids": ("sinusoids", put(("nodes", 3, "layer", "std"), "7/5")),
    "size of sinusoids": ("sinusoids", lambda data: _encoding(data)["geometry"].update(rows=5)),
    "bound": ("series", lambda data: max(data["expectations"], key=lambda e: max(e["bounds"])).update(bounds=[1e-300] * 5)),
    "variance of a series": ("series beside its argument", replaced("T5", "(0, K4_2, K4_2)", "(0, K4_1, K4_1)")),
    "variances of a series": ("series beside its argument", replaced("S5", "K4x1, K4_1, C_2", "K4x1, C_2, K4_1")),
    "fan-in": ("standard", lambda data: _scaled(data, "dense")),
}


def _encoding(data: Data) -> Data:
    return next(entry for entry in data["maps"] if entry["geometry"]["class"] == "Sinusoids")


def _scaled(data: Data, rule: str) -> None:
    """Twice what a rule says."""
    step = next(s for s in reversed(data["steps"]) if s.get("rule") == rule)
    step["value"] = f"2*({step['value']})"


@pytest.mark.parametrize("case", WRONG)
def test_wrong_certificates_fail(case: str) -> None:
    name, change = WRONG[case]
    data = deepcopy(certified(_compile(NETWORKS[name])))
    change(data)
    try:
        statuses = {f.status for f in prove(data)}
    except NoCertificate:
        pytest.fail("a wrong claim is a finding, not a damaged file")
    assert "FAILED" in statuses


def test_a_wrong_rule_makes_verify_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.tangent
    monkeypatch.setattr(
        Dense, "tangent", lambda self, square, tangent: right(self, square, tangent) + sp.Rational(1, 50) * square
    )
    report = verify(_compile(NETWORKS["dense"]), budget=0, translate=False)
    assert not report.ok
    assert "no rule gives this value" in {row.detail for row in report.rows}


def test_the_commands(tmp_path: Path) -> None:
    arch, path = tmp_path / "gelu.arch", tmp_path / "gelu.json"
    arch.write_text("arch g {\n    input x: vector(5)\n    output x |> dense |> gelu |> dense\n}\n")
    run = CliRunner().invoke
    assert run(main, ["derive", str(arch), "--certificate", str(path)]).exit_code == 0
    found = run(main, ["check-certificate", str(path)])
    assert found.exit_code == 0
    assert "the ntk of the output" in found.stdout
    wrong = json.loads(path.read_text())
    wrong["outputs"][0]["nngp"] = "2*" + wrong["outputs"][0]["nngp"]
    path.write_text(json.dumps(wrong))
    found = run(main, ["check-certificate", str(path)])
    assert found.exit_code == 1
    assert "FAILED" in found.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name enclosed in double quotes"),
        ("[]", "not a certificate: it does not say `format: ntkc-certificate/1`"),
        ('{"format": "ntkc-certificate/1"}', "the certificate is damaged: KeyError: 'symbols'"),
    ],
)
def test_what_is_no_certificate(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    found = CliRunner().invoke(main, ["check-certificate", str(path)])
    assert found.exit_code == 1
    assert found.stderr.startswith(f"error: {path}: {message}")
