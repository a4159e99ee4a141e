"""Products of erf gates of correlated Gaussian values, and gated recurrent networks of a few steps, which are sums of such."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from draws import drawn
from gru import GATE, GRU
from scipy.integrate import quad
from scipy.special import erf

from ntkc import ArchError, Compilation, compile_source
from ntkc.backends.prelude.orthants import _erf_moment
from ntkc.backends.reference import evaluate
from ntkc.checker.check import prove
from ntkc.gaussian.orthants import moment
from ntkc.gaussian.price import Expectation
from ntkc.source import Source

RESET = """layer Wz = dense(b_std=0.3)
layer Uz = dense()
layer Wr = dense(W_std=1.2)
layer Ur = dense()
layer Wh = dense(W_std=1.4)
layer Uh = dense()
hs = scan u in x, h = 0 {
    z = gate(Wz(h) + Uz(u))
    r = gate(Wr(h) + Ur(u))
    h = (1 - z) * h + z * erf(Wh(h * r) + Uh(u))
}
"""
PROGRAMS = {
    "product": "input x: vector(3)\ninput y: vector(3)\nlayer W = dense(W_std=1.2, b_std=0.2)\n"
    "output dense(gate(W(x)) * erf(W(y) / 2) * dense(x))",
    "squares": "input x: vector(3)\noutput dense(gate(dense(x, W_std=1.2)) ^ 2)",
    "mean": "input x: sequence(2, 3)\n" + GRU + "output hs |> global_avg_pool |> dense",
    "last": "input x: sequence(2, 3)\n" + GRU + "output hs |> last |> dense",
    "reset": "input x: sequence(2, 3)\n" + RESET + "output hs[-1] |> dense",
    "three": "input x: sequence(3, 3)\n" + RESET + "output hs |> last |> dense",
}
SLOW = ("mean", "reset", "three")


@cache
def _compile(body: str, **options: Any) -> Compilation:
    return compile_source(Source("net.arch", f"{GATE}arch net {{\n{body}\n}}\n"), **options)


def test_a_polynomial_beside_a_product_of_erfs_needs_no_series() -> None:
    body = "input x: vector(3)\ninput y: vector(3)\nlayer W = dense(W_std=1.2)\noutput dense(W(y) * erf(W(x)))"
    assert all(isinstance(dual.law, Expectation) for dual in _compile(body).recursion.duals)


def _data(compilation: Compilation, n: int) -> Any:
    source = np.random.default_rng(0)
    arrays = tuple(source.normal(size=(n, *shape)) for _, shape in compilation.module().INPUTS)
    return arrays if len(arrays) > 1 else arrays[0]


def _programs() -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in PROGRAMS]


def test_powers_of_a_uniform_variable() -> None:
    """erf(u) of variance 1/2 is uniform between -1 and 1: E of its n-th power is 1/(n + 1), n even."""
    with mp.workdps(30):
        for n in (2, 4):
            assert abs(moment(0, [mp.mpf(1) / 2] * (n * (n + 1) // 2)) - mp.mpf(1) / (n + 1)) < mp.mpf(10) ** -28
    assert abs(moment(0, [0.5] * 21) - 1 / 7) < 1e-15


@pytest.mark.parametrize(("bells", "erfs"), [(0, 2), (1, 0), (2, 2), (0, 4), (2, 4), (0, 6)])
def test_emitted_moments(bells: int, erfs: int) -> None:
    source, size = np.random.default_rng(3), bells + erfs
    roots = source.normal(size=(4, size, 3))
    tables = roots @ np.swapaxes(roots, 1, 2)
    rows, columns = np.triu_indices(size)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(tables[:, i, j]) for i, j in zip(rows, columns, strict=True)]
        run = jax.jit(jax.value_and_grad(lambda *entries: _erf_moment(bells, *entries).sum(), argnums=0))
        found, slopes = run(*arrays)
    expected = [moment(bells, table[rows, columns].tolist()) for table in tables]
    assert abs(found - sum(expected)) < 1e-13
    assert np.isfinite(slopes).all()


@pytest.mark.filterwarnings("ignore:The occurrence of roundoff error")
@pytest.mark.parametrize(("variance", "bound"), [(1.0, 1e-14), (10.0, 1e-14), (64.0, 1e-11), (1000.0, 1e-6)])
@pytest.mark.parametrize("erfs", [4, 6])
def test_the_stated_error_where_all_values_are_equal(variance: float, bound: float, erfs: int) -> None:
    def integrand(x: float) -> float:
        return float(erf(np.sqrt(variance) * x) ** erfs * np.exp(-x * x / 2) * np.sqrt(2 / np.pi))

    exact = sum(quad(integrand, a, b, epsabs=1e-15, epsrel=1e-14)[0] for a, b in ((0, 0.1), (0.1, 1), (1, 4), (4, 12)))
    with jax.enable_x64(True):
        run = jax.jit(lambda v: _erf_moment(0, *[v] * (erfs * (erfs + 1) // 2)))
        found = float(run(jnp.asarray(variance, float)))
    assert abs(found - exact) < bound + 3e-15  # rounding of the two


def _evaluated(name: str) -> tuple[Compilation, Any, Any]:
    """A program, three samples and its kernels of them."""
    compilation = _compile(PROGRAMS[name])
    x = _data(compilation, 3)
    with jax.enable_x64(True):
        return compilation, x, compilation.kernel(x)


@pytest.mark.parametrize("name", _programs())
def test_emitted_code_agrees_with_the_reference(name: str) -> None:
    compilation, x, found = _evaluated(name)
    pair = [[v[i] for v in (x if isinstance(x, tuple) else (x,))] for i in (0, 1)]
    for i, j in ((0, 1), (0, 0)) if name != "three" else ((0, 1),):
        values = evaluate(compilation.recursion, pair[i], pair[j], 25)
        assert abs(values.nngp[""] - float(found.nngp[i, j])) < 1e-12
        assert abs(values.ntk[""] - float(found.ntk[i, j])) < 1e-12


@pytest.mark.parametrize("name", _programs())
def test_agrees_with_the_sampled_limit(name: str) -> None:
    _, x, exact = _evaluated(name)
    found = _compile(PROGRAMS[name], sampled=True).kernel(x, samples=256 * 64, replicates=64)
    for kind in ("nngp", "ntk"):
        error, mean, value = (np.asarray(getattr(*of)) for of in ((found, f"{kind}_error"), (found, kind), (exact, kind)))
        assert np.abs((mean - value) / error).max() < 5.5
        assert error.max() / np.abs(value).max() < 0.03, "too uncertain to tell"


@pytest.mark.parametrize("width", [64, 256])
def test_finite_networks_converge(width: int) -> None:
    compilation = _compile(PROGRAMS["last"])
    x, module = jnp.asarray(_data(compilation, 3), "float32"), compilation.module()
    with jax.enable_x64(True):
        exact = compilation.kernel(_data(compilation, 3))

    def tangent(key: jax.Array) -> Any:
        rows = jax.jacrev(lambda w: module.apply(w, x)[:, 0])(module.init(key, width))
        flat = jnp.concatenate([row.reshape(len(x), -1) for row in rows.values()], 1)
        return flat @ flat.T

    def outer(key: jax.Array) -> Any:
        y = module._forward(module._Weights({}, key, width), (x,), module.PARAMS, 128)
        return y @ y.T / 128

    keys = jax.random.split(jax.random.key(width), 100)
    for found, of in ((exact.nngp, outer), (exact.ntk, tangent)):
        draws = drawn(of, keys)
        gap = np.maximum(np.abs(draws.mean(0) - found) - 1.5 / width * np.abs(found).max(), 0)
        assert np.sqrt(np.mean(gap**2 / (draws.var(0, ddof=1) / len(draws)))) < 2.2


def test_a_scan_is_what_its_steps_are_by_hand() -> None:
    body = PROGRAMS["last"].replace("b_std=0.3", "b_std=0")
    head = body[: body.index("hs = ")]
    by_hand = (
        "z = gate(Uz(x[0]))\nh = (1 - z) * erf(Uh(x[0]))\nz = gate(Wz(h) + Uz(x[1]))\n"
        "h = z * h + (1 - z) * erf(Wh(h) + Uh(x[1]))\noutput h |> dense"
    )
    x = _data(_compile(body), 2)
    scan, hand = (evaluate(_compile(b).recursion, [x[0]], [x[1]], 15) for b in (body, head + by_hand))
    assert abs(scan.nngp[""] - hand.nngp[""]) < 1e-14
    assert abs(scan.ntk[""] - hand.ntk[""]) < 1e-14


def test_the_checker_proves_and_contradicts() -> None:
    assert {finding.status for finding in prove(_compile(PROGRAMS["last"]).certificate())} <= {"proven", "checked"}
    certificate = _compile(PROGRAMS["product"]).certificate()
    assert {finding.status for finding in prove(certificate)} <= {"proven", "checked"}
    step = next(s for s in certificate["steps"] if "erf_moment(2" in s["value"])
    before, after = step["value"].split("erf_moment(2, ", 1)
    first, second, rest = after.split(", ", 2)
    step["value"] = f"{before}erf_moment(2, {second}, {first}, {rest}"
    assert "FAILED" in {finding.status for finding in prove(certificate)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mean", "last"])
def test_masks_of_a_scan_that_is_written_out(name: str) -> None:
    compilation, one = (_compile(PROGRAMS[name].replace("sequence(2", f"sequence({n}")) for n in (2, 1))
    x, mask = _data(compilation, 2), np.array([[True, True], [True, False]])
    with jax.enable_x64(True):
        found, alone = compilation.kernel(x + ~mask[..., None] * 10, mask=mask), one.kernel(x[1:, :1])
        for kind in ("nngp", "ntk"):
            padded, short, whole = (np.asarray(getattr(k, kind)) for k in (found, alone, compilation.kernel(x[:1])))
            np.testing.assert_allclose([padded[0, 0], padded[1, 1]], [whole[0, 0], short[0, 0]], rtol=1e-12)
        module = compilation.with_masks().module()
        weights = module.init(jax.random.key(0), 16)
        values = module.apply(weights, x + ~mask[..., None] * 10, mask=mask)
        np.testing.assert_allclose(values[1:], one.module().apply(weights, x[1:, :1]), rtol=1e-10)


def test_longer_scans_are_sampled() -> None:
    with pytest.raises(ArchError, match="option expectation = sampled"):
        _compile(PROGRAMS["last"].replace("sequence(2, 3)", "sequence(4, 3)"))
