"""The checker reads masks by itself: what it proves of sequences of different lengths, and each wrong rule that it finds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from certified import Data, certified, replaced

from ntkc import ArchError, compile_source
from ntkc.backends import stated
from ntkc.checker.check import prove
from ntkc.deriving.masks import Masks
from ntkc.deriving.positions import Positions
from ntkc.ir.padding import Padding
from ntkc.ir.recursion import flat_mean
from ntkc.pipeline import Compilation
from ntkc.source import Source
from ntkc.verify.verify import verify

RNN = "layer W = dense(W_std=1.2, b_std=0.2)\nlayer U = dense()\n"
NETWORKS = {
    "windows": "output x |> conv(3, stride=2, b_std=0.3) |> relu |> conv(2, padding=valid) |> erf |> global_avg_pool |> dense",
    "longer": "output x |> conv(3) |> relu |> conv_transpose(3, stride=2, b_std=0.1) |> relu |> global_sum_pool |> dense",
    "last": "output dense(x)[1:] |> relu |> conv(3, b_std=0.1) |> relu |> last |> dense",
    "attention": "output dense(x, b_std=0.2) |> attention(tied_query_key=true) |> relu |> global_avg_pool |> dense",
    "leaky": RNN + "hs = scan u in x, h = 0 { h = 0.3 * h + 0.7 * relu(W(h) + U(u)) }\noutput hs |> last |> dense",
    "backwards": RNN + "hs = scan u in reverse(x), h = 0 { h = erf(W(h) + U(u)) }\noutput hs |> global_avg_pool |> dense",
    "first state": RNN + "hs = scan u in x, h = x[0] |> dense { h = erf(W(h) + U(u)) }\noutput hs |> last |> dense",
    "loop": "h = dense(x)\nrepeat 3 { h = h + (h |> conv(3) |> relu |> conv(3)) }\noutput h |> erf |> global_avg_pool |> dense",
    "norm": "output x |> conv(3, b_std=0.3) |> relu |> layer_norm(axis=(channel, time)) |> conv(2) |> global_avg_pool |> dense",
    "flat": "output x |> conv(3, b_std=0.3) |> relu |> flatten |> rms_norm",
    "open": "output x |> conv(3, b_std=0.3) |> relu |> dense",
}


def _compile(body: str, length: int = 8) -> Compilation:
    text = f"arch net {{\ninput x: sequence({length}, 2)\n{body}\n}}\n"
    return compile_source(Source("net.arch", text), masked=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_right_certificates_are_proven(name: str) -> None:
    findings = prove(certified(_compile(NETWORKS[name])))
    assert {f.status for f in findings} <= {"proven", "checked"}, [f for f in findings if f.status in ("FAILED", "UNKNOWN")]


def test_verify_leaves_no_moment_unchecked() -> None:
    rows = verify(_compile(NETWORKS["windows"], 4), budget=0, translate=False).rows
    assert {row.status for row in rows if row.wall == "derivation"} <= {"proven", "checked"}


RULES: dict[str, tuple[str, type, str, Callable[..., Any]]] = {
    "a mean over all positions": ("windows", Masks, "rescaled", lambda *_: sp.S.One),
    "a window that reads absent positions": ("windows", Masks, "masked", lambda _, moment, *__: moment),
    "a pool that reads absent positions": ("longer", Masks, "masked_end", lambda _, moment, *__: moment),
    "positions that a window leaves where they were": (
        "windows",
        Masks,
        "_moved_mask",
        lambda self, _, h, side: self.present(h, side),
    ),
    "the last of the padded sequence": ("last", Positions, "_ends", lambda *_: False),
    "a state before the first step": ("leaky", Masks, "masked_end", lambda _, moment, *__: moment),
    "statistics over all positions": ("norm", Masks, "mean_of_present", lambda _, moment, *__: flat_mean(moment)),
    "statistics of a flattened value": ("flat", Masks, "mean_of_present", lambda _, moment, *__: flat_mean(moment)),
    "an output averaged over all positions": ("open", Masks, "averaged", lambda _, moment, *__: flat_mean(moment)),
}


@pytest.mark.parametrize("case", RULES)
def test_a_wrong_rule_fails(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, place, method, wrong = RULES[case]
    monkeypatch.setattr(place, method, wrong)
    assert "FAILED" in {f.status for f in prove(certified(_compile(NETWORKS[name])))}


def test_a_fan_in_of_absent_positions_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler refuses it; where it did not, the checker does."""
    body = "output x |> conv(3, b_std=0.3) |> relu |> flatten |> dense |> relu |> dense"
    monkeypatch.setattr(Padding, "_refuse", lambda *_: None)
    findings = prove(certified(_compile(body)))
    assert any("depends on the padded length" in f.detail for f in findings if f.status == "FAILED")


def test_another_reading_of_what_a_window_leaves_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stated, "present_after", lambda geometry, mask: np.roll(mask, 1)[:: geometry.axes[0].stride])
    findings = [f for f in prove(certified(_compile(NETWORKS["windows"]))) if f.status == "FAILED"]
    assert any("states other positions present after window0 than there are" in f.detail for f in findings)


WRONG: dict[str, tuple[str, Callable[[Data], None]]] = {
    "mask of the other side": ("windows", replaced("K1", "given_mask_x_2", "given_mask_x_1")),
    "presence of the operand": ("windows", replaced("K3", "M1_1*M1_2", "given_mask_x_1*given_mask_x_2")),
    "attention to absent positions": ("attention", replaced("A2_1", ", given_mask_x_1", "")),
    "last of another mask": ("last", replaced("L5_1", "M4_1", "M1_1")),
    "backwards and not": ("backwards", replaced("M1_1", "select1_left(given_mask_x_1)", "given_mask_x_1")),
    "no word of presence": ("windows", lambda data: [entry.pop("present", None) for entry in data["maps"]]),
    "fewer positions than there are": ("windows", lambda data: data["maps"][0]["present"].update(positions=2, needs=[[0]])),
    "not masked": ("windows", lambda data: data.update(masked=False)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_certificates_fail(case: str) -> None:
    name, change = WRONG[case]
    data = certified(_compile(NETWORKS[name]))
    change(data)
    assert "FAILED" in {f.status for f in prove(data)}


TURNED = "h = dense(x)\nrepeat {} {{ h = h |> reverse |> dense |> relu |> dense }}\noutput h |> relu |> global_avg_pool |> dense"


def test_a_turn_that_moves_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written out, or refused; where it was taken for one that does not, padding showed, which the checker finds."""
    net = _compile(TURNED.format(3))
    x, mask = np.random.default_rng(0).normal(size=(2, 8, 2)), np.arange(8) < np.array([[8], [5]])
    np.testing.assert_array_equal(net.ntk(x, mask=mask), net.ntk(x + ~mask[..., None] * 10, mask=mask))
    with pytest.raises(ArchError, match="a turn leaves other positions present than stood there before it"):
        _compile(TURNED.format(30))
    monkeypatch.setattr("ntkc.passes.derive.check_turns", lambda _: None)
    data = certified(_compile(TURNED.format(3)))
    assert any("present elsewhere than it was" in f.detail for f in prove(data) if f.status == "FAILED")
