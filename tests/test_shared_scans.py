"""Scans that use the same weights: a difference of two outputs has the kernel that the outputs' kernels say, and finite networks
converge."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import drawn

from ntkc import Compilation, compile_source
from ntkc.source import Source

HEAD = (
    "layer W = dense(W_std=1.2, b_std=0.2)\nlayer U = dense(W_std=1.1)\n"
    + "layer V = dense(W_std=0.8, b_std=0.1)\nlayer Q = dense()\n"
)
CELLS = {
    "plain": "{0} = scan u in {1}, h = 0 {{ h = erf(W(h) + U(u)) }}\n",
    "leaky": "{0} = scan u in {1}, h = 0 {{ h = 0.4 * h + 0.6 * relu(W(h) + U(u)) }}\n",
    "continuous": "{0} = scan u in {1}, h = 0 {{ h = 0.4 * h + W(erf(h)) + U(u) }}\n",
    "stacked": "{0}s = scan u in {1}, h = 0 {{ h = erf(W(h) + U(u)) }}\n"
    "{0} = scan u in {0}s, h = 0 {{ h = relu(V(h) + Q(u)) }}\n",
    "gated": "{0} = scan u in {1}, h = 0 {{ h = erf(W(h) + U(u)) * (1 + erf(V(h) + Q(u))) }}\n",
}
TWO = "input x: sequence(4, 2)\ninput y: sequence(4, 2)\n" + HEAD
X, Y = np.random.default_rng(0).normal(size=(2, 3, 4, 2))


def _compile(body: str) -> Compilation:
    return compile_source(Source("net.arch", "arch net {\n" + body + "\n}\n"))


def _two(cell: str, readout: str, second: str = "y") -> Compilation:
    """The difference of one network's outputs at two sequences."""
    scans = CELLS[cell].format("a", "x") + CELLS[cell].format("b", second)
    return _compile(TWO + scans + f"layer F = dense()\noutput F({readout}(a)) - F({readout}(b))")


def _one(cell: str, readout: str) -> Compilation:
    return _compile("input x: sequence(4, 2)\n" + HEAD + CELLS[cell].format("a", "x") + f"output a |> {readout} |> dense")


def _difference(one: Compilation, kind: str, **masks: Any) -> np.ndarray:
    """k(x, x') - k(x, y') - k(y, x') + k(y, y')."""
    table = np.asarray(getattr(one.kernel(np.concatenate([X, Y]), **masks), kind))
    return table[:3, :3] - table[:3, 3:] - table[3:, :3] + table[3:, 3:]


@pytest.mark.parametrize(
    ("cell", "readout"),
    [
        ("plain", "last"),
        ("leaky", "global_avg_pool"),
        pytest.param("continuous", "last", marks=pytest.mark.slow),
        ("stacked", "global_avg_pool"),
        pytest.param("gated", "last", marks=pytest.mark.slow),
    ],
)
def test_a_difference_of_outputs(cell: str, readout: str) -> None:
    one, found = _one(cell, readout), _two(cell, readout).kernel((X, Y))
    for kind in ("nngp", "ntk"):
        expected = _difference(one, kind)
        np.testing.assert_allclose(getattr(found, kind), expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["last", "global_avg_pool"])
def test_sequences_of_different_lengths(readout: str) -> None:
    mask = np.arange(4) < np.array([4] * 3 + [3] * 3)[:, None]
    found = _two("plain", readout, "y[:3]").kernel((X, Y))
    for kind in ("nngp", "ntk"):
        np.testing.assert_allclose(getattr(found, kind), _difference(_one("plain", readout), kind, mask=mask), rtol=1e-10)


def test_masks_belong_to_their_sequences() -> None:
    masks = [np.arange(4) < np.array(n)[:, None] for n in ([4, 2, 3], [1, 4, 2])]
    found = _two("plain", "last").kernel((X, Y), mask={"x": masks[0], "y": masks[1]})
    np.testing.assert_allclose(found.ntk, _difference(_one("plain", "last"), "ntk", mask=np.concatenate(masks)), rtol=1e-10)


NETWORKS = {
    "siamese": TWO + CELLS["plain"].format("a", "x") + CELLS["plain"].format("b", "y")
    + "layer F = dense()\noutput relu(F(last(a)) + F(last(b))) |> dense",
    "bidirectional": "input x: sequence(4, 2)\n" + HEAD
    + CELLS["leaky"].format("a", "x") + CELLS["leaky"].format("b", "reverse(x)")
    + "output dense(a + 0.5 * reverse(b)) |> erf |> global_avg_pool |> dense",
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_finite_networks_converge(name: str) -> None:
    net = _compile(NETWORKS[name])
    module, x = net.module(), tuple(jnp.asarray(v, "float32") for v in (X, Y))[: len(net.recursion.inputs)]
    found = net.kernel(x)

    def outer(width: int) -> Any:
        def draw(key: jax.Array) -> jax.Array:
            y = module._forward(module._Weights({}, key, width), module._inputs("x", x, {}), module.PARAMS, 1024)
            return y @ y.T / 1024

        return draw

    def tangent(width: int) -> Any:
        def draw(key: jax.Array) -> jax.Array:
            rows = jax.jacrev(lambda w: module.apply(w, x)[:, 0])(module.init(key, width))
            flat = jnp.concatenate([row.reshape(3, -1) for row in rows.values()], 1)
            return flat @ flat.T

        return draw

    for kind, draws in (("nngp", outer), ("ntk", tangent)):
        expected, errors = np.asarray(getattr(found, kind)), []
        for width, count in ((16, 40), (128, 40)):
            samples = drawn(draws(width), jax.random.split(jax.random.key(1), count))
            errors.append(np.linalg.norm(samples - expected, axis=(1, 2)).mean() / np.linalg.norm(expected))
            gap = np.maximum(np.abs(samples.mean(0) - expected) - 0.01 * np.abs(expected).max(), 0)
        assert errors[1] < errors[0] / 1.8  # of one draw, as 1 / sqrt(width)
        assert np.sqrt(np.mean((gap / (samples.std(0) / 40**0.5)) ** 2)) < 2.2
