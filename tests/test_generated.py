"""Random valid programs: emitted code and reference agree. Random broken ones: a diagnosis, and no other exception."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from generate import broken, programs
from hypothesis import HealthCheck, given, note, settings

from ntkc import ArchError, Compilation, compile_source
from ntkc.backends.reference import evaluate
from ntkc.ir.recursion import LoopStep, Recursion, Step
from ntkc.source import Source

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def _settled(net: Compilation) -> Recursion:
    """The same with twice the turns of each scan, which change nothing once its tables are right."""

    def longer(step: Step) -> Step:
        if not isinstance(step, LoopStep):
            return step
        factor = 2 if net.network.loops[step.index].scan else 1
        return replace(step, count=factor * step.count, body=tuple(map(longer, step.body)))

    return replace(net.recursion, steps=tuple(map(longer, net.recursion.steps)))


def agree(text: str, masked: bool = False) -> None:
    """The kernels of two samples, one of them twice, against the reference in double precision."""
    net = compile_source(Source("net.arch", text))
    net = net.with_masks() if masked else net
    module, source = net.module(), np.random.default_rng(0)
    shapes = [(2, *shape) for _, shape in module.INPUTS]
    xs = [
        source.integers(3, size=s) if name in module.TOKENS else source.normal(size=s)
        for (name, _), s in zip(module.INPUTS, shapes, strict=True)
    ]
    given = {name: source.uniform(size=(2, 4, 4)) for name in module.GIVENS if name not in module.MASKS}
    if masked and module.MASKS:
        given["mask"] = np.array([[True, True, True, False], [False, True, True, True]])
    found = net.kernel(tuple(xs), **given)
    more = [given["mask"] if name in module.MASKS else given[name] for name in module.GIVENS]
    rows = [[a[i] for a in (*xs, *more)] for i in range(2)]
    for i, j in ((0, 0), (0, 1), (1, 1)):
        exact = evaluate(net.recursion, rows[i], rows[j], 15)
        for kind in ("nngp", "ntk"):
            for name, value in getattr(exact, kind).items():
                table = getattr(found, kind)
                table = table[name] if name else table
                scale = float(np.abs(table).max())
                np.testing.assert_allclose(
                    table[i, j], float(value), rtol=1e-7, atol=1e-9 * scale, err_msg=f"{kind} {name} {i}{j}"
                )
                assert np.linalg.eigvalsh(table).min() > -1e-9 * scale
    if any(loop.scan for loop in net.network.loops):
        settled = evaluate(_settled(net), *rows, 15)
        np.testing.assert_allclose(
            *(np.array([[*v.nngp.values()], [*v.ntk.values()]], float) for v in (settled, evaluate(net.recursion, *rows, 15))),
            rtol=1e-12,
        )
    apart = net.kernel(tuple(x[:1] for x in xs), tuple(x[1:] for x in xs), **{k: (v[:1], v[1:]) for k, v in given.items()})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0, 0], b[0, 1], rtol=1e-9, atol=1e-12), apart, found)


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


def diagnosed(text: str) -> None:
    note(text)
    try:
        compile_source(Source("net.arch", text))
    except ArchError as error:
        found = error.diagnostics
    else:
        found = ()
    assert all(d.code and d.message for d in found)


@settings(max_examples=12, deadline=None, suppress_health_check=QUIET, derandomize=True)
@given(programs())
def test_valid_programs_agree_with_the_reference(text: str) -> None:
    note(text)
    agree(text)


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET, derandomize=True)
@given(broken())
def test_broken_programs_are_diagnosed(text: str) -> None:
    diagnosed(text)


def test_stages_of_a_step_are_all_settled() -> None:
    """Three leaky states, each a function of the one before at the same step: variances wait for one another."""
    net = compile_source(Source("net.arch", STAGES))
    x = np.random.default_rng(0).normal(size=(2, 2, 2))
    found, expected = net.kernel(x[:1], x[1:]), evaluate(_settled(net), [x[0]], [x[1]], 15)
    np.testing.assert_allclose(
        [found.nngp[0, 0], found.ntk[0, 0]], [float(expected.nngp[""]), float(expected.ntk[""])], rtol=1e-10
    )


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=QUIET)
@given(programs())
def test_many_valid_programs(text: str) -> None:
    note(text)
    agree(text)
    jax.clear_caches()


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=QUIET)
@given(broken())
def test_many_broken_programs(text: str) -> None:
    diagnosed(text)
