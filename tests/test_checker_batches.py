"""The checker reads normalization over the batch by itself: what it proves, and the wrong rules and integrals that it finds."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
from certified import Data, certified, put

from ntkc.backends import normalized as reference
from ntkc.checker.check import prove
from ntkc.deriving import batches
from ntkc.pipeline import Compilation, compile_source
from ntkc.source import Source

IMAGES = (
    "output x |> conv(3, b_std=0.2) |> batch_norm |> relu |> conv(2, padding=valid) |> batch_norm |> relu |> flatten |> dense"
)
NETWORKS = {
    "simple": "output x |> dense(b_std=0.3) |> batch_norm |> relu |> dense",
    "deep": "param s = 0.3 in [0, 1]\nparam e = 0.05 in [0, 1]\nh = x |> dense |> batch_norm |> leaky_relu(s)\n"
    "output h |> dense(W_std=1.2, b_std=0.2) |> batch_norm(eps=e) |> relu |> dense(b_std=0.1)",
    "loop": "h = dense(x)\nrepeat 2 { h = h + dense(relu(batch_norm(h))) }\noutput h |> batch_norm |> abs |> dense",
    "two": "u = x |> dense |> batch_norm |> relu\nv = x |> dense |> batch_norm |> abs\noutput dense(relu(dense(u + v)))",
    "one matrix": "layer W = dense(b_std=0.2)\nv = W(dense(relu(dense(x))))\n"
    "output relu(batch_norm(W(dense(x)))) - abs(batch_norm(v)) |> dense",
    "linear": "output x |> dense |> batch_norm |> relu |> dropout(keep=0.8) |> layer_norm |> dense |> batch_norm |> dense",
    "images": IMAGES,
}


def _compile(body: str) -> Compilation:
    input = "image(3, 3, 2)" if body == IMAGES else "vector(_)"
    return compile_source(Source("net.arch", f"arch net {{\ninput x: {input}\n{body}\n}}\n"))


def _certificate(name: str) -> Data:
    return certified(_compile(NETWORKS[name]))


_right = cache(lambda name: json.dumps(_certificate(name)))


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n == "one matrix" else ()) for n in NETWORKS])
def test_right_certificates_are_proven(name: str) -> None:
    findings = prove(json.loads(_right(name)))
    assert {f.status for f in findings} <= {"proven", "checked"}, [f for f in findings if f.status in ("FAILED", "UNKNOWN")]
    exact = [f for f in findings if " has the " in f.claim]
    assert exact
    assert {f.status for f in exact} == {"proven"}


def _failures(data: Data) -> list[str]:
    return [f"{f.claim}: {f.detail}" for f in prove(data) if f.status == "FAILED"]


centre = batches.Batches._centred
RULES: dict[str, tuple[str, Any, str, Any, str]] = {
    "a table that is not centred": ("simple", batches, "centred", lambda table: table, "A2_1"),
    "the deviations of the other batch": (
        "simple",
        batches.Batches,
        "_centred",
        lambda self, joint, _: centre(self, joint, "1"),
        "S3",
    ),
    "two batches taken for one": ("simple", batches, "SAME", sp.S.One, "S3"),
    "another dual": ("simple", batches, "slope", lambda f, _: f, "batch0 has the duals"),
    "no bends": ("deep", batches, "bends", lambda _: (sp.S.Zero, sp.S.Zero), "has the bend at u = 0"),
    "another mean": ("two", batches, "mean", lambda f, _: f.subs(batches.Z, 1), "has the mean"),
}


@pytest.mark.parametrize("case", RULES)
def test_a_wrong_rule_fails(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, place, attribute, wrong, claim = RULES[case]
    monkeypatch.setattr(place, attribute, wrong)
    assert any(claim in failure for failure in _failures(_certificate(name)))


def _zero(c: Any, a: Any, b: Any) -> Any:
    return 0 * c


tangent = reference.Batches.tangent
INTEGRALS: dict[str, tuple[Any, str, Any, str]] = {
    "covariances between batches that are not centred": (reference, "centred", lambda table: table, "between"),
    "no bend on one side": (
        reference.Batches,
        "tangent",
        lambda self, functions, moved: tangent(self, (*functions[:3], _zero), moved),
        "tangent moments within",
    ),
    "deviations without the root of B": (reference.Batches, "_root", lambda _, __: 1.0, "mean moments within"),
    "the variance of one value for that of all": (
        reference.Batches,
        "_tilted",
        lambda self, s, ts: (np.stack([self.own[0] if s is None else self._whole @ self._whole.T] * len(ts)), np.ones(len(ts))),
        "second moments",
    ),
}


@pytest.mark.parametrize("case", INTEGRALS)
def test_a_wrong_integral_fails(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, attribute, wrong, claim = INTEGRALS[case]
    monkeypatch.setattr(place, attribute, wrong)
    monkeypatch.setattr(reference.Batches, "_refined", lambda _, total, integrals: total(0.125))
    assert any(claim in failure for failure in _failures(_certificate("simple")))


def _scaled(kind: str, where: str) -> Callable[[Data], None]:
    """One moment, by 5 % of the largest."""

    def change(data: Data) -> None:
        table = data["maps"][0]["values"][where][kind]
        table[0][1] += 0.05 * max(max(map(abs, row)) for row in table)

    return change


MAP = "maps", 0, "geometry"
WRONG: dict[str, tuple[str, Callable[[Data], None]]] = {
    "dual of the values for that of the slopes": ("simple", put((*MAP, "pair", 1), "dual_relu")),
    "function that is no multiple of z": ("simple", put((*MAP, "f"), "Max(0, z) + 1")),
    "function of another node": ("simple", put(("nodes", 3, "function"), "Abs(z0)")),
    "eps of another layer": ("deep", put((*MAP, "eps", 0), "1/100")),
    "operand that is not Gaussian": ("simple", put(("nodes", 2, "operand"), 0)),
    "bends of the other sign": ("simple", put((*MAP, "bends", 0), "-ratio(gram_root(c, a, b), a)/(2*pi)")),
    "tangent within a batch": ("simple", _scaled("tangent", "within")),
    "tangent between batches": ("simple", _scaled("tangent", "between")),
    "moments of nothing": ("simple", lambda data: data["maps"][0]["values"].update(covariance=(np.ones((15, 15))).tolist())),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_certificates_fail(case: str) -> None:
    name, change = WRONG[case]
    data = json.loads(_right(name))
    change(data)
    assert _failures(data)
