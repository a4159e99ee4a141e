"""Integrals by a rule: their calls are proven against the recursion, what they stand for is proven or compared."""

from functools import cache

import mpmath as mp
import pytest
from changes import changed
from gru import GATE, GRU

from ntkc.pipeline import Compilation, compile_source
from ntkc.source import Source
from ntkc.verify.translation.check import _between, translation
from ntkc.verify.translation.claim import Claim
from ntkc.verify.translation.field import DIGITS
from ntkc.verify.translation.lemmas import lemmas
from ntkc.verify.translation.normalized import integrals

SQUARES = GATE + "arch a {\n input x: vector(3)\n output dense(gate(dense(x, W_std=1.2)) ^ 2)\n}"
SIXTH = "arch a {\n input x: vector(3)\n output dense(erf(dense(x, W_std=1.2, b_std=0.1)) ^ 3)\n}"
LAST = GATE + "arch a {\n input x: sequence(2, 3)\n" + GRU + " output hs |> last |> dense\n}"
KERNELS = ("emitted nngp", "emitted ntk")


@cache
def _compiled(text: str) -> Compilation:
    return compile_source(Source("a.arch", text))


def _changed(text: str, old: str, new: str) -> Compilation:
    return changed(_compiled(text), old, new)


@pytest.mark.parametrize("text", [SQUARES, SIXTH, LAST])
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
    "another of several": (LAST, "_part(expected9s, 1)", "_part(expected9s, 0)"),
    "a factor": (SQUARES, "(1 / 16) * expected1", "(1 / 15) * expected1"),
    "how several are stacked": (LAST, "jnp.stack(rows[i::count])", "jnp.stack(rows[i::count][::-1])"),
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


DEEP = """arch a {
    param s = 0.3 in [0, 1]
    param b = 0.2 in [0, inf)
    input x: vector(3)
    h = dense(x)
    repeat 2 { h = h |> batch_norm |> leaky_relu(s) |> dense(b_std=b) }
    output h |> batch_norm |> relu |> dense
}"""
MEANS = """arch a {
    param s = 0.3 in [0, 1]
    input x: vector(3)
    u = x |> dense |> batch_norm |> relu
    v = x |> dense |> batch_norm |> leaky_relu(s)
    output dense(relu(dense(u + v)))
}"""
STEPS = """arch a {
    input x: sequence(3, 2)
    h = x[1:] |> dense |> batch_norm |> relu |> dropout(keep=0.8)
    output h |> conv(3) |> batch_norm |> flatten |> dense
}"""
LAYERED = (
    "arch a {\n input x: vector(3)\n"
    " output x |> dense |> batch_norm |> relu |> dropout(keep=0.8) |> layer_norm |> dense |> batch_norm |> dense\n}"
)


def _kernels(compilation: Compilation) -> list[Claim]:
    """Without the rows of functions, some of which take seconds."""
    with mp.workdps(DIGITS):
        return [claim for same in (False, True) for claim in _between(compilation, 0, same)]


@pytest.mark.parametrize("text", [DEEP, MEANS, STEPS, LAYERED], ids=["deep", "means", "steps", "layered"])
def test_what_is_around_integrals_over_a_batch_is_proven(text: str) -> None:
    found = _kernels(_compiled(text))
    assert [c.claim for c in found][1:3] == ["emitted ntk between batches", "emitted nngp of a batch with itself"]
    assert {c.status for c in found} == {"proven"}, found
    assert all("integrals over them by name" in c.detail for c in found)


IN_BATCHES = {
    "a factor": (DEEP, "K5 = _kept(S4 + ", "K5 = _kept(2 * S4 + "),
    "a swapped table": (DEEP, "batch1_tangent(Theta2, K2, ", "batch1_tangent(K2, Theta2, "),
    "another side": (DEEP, "batch1(K2, A3_1, A3_2, same, s)", "batch1(K2, A3_1, A3_1, same, s)"),
    "another law": (DEEP, "batch0(K2_end, A7_1, A7_2, same)", "batch1(K2_end, A7_1, A7_2, same, s)"),
    "another hyperparameter": (DEEP, "batch1(K2, A3_1, A3_2, same, s)", "batch1(K2, A3_1, A3_2, same, param_b)"),
    "one batch as two": (DEEP, "batch1(K2_self, A3, A3, 1, s)", "batch1(K2_self, A3, A3, 0, s)"),
    "means of one side": (DEEP, "    k = k - jnp.mean(k, tuple(range(rank)), keepdims=True)\n", ""),
    "the diagonal": (DEEP, "jax.tree.map(jnp.diagonal, _compiled(", "jax.tree.map(lambda v: v[0], _compiled("),
    "a mean": (MEANS, "m6_2 * _left(m5_1, 1)", "m5_2 * _left(m5_1, 1)"),
    "where samples agree": (STEPS, "(1 / 4) * _same_positions(same, S4, 2)", "(1 / 5) * _same_positions(same, S4, 2)"),
    "whose positions": (STEPS, "jnp.trace(x.reshape(n, positions, m, -1), axis1=1, axis2=3)", "x.reshape(n, m, -1).sum(-1)"),
}


@pytest.mark.parametrize("change", IN_BATCHES)
def test_a_change_around_integrals_over_a_batch_is_found(change: str) -> None:
    text, old, new = IN_BATCHES[change]
    found = _kernels(_changed(text, old, new))
    assert "FAILED" in {c.status for c in found}, found


NORMALIZED = "arch a {\n input x: vector(3)\n output x |> dense |> batch_norm(eps=0.05) |> relu |> dense\n}"
INTEGRALS = {
    "the law": ("lambda c, a, b: dual_relu(c, a, b)", "lambda c, a, b: dual_relu(c, a, 2 * b)", "emitted batch0"),
    "eps": ("n * eps / unit", "eps / unit", "emitted batch0"),
    "the samples of two batches": ("math.sqrt(n1 * n2)", "math.sqrt(n1 * n1)", "emitted batch0"),
    "few nodes": ("_COARSE = (0.3,", "_COARSE = (0.6,", "emitted batch0"),
    "a second derivative": ("_ratio(_gram_root(c, a, b), a)", "_ratio(_gram_root(c, a, b), b)", "emitted batch0_tangent"),
    "swapped powers": ("(2 * t, 2 * s, 4 * s * t)", "(2 * s, 2 * t, 4 * s * t)", "emitted batch0_tangent"),
}


def test_integrals_over_a_batch_are_compared() -> None:
    found = list(integrals(_compiled(NORMALIZED)))
    assert [(c.claim, c.status) for c in found] == [("emitted batch0", "checked"), ("emitted batch0_tangent", "checked")]
    assert all("of the reference" in c.detail and "bound 1e-11" in c.detail for c in found)


QUICK = ("eps", "a second derivative")


@pytest.mark.parametrize("change", [pytest.param(c, marks=() if c in QUICK else pytest.mark.slow) for c in INTEGRALS])
def test_a_change_of_an_integral_over_a_batch_is_found(change: str) -> None:
    old, new, which = INTEGRALS[change]
    broken = next(c for c in integrals(_changed(NORMALIZED, old, new)) if c.status == "FAILED")
    assert broken.claim == which, broken
