"""Random valid programs: emitted code and reference agree. Random broken ones: a diagnosis, and no other exception."""

import jax
import numpy as np
import pytest
from generate import broken, programs
from hypothesis import HealthCheck, given, note, settings

from ntkc import ArchError, compile_source
from ntkc.backends.reference import evaluate
from ntkc.source import Source

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def agree(text: str) -> None:
    """The kernels of two samples, one of them twice, against the reference in double precision."""
    note(text)
    net = compile_source(Source("net.arch", text))
    (_, shape), *_ = net.module().INPUTS
    x = np.random.default_rng(0).normal(size=(2, *shape))
    found = net.kernel(x)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        exact = evaluate(net.recursion, [x[i]], [x[i] if i == j else x[j]] if i != j else [x[i]], 15)
        values = [float(exact.nngp[""]), float(exact.ntk[""])]
        np.testing.assert_allclose([found.nngp[i, j], found.ntk[i, j]], values, rtol=1e-7, atol=1e-9 * max(map(abs, values)))
    np.testing.assert_allclose(net.ntk(x[:1], x[1:])[0, 0], found.ntk[0, 1], rtol=1e-9, atol=1e-12)
    assert np.linalg.eigvalsh(found.nngp).min() > -1e-9 * np.trace(found.nngp)
    assert np.linalg.eigvalsh(found.ntk).min() > -1e-9 * np.trace(found.ntk)


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
    agree(text)


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET, derandomize=True)
@given(broken())
def test_broken_programs_are_diagnosed(text: str) -> None:
    diagnosed(text)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=QUIET)
@given(programs())
def test_many_valid_programs(text: str) -> None:
    agree(text)
    jax.clear_caches()


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=QUIET)
@given(broken())
def test_many_broken_programs(text: str) -> None:
    diagnosed(text)
