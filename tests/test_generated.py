"""Random valid programs satisfy what `agree` lists. Random broken ones: a diagnosis, and no other exception. What long runs
found: a test each."""

import random
import warnings

import numpy as np
import pytest
from agree import agree, compiled, settled
from generate import broken_programs, program, programs
from hypothesis import HealthCheck, assume, given, note, settings
from padded import Padded
from scipy.special import erf
from writer import MASKABLE

from ntkc import ArchError
from ntkc.backends.reference import evaluate
from ntkc.ir.network import MixingNode
from ntkc.verify.widths import at_width

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
REFUSED = ("no-closed-form", "unknown-width", "different-fan-in")
"""What a program of the strategy may be refused for."""

STAGES = """arch net {
    input x: sequence(2, 2)
    layer W = dense(W_std=1.2, b_std=0.2)
    layer R = dense(W_std=1.1)
    hs = scan u in x, c = 0, h = 0, k = 0 {
        h = 0.4 * h + relu(W(h) + dense(u))
        k = 0.6 * k + relu(R(h) + R(k))
        c = 0.3 * c + erf(W(k))
    }
    output hs |> global_avg_pool |> dense
}
"""


def _net(body: str, head: str = "input x: vector(3)\nh = dense(x)\n") -> str:
    return f"arch net {{\n{head}{body}\n}}\n"


def diagnosed(text: str) -> None:
    note(text)
    try:
        compiled(text)
    except ArchError as error:
        found = error.diagnostics
    else:
        found = ()
    assert all(d.code and d.message for d in found)


def _agree(text: str) -> None:
    note(text)
    try:
        agree(text)
    except ArchError as error:
        if any(d.code not in REFUSED for d in error.diagnostics):
            raise
        assume(False)


@settings(max_examples=3, deadline=None, suppress_health_check=QUIET, derandomize=True)
@given(programs())
def test_valid_programs_agree(text: str) -> None:
    _agree(text)


@settings(max_examples=40, deadline=None, suppress_health_check=QUIET, derandomize=True)
@given(broken_programs())
def test_broken_programs_are_diagnosed(text: str) -> None:
    diagnosed(text)


@pytest.mark.parametrize("seed", [7, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (25, *range(100, 400)))])
def test_padded_sequences_are_the_short_ones(seed: int) -> None:
    case = Padded(program(random.Random(seed).choice, MASKABLE), seed)
    try:
        assert case.check() >= 12
        case.check_finite()
    except ArchError as error:
        if seed < 100 or not {d.code for d in error.diagnostics} <= {"no-mask", *REFUSED}:
            raise


def test_stages_of_a_step_are_all_settled() -> None:
    """Three leaky states, each a function of the one before at the same step: variances wait for one another."""
    net = compiled(STAGES)
    x = np.random.default_rng(0).normal(size=(2, 2, 2))
    found, expected = net.kernel(x[:1], x[1:]), evaluate(settled(net), [x[0]], [x[1]], 15)
    np.testing.assert_allclose(
        [found.nngp[0, 0], found.ntk[0, 0]], [float(expected.nngp[""]), float(expected.ntk[""])], rtol=1e-10
    )


def test_pieces_of_a_where_that_never_hold_together() -> None:
    """Expanded, a nested `where` beside another factor has products of steps that are 0; its pieces meet, so it has a slope."""
    body = "output where(h > 0.5, 2 * h - 0.7, where(h < -1, 0.2 * h + 0.5, 0.3)) * erf(dense(h)) |> dense"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = compiled(_net(body))
    x = np.array([0.3, -0.9, 1.1])
    found = evaluate(net.recursion, [x], [x], 15)
    z = np.linspace(-9, 9, 20001)
    w, u = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum(), np.sqrt(x @ x / 3) * z
    bent, slope = np.where(u > 0.5, 2 * u - 0.7, np.where(u < -1, 0.2 * u + 0.5, 0.3)), np.where(u > 0.5, 2, 0.2 * (u < -1))
    gate, rise = w @ erf(u) ** 2, w @ (2 / np.sqrt(np.pi) * np.exp(-(u**2))) ** 2
    nngp = (w @ bent**2) * gate
    ntk = nngp + x @ x / 3 * ((w @ slope**2) * gate + 2 * (w @ bent**2) * rise)
    np.testing.assert_allclose([float(found.nngp[""]), float(found.ntk[""])], [nngp, ntk], rtol=2e-2)


def test_pieces_that_do_not_meet_have_no_slope() -> None:
    net = compiled(_net("output where(h > 1, 1, where(h < -1, -1.5, h)) |> dense"))
    assert net.recursion.outputs[0].ntk is None


def test_a_kink_times_two_correlated_values_is_refused() -> None:
    """By parts it needs the expectation of a delta function, which crashed the compiler."""
    with pytest.raises(ArchError, match="a kink times two values that are correlated with its argument has no closed form"):
        compiled(_net("g = h + dense(erf(h))\noutput relu(g) * h |> dense"))


def test_the_reference_where_double_precision_overflows() -> None:
    """E sin u sin v = exp(-(a + b) / 2) sinh(c) at variances beyond 709."""
    net, x = compiled(_net("output sin(h) |> dense")), [np.array([50.0, -40.0, 30.0])]
    few, many = evaluate(net.recursion, x, x, 15), evaluate(net.recursion, x, x, 30)
    np.testing.assert_allclose([float(few.nngp[""]), float(few.ntk[""])], [float(many.nngp[""]), float(many.ntk[""])], rtol=1e-12)


def test_attention_takes_the_width_of_a_simulation() -> None:
    head = "option parameterization = standard\ninput x: sequence(2, 3)\n"
    net = compiled(_net("output dense(x, width=64) |> attention(width=64) |> last |> dense", head))
    (node,) = (n for n in at_width(net, 32).network.nodes if isinstance(n, MixingNode))
    assert (node.layer.fan_in, node.layer.width) == (32, 32)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=QUIET)
@given(programs())
def test_many_valid_programs(text: str) -> None:
    _agree(text)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=QUIET)
@given(broken_programs())
def test_many_broken_programs(text: str) -> None:
    diagnosed(text)
