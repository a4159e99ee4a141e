"""Finite random networks with positions converge to the kernels: NNGP over draws and outputs, NTK by Jacobians over draws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import drawn

from ntkc import Compilation, compile_source
from ntkc.ir.sinusoids import BASE, Sinusoids
from ntkc.layers.positional import _sinusoids
from ntkc.source import Source

IMAGE, SEQUENCE = "input x: image(4, 3, 2)\n", "input x: sequence(5, 3)\n"
GRAPH = "input x: graph(4, 3) with A\n"
TWO = "input x: image(4, 3, 2)\ninput y: image(4, 3, 2)\nlayer W = conv(3, b_std=0.2)\nlayer U = dense(W_std=1.3)\n"
NETWORKS = {
    "conv_same_pooled": IMAGE + "output x |> conv(3, W_std=1.3, b_std=0.3) |> relu |> global_avg_pool |> dense",
    "constant_variance": IMAGE + "output x |> conv(3) |> rms_norm(eps=0) |> conv(3) |> relu |> flatten |> dense",
    "constant_mean": IMAGE + "layer W = conv(3, W_std=1.3)\na = (0.5 + erf(x |> conv(3)) / 2) |> W\n"
    "output erf(a) + relu((0.5 + erf(x |> conv(2)) / 2) |> W) |> flatten |> dense",
    "conv_strided_flat": IMAGE + "output x |> conv((3, 2), stride=(2, 1), W_std=1.3) |> erf |> conv(2) |> relu |> flatten |> dense",
    "conv_valid_dilated": SEQUENCE + "output x |> conv(2, padding=valid, dilation=2, b_std=0.2) |> relu |> global_sum_pool |> dense",
    "conv_circular": IMAGE + "output x |> conv(3, padding=circular) |> relu |> conv(2, padding=circular, stride=2) |> flatten |> dense",
    "conv_transpose": SEQUENCE + "output x |> conv_transpose(3, stride=2, b_std=0.2) |> relu |> conv(3, stride=2) |> flatten |> dense",
    "conv_transpose_circular": SEQUENCE + "output x |> conv_transpose(3, stride=2, padding=circular) |> relu |> flatten |> dense",
    "conv_local": IMAGE + "output x |> conv_local(3, W_std=1.3, b_std=0.2) |> relu |> conv(2) |> global_avg_pool |> dense",
    "depthwise_then_dense": IMAGE + "output x |> conv(3) |> relu |> depthwise_conv(3, W_std=1.2) |> dense |> relu |> flatten |> dense",
    "overlapping_pool": IMAGE + "output x |> conv(3) |> avg_pool(2, stride=1, padding=same) |> relu |> global_avg_pool |> dense",
    "pool_normalized_edges": IMAGE + "h = x |> conv(3) |> avg_pool(3, stride=2, padding=same, normalize_edges=true)\n"
    "output h |> relu |> flatten |> dense",
    "sum_pool_circular": SEQUENCE + "output x |> conv(3) |> relu |> sum_pool(2, stride=1, padding=circular) |> flatten |> dense",
    "flatten_then_relu": IMAGE + "output x |> conv(3) |> flatten |> relu |> dense(b_std=0.2) |> relu |> dense",
    "slices": IMAGE + "h = conv(x, 3) |> relu\noutput h[1:, ::2] |> conv(2) |> relu |> last |> dense",
    "index_and_reverse": SEQUENCE + "h = conv(x, 3)\noutput dense(relu(h[0] + last(reverse(h)) + h[1]))",
    "concat_channels": IMAGE + "u = conv(x, 3, W_std=1.5)\nv = conv(x, 2)\noutput concat(u, relu(v)) |> dense |> relu |> flatten |> dense",
    "concat_then_erf": IMAGE + "output concat(conv(x, 3), conv(x, 2)) |> erf |> global_avg_pool |> dense",
    "concat_height": IMAGE + "output concat(conv(x, 3), conv(x, 2), axis=height) |> relu |> conv(3) |> global_avg_pool |> dense",
    "norm_at_each_position": IMAGE + "output x |> conv(3, b_std=0.3) |> relu |> layer_norm |> conv(2) |> relu |> flatten |> dense",
    "norm_over_positions": IMAGE + "output x |> conv(3) |> relu |> layer_norm(axis=(channel, height, width)) |> conv(2) |> flatten |> dense",
    "affine_norm": SEQUENCE + "output x |> conv(3) |> relu |> rms_norm(affine=true) |> dense |> relu |> flatten |> dense",
    "attention_causal": SEQUENCE + "h = dense(x) |> positional(std=0.5)\n"
    "output h + attention(h, tied_query_key=true, causal=true, b_std=0.2) |> relu |> global_avg_pool |> dense",
    "attention_identity": SEQUENCE + "output dense(x) |> erf |> attention(mechanism=identity, tied_query_key=true) |> flatten |> dense",
    "resize": IMAGE + "output x |> conv(3) |> relu |> resize((6, 2)) |> conv(2) |> relu |> resize(3, method=nearest) |> flatten |> dense",
    "tied_conv": IMAGE + "layer W = conv(3, W_std=1.2, b_std=0.2)\nlayer I = conv(1)\nh = I(x)\nrepeat 2 { h = W(relu(h)) }\n"
    "output relu(h) |> global_avg_pool |> dense",
    "standard": "option parameterization = standard\n" + SEQUENCE + "h = x |> conv(2, W_std=1.3, b_std=0.1, width=256) |> relu\n"
    "output h |> conv(3, width=256) |> relu |> global_avg_pool |> dense",
    "standard_depthwise": "option parameterization = standard\n" + SEQUENCE + "h = x |> conv(2, W_std=1.3, width=256) |> relu\n"
    "output h |> depthwise_conv(3, W_std=1.4) |> flatten |> dense(parameterization=ntk)",
    "transpose_beyond_reach": SEQUENCE + "output x |> conv_transpose(1, stride=2, padding=valid, b_std=0.5) |> relu |> flatten |> dense",
    "circular_beyond_reach": IMAGE + "output x |> conv(1, stride=2, padding=circular) |> relu |> flatten |> dense",
    "one_input_in_full": TWO + "output relu(W(x) + W(reverse(y))) |> flatten |> dense",
    "siamese": TWO + "u = x |> W |> relu |> global_avg_pool |> U\nv = y |> W |> relu |> global_avg_pool |> U\noutput relu(u - v) |> dense",
    "rnn": SEQUENCE + "layer W = dense(W_std=1.2, b_std=0.2)\nlayer U = dense()\n"
    "hs = scan u in x, h = 0 { h = erf(W(h) + U(u)) }\noutput hs |> global_avg_pool |> dense",
    "lagged_rnn": SEQUENCE + "layer W = dense(W_std=1.2)\nlayer U = dense()\n"
    "hs = scan u in x, h = 0, p = 0 {\nn = erf(W(h) + 0.7 * W(p) + U(u))\np = h\nh = n\n}\noutput hs |> global_avg_pool |> dense",
    "rnn_untied": SEQUENCE + "hs = scan u in x, h = 0 { h = relu(dense(h) + dense(u, b_std=0.2)) }\noutput hs |> flatten |> dense",
    "leaky_rnn": SEQUENCE + "layer W = dense(W_std=1.6)\nlayer U = dense(W_std=1.5)\n"
    "hs = scan u in x, h = 0 { h = 0.3 * h + 0.7 * relu(W(h) + U(u)) }\noutput hs |> last |> dense",
    "continuous_rnn": SEQUENCE + "layer W = dense(W_std=1.6)\nlayer U = dense(W_std=1.5)\n"
    "hs = scan u in x, h = 0 { h = 0.3 * h + 0.7 * (W(erf(h)) + U(u)) }\noutput relu(hs) |> global_avg_pool |> dense",
    "rnn_with_a_start": "input y: vector(2)\n" + SEQUENCE + "layer W = dense(W_std=1.2, b_std=0.2)\nlayer U = dense()\n"
    "hs = scan u in x, h = relu(dense(y, W_std=1.3)) { h = erf(W(h) + U(u)) }\noutput hs |> global_avg_pool |> dense",
    "leaky_with_a_start": "input y: vector(2)\n" + SEQUENCE + "layer W = dense(W_std=1.2)\nlayer U = dense()\n"
    "hs = scan u in x, h = W(dense(y)) { h = 0.4 * h + W(erf(h)) + U(u) }\noutput relu(hs) |> global_avg_pool |> dense",
    "affine_norm_in_scan": SEQUENCE + "layer W = dense(W_std=1.2)\nlayer U = dense(W_std=0.9, b_std=0.3)\nlayer R = dense(W_std=0.8)\n"
    "hs = scan u in x, h = 0 { h = erf(W(layer_norm(relu(U(u)), affine=true)) + R(h)) }\noutput hs |> global_avg_pool |> dense",
    "scan_of_a_function": SEQUENCE + "layer W = dense(W_std=1.2, b_std=0.2)\nlayer U = dense(W_std=0.9)\na = relu(W(dense(x)))\n"
    "hs = scan u in a, h = 0 { h = erf(W(h) + U(u)) }\noutput hs |> W |> erf |> global_avg_pool |> dense",
    "stacked_rnn": SEQUENCE + "layer W = dense()\nlayer U = dense()\nlayer V = dense()\nlayer R = dense()\n"
    "a = scan u in x, h = 0 { h = erf(W(h) + U(u)) }\nb = scan u in a, h = 0 { h = erf(V(h) + R(u)) }\noutput last(b) |> dense",
    "graph": GRAPH + "h = x |> aggregate(A) |> dense(W_std=1.3, b_std=0.2) |> relu\n"
    "output h |> aggregate(A) |> dense |> erf |> global_avg_pool |> dense",
    "graph_with_flatten": GRAPH + "output dense(x, W_std=1.3) |> relu |> aggregate(A) |> flatten |> dense",
    "sinusoids": SEQUENCE + "output dense(x) |> positional(kind=fixed, std=1.3) |> dense |> relu |> flatten |> dense",
    "sinusoids_twice": SEQUENCE + "h = relu(dense(x)) |> positional(kind=fixed) |> layer_norm |> dense |> positional(kind=fixed)\n"
    "output h |> dense |> relu |> global_avg_pool |> dense",
    "tokens": "input t: tokens(6, 4)\nh = t |> embedding(std=1.2) |> conv(3, b_std=0.1) |> relu\noutput h |> global_avg_pool |> dense",
    "tokens_and_numbers": "input t: tokens(5, 3)\n" + SEQUENCE + "layer E = embedding()\n"
    "output relu(E(t) + E(reverse(t)) + dense(x)) |> global_avg_pool |> dense",
    "standard_positional": "option parameterization = standard\n" + SEQUENCE + "h = x |> dense(width=256) |> positional(std=0.5)\n"
    "output h |> erf |> flatten |> dense",
    "standard_attention": "option parameterization = standard\n" + SEQUENCE + "h = dense(x, width=100) |> relu\n"
    "output h |> attention(tied_query_key=true, value_std=1.2, out_std=0.8, b_std=0.3, width=256) |> erf |> flatten\n"
    "|> dense(parameterization=ntk)",
    "standard_leaky_rnn": "option parameterization = standard\n" + SEQUENCE + "layer W = dense(W_std=1.3, width=256)\n"
    "layer U = dense(width=256)\n"
    "hs = scan u in x, h = 0 { h = 0.4 * h + 0.6 * relu(W(h) + U(u)) }\noutput hs |> last |> dense(parameterization=ntk)",
    "standard_embedding": "option parameterization = standard\ninput t: tokens(6, 4)\n"
    "output t |> embedding(std=0.7, width=256) |> erf |> flatten |> dense",
}  # fmt: skip
GRAPH_WEIGHTS = np.abs(np.random.default_rng(9).normal(size=(3, 4, 4)))
SLOW = {
    "affine_norm_in_scan",
    "attention_identity",
    "concat_height",
    "constant_variance",
    "continuous_rnn",
    "depthwise_then_dense",
}
SLOW |= {"flatten_then_relu", "lagged_rnn", "leaky_with_a_start", "norm_at_each_position", "one_input_in_full", "rnn_untied"}
SLOW |= {"rnn_with_a_start", "scan_of_a_function", "sinusoids_twice", "stacked_rnn", "standard_leaky_rnn", "tied_conv"}
"""What others are like that are drawn always."""
WIDTH, DRAWS, OUTPUTS = 256, 48, 128


def _compile(body: str) -> Compilation:
    return compile_source(Source("net.arch", "arch net {\n" + body + "\n}\n"))


def _draw(source: np.random.Generator, shape: tuple[int, ...], vocabulary: int | None) -> jax.Array:
    if vocabulary is not None:
        return jnp.asarray(source.integers(vocabulary, size=(3, *shape)))
    return jnp.asarray(source.normal(size=(3, *shape)), "float32")


def _z(samples: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of mean - expected in standard errors, after the 1 % of the largest entry that a width of 256 may be off."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    gap = np.maximum(np.abs(samples.mean(0) - expected) - 0.01 * np.abs(expected).max(), 0)
    return float(np.sqrt(np.mean((gap / error) ** 2)))


def test_sinusoids_of_a_finite_network_converge() -> None:
    errors: list[float] = []
    for width in (31, 256, 2048, 16384):
        e = np.asarray(_sinusoids(None, "", np.zeros((1, 9, width)), 1.0, BASE))
        found = Sinusoids(9, 9)
        gaps = (
            e @ e.T / width - np.array(found.moments(), float)[abs(np.arange(9)[:, None] - np.arange(9))],
            e.mean(1) - np.array(found.means(), float),
        )
        errors.append(max(float(abs(gap).max()) for gap in gaps))
    assert errors[0] < 0.1
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_sinusoids_in_the_sampled_limit() -> None:
    body = "output relu(dense(x)) |> positional(kind=fixed, std=1.3) |> layer_norm |> dense |> erf |> flatten |> dense"
    net, x = _compile(SEQUENCE + body), np.random.default_rng(0).normal(size=(2, 5, 3))
    exact, sampled = net.kernel(x), net.sampled(x, samples=4096)
    for kind in ("nngp", "ntk"):
        gap, error = getattr(sampled, kind) - getattr(exact, kind), getattr(sampled, f"{kind}_error")
        assert np.abs(gap / error).max() < 4


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in NETWORKS])
def test_networks_converge(name: str) -> None:
    compilation = _compile(NETWORKS[name])
    module = compilation.module()
    x = tuple(_draw(np.random.default_rng(i), shape, module.TOKENS.get(name)) for i, (name, shape) in enumerate(module.INPUTS))
    given = {name: GRAPH_WEIGHTS.astype("float32") for name in module.GIVENS}
    xs = module._inputs("x", x, given)
    found = compilation.kernel(x, **given)

    def outer(key: jax.Array) -> Any:
        y = module._forward(module._Weights({}, key, WIDTH), xs, module.PARAMS, OUTPUTS)
        return y @ y.T / OUTPUTS

    def tangent(key: jax.Array) -> Any:
        arrays = module.init(key, WIDTH)
        rows = jax.jacrev(lambda w: module.apply(w, x, **given)[:, 0])(arrays)
        flat = jnp.concatenate([row.reshape(3, -1) for row in rows.values()], 1)
        return flat @ flat.T

    keys = jax.random.split(jax.random.key(0), DRAWS)
    assert _z(drawn(outer, keys), np.asarray(found.nngp)) < 2.2
    assert _z(drawn(tangent, keys), np.asarray(found.ntk)) < 2.2
