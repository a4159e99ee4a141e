"""Integrals by a rule: their calls are proven against the recursion, what they stand for is proven or compared."""

from dataclasses import replace
from functools import cache

import mpmath as mp
import pytest

from ntkc.pipeline import Compilation, compile_source
from ntkc.source import Source
from ntkc.verify.translation.check import translation
from ntkc.verify.translation.field import DIGITS
from ntkc.verify.translation.lemmas import lemmas

GATE = "activation gate(z) = (1 + erf(z)) / 2\n"
SQUARES = GATE + "arch a {\n input x: vector(3)\n output dense(gate(dense(x, W_std=1.2)) ^ 2)\n}"
SIXTH = "arch a {\n input x: vector(3)\n output dense(erf(dense(x, W_std=1.2, b_std=0.1)) ^ 3)\n}"
GRU = (
    GATE
    + """arch a {
    input x: sequence(2, 3)
    layer Wz = dense(W_std=1.1, b_std=0.3)
    layer Uz = dense(W_std=1.3)
    layer Wh = dense(W_std=1.4)
    layer Uh = dense(b_std=0.2)
    hs = scan u in x, h = 0 {
        z = gate(Wz(h) + Uz(u))
        h = z * h + (1 - z) * erf(Wh(h) + Uh(u))
    }
    output hs |> last |> dense
}"""
)
KERNELS = ("emitted nngp", "emitted ntk")


@cache
def _compiled(text: str) -> Compilation:
    return compile_source(Source("a.arch", text))


def _changed(text: str, old: str, new: str) -> Compilation:
    code = _compiled(text).code
    assert old in code
    return replace(_compiled(text), code=code.replace(old, new, 1))


@pytest.mark.parametrize("text", [SQUARES, SIXTH, GRU])
def test_what_is_around_moments_of_erfs_is_proven(text: str) -> None:
    found = translation(_compiled(text))
    assert {c.status for c in found if c.claim.startswith(KERNELS)} == {"proven"}, found
    rows = {c.claim: c for c in found if "_erf_moment" in c.claim}
    assert rows
    for label, row in rows.items():
        erfs = int(label.split()[-2])
        assert row.status == ("proven" if erfs <= 2 else "checked"), row
        assert erfs <= 2 or ("of its definition" in row.detail and "bound 1e-12" in row.detail)


CALLS = {
    "a swapped argument": (SQUARES, "_erf_moments(0, (K1_1, K1_1, K1,", "_erf_moments(0, (K1_1, K1, K1_1,"),
    "another number of bells": (SQUARES, "_erf_moments(2, (K1_1, K1, K1_2))", "_erf_moments(0, (K1_1, K1, K1_2))"),
    "another of several": (GRU, "_part(expected9s, 1)", "_part(expected9s, 0)"),
    "a factor": (SQUARES, "(1 / 16) * expected1", "(1 / 15) * expected1"),
    "how several are stacked": (GRU, "jnp.stack(rows[i::count])", "jnp.stack(rows[i::count][::-1])"),
}


@pytest.mark.parametrize("change", CALLS)
def test_a_change_of_a_call_is_found(change: str) -> None:
    found = [c for c in translation(_changed(*CALLS[change])) if c.claim.startswith(KERNELS)]
    assert "FAILED" in {c.status for c in found}, found


MOMENTS = {
    "a density": ("scale / (2 * s[0, 0])", "scale / s[0, 0]", "of 2 exp(-v^2) and 0 erf(v)"),
    "what is given": ("s[1:, 1:] - s[1:, :1]", "s[1:, 1:] + s[1:, :1]", "of 2 exp(-v^2) and 2 erf(v)"),
    "an angle": ("return 2 / math.pi * _atan2(", "return 1 / math.pi * _atan2(", "of 0 exp(-v^2) and 2 erf(v)"),
    "a variance that grows": ("s[0, 0] - squared_sine * c * c", "s[0, 0] - squared_sine * c", "of 0 exp(-v^2) and 4 erf(v)"),
    "a covariance that grows": ("(squared_sine / own)", "(1 / own)", "of 0 exp(-v^2) and 4 erf(v)"),
    "a swapped pivot": ("share = s[0, rest] - (c / pivot)", "share = s[0, rest] - (pivot / c)", "of 0 exp(-v^2) and 4 erf(v)"),
    "few nodes": ("_quarter_turn(32)", "_quarter_turn(6)", "of 0 exp(-v^2) and 4 erf(v)"),
}


@pytest.mark.parametrize("change", MOMENTS)
def test_a_change_of_a_moment_is_found(change: str) -> None:
    old, new, which = MOMENTS[change]
    with mp.workdps(DIGITS):
        rows = {c.claim: c.status for c in lemmas(_changed(SQUARES, old, new))}
    assert rows[f"emitted _erf_moment {which}"] == "FAILED", rows
