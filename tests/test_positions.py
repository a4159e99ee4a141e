"""Finite random networks with positions against the kernels: exactly where one layer has weights, else over many draws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkc import Compilation, compile_source
from ntkc.source import Source

INPUTS = {"image": (4, 3, 2), "sequence": (5, 3)}
WIDTH = 512


def _compile(of: str, body: str, inputs: str = "x") -> Compilation:
    typed = f"{of}({', '.join(map(str, INPUTS[of]))})"
    given = "\n".join(f"    input {name}: {typed}" for name in inputs)
    return compile_source(Source("net.arch", f"arch net {{\n{given}\n{body}\n}}\n"))


def _samples(of: str, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=(3, *INPUTS[of])), "float32")


# --- exactly: with one layer of weights and nothing nonlinear, the tangents of any finite network are the kernel ---------------

CONV = "W_std=1.3, b_std=0.4"
SAME, VALID, CIRCULAR = "padding=same", "padding=valid", "padding=circular"
EXACT = {
    "conv": [f"conv(3, {CONV})", f"conv(2, {CONV})", f"conv(1, {CONV})", f"conv(7, {CONV})"],
    "conv_valid": [f"conv(2, {VALID}, {CONV})", f"conv(3, {VALID}, {CONV})", f"conv(2, {VALID}, stride=2, {CONV})"],
    "conv_circular": [f"conv(3, {CIRCULAR}, {CONV})", f"conv(2, {CIRCULAR}, stride=2, {CONV})", f"conv(3, {CIRCULAR}, stride=2)"],
    "conv_circular_wide": [f"conv(7, {CIRCULAR}, {CONV})", f"conv(3, {CIRCULAR}, dilation=3, {CONV})"],
    "conv_circular_sparse": [f"conv(1, stride=2, {CIRCULAR}, {CONV})", f"conv(2, stride=3, {CIRCULAR})"],
    "conv_stride": [f"conv(3, stride=2, {CONV})", f"conv(2, stride=2, {CONV})", f"conv(1, stride=2)", f"conv(2, stride=3)"],
    "conv_dilation": [
        f"conv(3, dilation=2, {CONV})",
        f"conv(2, dilation=2, {VALID})",
        f"conv(2, dilation=2, {CIRCULAR}, stride=2)",
    ],
    "conv_transpose": [f"conv_transpose({f}, stride={s}, {CONV})" for f, s in ((3, 1), (3, 2), (2, 2), (1, 2), (2, 3), (4, 3))],
    "conv_transpose_valid": [f"conv_transpose({f}, stride={s}, {VALID}, {CONV})" for f, s in ((3, 1), (2, 1), (3, 2), (2, 2))],
    "conv_transpose_valid_sparse": [f"conv_transpose({f}, stride={s}, {VALID})" for f, s in ((1, 2), (2, 3))],
    "conv_transpose_circular": [
        f"conv_transpose({f}, stride={s}, {CIRCULAR})" for f, s in ((3, 1), (3, 2), (2, 2), (2, 3), (4, 3))
    ],
    "conv_transpose_circular_wide": [f"conv_transpose(7, {CIRCULAR})", f"conv_transpose(3, dilation=2, stride=2, {CIRCULAR})"],
    "conv_transpose_dilation": [f"conv_transpose(2, dilation=2, stride={s}, {p})" for s in (1, 2) for p in (SAME, VALID)],
    "avg_pool": ["avg_pool(2)", "avg_pool(3, stride=2)", "avg_pool(2, stride=1)", "avg_pool(2, stride=1, dilation=2)"],
    "avg_pool_same": [f"avg_pool(3, stride={s}, {SAME}, normalize_edges={n})" for s in (1, 2) for n in ("false", "true")],
    "pool_circular": [f"avg_pool(3, stride=1, {CIRCULAR})", f"sum_pool(2, {CIRCULAR})", f"avg_pool(3, stride=2, {CIRCULAR})"],
    "pool_circular_sparse": [f"avg_pool(1, stride=2, {CIRCULAR})", f"sum_pool(2, stride=3, {CIRCULAR})"],
    "sum_pool": ["sum_pool(2)", f"sum_pool(3, stride=1, {SAME})", f"sum_pool(2, stride=1, {VALID})", f"sum_pool(2, {SAME})"],
    "global": ["global_avg_pool", "global_sum_pool"],
    "slices": ["reverse", "last"],
}
BY_INPUT = {
    "image": {
        "tuples": [
            f"conv((3, 2), {CONV})",
            f"conv((2, 3), stride=(1, 2), {VALID}, {CONV})",
            f"conv((2, 1), stride=(2, 1), dilation=(2, 1), {CIRCULAR}, {CONV})",
            f"conv((1, 3), stride=(3, 2), {CONV})",
            f"conv_transpose((3, 2), stride=(2, 1), {CONV})",
            "avg_pool((2, 3), stride=1)",
            f"avg_pool((3, 1), stride=(2, 2), {SAME}, normalize_edges=true)",
            "sum_pool((1, 2))",
        ],
        "indices": ["INDEX[1:, ::2]", "INDEX[0]", "INDEX[1, -1]", "INDEX[::-1, 1:3]", "INDEX[:, 1]"],
        "joined": ["JOIN axis=height", "JOIN axis=width"],
    },
    "sequence": {"indices": ["INDEX[1:]", "INDEX[::2]", "INDEX[0]", "INDEX[-2::-1]"], "joined": ["JOIN axis=time"]},
}
GROUPS = [(of, name) for of in INPUTS for name in (*EXACT, *BY_INPUT[of])]


def _applied(layer: str, value: str) -> str:
    if layer.startswith("INDEX"):
        return value + layer.removeprefix("INDEX")
    if layer.startswith("JOIN"):
        return f"concat({value}, 0.5 * {value}, {value}, {layer.removeprefix('JOIN ')})"
    return f"({value} |> {layer})"


def _linear(layer: str) -> list[str]:
    """Programs with this layer and one layer of weights; positions are averaged, or matched and averaged."""
    if layer.startswith("conv"):
        wholes = ["x |> " + layer]
    elif layer.startswith(("global", "last")) or layer in ("INDEX[1, -1]",):
        wholes = [_applied(layer, f"(x |> conv(2, {CONV}))")]
    else:
        wholes = [_applied(layer, f"(x |> conv(2, {CONV}))"), _applied(layer, "x") + " |> conv(2)"]
    vector = layer.startswith(("global", "last")) or layer == "INDEX[1, -1]"
    return [f"output {whole}{end}" for whole in wholes for end in (("",) if vector else (" |> global_avg_pool", " |> flatten"))]


@pytest.mark.parametrize(("of", "group"), GROUPS, ids=["-".join(pair) for pair in GROUPS])
@pytest.mark.filterwarnings("ignore")
def test_one_layer_is_exact(of: str, group: str) -> None:
    x = _samples(of)
    for layer in {**EXACT, **BY_INPUT[of]}[group]:
        if of == "sequence" and "(3" in layer and "image" in layer:
            continue
        for body in _linear(layer):
            compilation = _compile(of, body)
            module = compilation.module()
            arrays = module.init(jax.random.key(0), 1)
            rows = jax.jacrev(lambda w, m=module: m._forward(m._Weights(w, None, 1), [x], m.PARAMS))(arrays)
            size = next(iter(rows.values())).shape[1]
            flat = jnp.concatenate([v.reshape(len(x), size, -1) for v in rows.values()], 2)
            expected = np.einsum("ipk,jpk->ij", flat, flat) / size
            found = compilation.kernel(x)
            for kind in ("nngp", "ntk"):
                np.testing.assert_allclose(
                    getattr(found, kind), expected, rtol=2e-5, atol=2e-5 * abs(expected).max(), err_msg=body
                )


# --- over draws ----------------------------------------------------------------------------------------------------------------

FIRST = "h = x |> conv(3, W_std=1.3, b_std=0.3)\n"
IMAGES = {
    "deep_gap": FIRST + "output h |> relu |> conv(2, W_std=1.4, b_std=0.2) |> relu |> global_avg_pool |> dense(b_std=0.3)",
    "deep_flat": FIRST + "output h |> relu |> conv((3, 2), stride=(2, 1)) |> relu |> flatten |> dense",
    "valid": "output x |> conv(2, padding=valid) |> relu |> conv((2, 1), padding=valid) |> erf |> global_avg_pool |> dense",
    "circular": FIRST + "output h |> relu |> conv(2, padding=circular, dilation=2) |> relu |> global_avg_pool |> dense",
    "transposed": FIRST + "output h |> relu |> conv_transpose(2, stride=2, padding=valid) |> relu |> global_avg_pool |> dense",
    "transposed_same": FIRST + "output h |> relu |> conv_transpose(3, stride=2, b_std=0.3) |> relu |> flatten |> dense",
    "pool_first": "output x |> avg_pool(2, stride=1) |> conv(2) |> relu |> flatten |> dense",
    "pool_before_relu": FIRST + "output h |> avg_pool(2, stride=1) |> relu |> global_avg_pool |> dense",
    "pool_after_relu": FIRST + "output h |> relu |> avg_pool(3, stride=1, padding=same) |> conv(2) |> relu |> flatten |> dense",
    "edges": FIRST + "output h |> avg_pool(3, stride=2, padding=same, normalize_edges=true) |> relu |> flatten |> dense",
    "sum_pool": FIRST + "output h |> relu |> sum_pool(2, padding=circular) |> conv(2) |> erf |> global_avg_pool |> dense",
    "global_sum": FIRST + "output h |> relu |> global_sum_pool |> dense |> relu |> dense",
    "gap_before_relu": FIRST + "output h |> global_avg_pool |> relu |> dense",
    "flat_before_relu": FIRST + "output h |> flatten |> relu |> dense |> relu |> dense",
    "slice": FIRST + "h = relu(h)\noutput h[1:, ::2] |> conv(2) |> relu |> global_avg_pool |> dense",
    "slice_of_input": "h = x[1:, ::2]\noutput h |> conv(2) |> relu |> global_avg_pool |> dense",
    "row": FIRST + "h = relu(h)\noutput h[0] |> conv(2) |> relu |> global_avg_pool |> dense",
    "last": FIRST + "output h |> relu |> conv(2) |> relu |> last |> dense",
    "reverse": FIRST + "h = relu(h)\noutput relu(conv(h, 2) + reverse(conv(h, 2))) |> global_avg_pool |> dense",
    "own_reverse": FIRST + "output relu(h + reverse(h)) |> flatten |> dense",
    "channels": FIRST + "output concat(relu(h), h |> relu |> conv(2)) |> conv(1) |> erf |> global_avg_pool |> dense",
    "channels_then_erf": FIRST + "output concat(h, conv(x, 2)) |> erf |> flatten |> dense",
    "rows": FIRST + "output concat(relu(h), erf(h), axis=height) |> conv(3) |> relu |> global_avg_pool |> dense",
    "columns": FIRST + "output concat(h, conv(x, 2), axis=width) |> relu |> flatten |> dense",
    "layer_norm": FIRST + "output h |> relu |> layer_norm |> conv(2) |> relu |> global_avg_pool |> dense",
    "rms_norm": FIRST + "output h |> relu |> rms_norm |> conv(2) |> relu |> flatten |> dense",
    "norm_everywhere": FIRST
    + "output h |> relu |> layer_norm(axis=(channel, height, width)) |> conv(2) |> relu |> global_avg_pool |> dense",
    "rms_everywhere": FIRST + "output h |> rms_norm(axis=(channel, height, width)) |> relu |> flatten |> dense",
    "residual": FIRST + "h = h + 0.7 * conv(relu(h), 3, b_std=0.2)\noutput h |> relu |> global_avg_pool |> dense",
    "repeat": "h = x\nrepeat 2 { h = relu(conv(h, 2, W_std=1.4, b_std=0.2)) }\noutput h |> flatten |> dense",
    "repeat_residual": FIRST + "repeat 2 { h = h + 0.5 * conv(relu(h), 2) }\noutput h |> relu |> global_avg_pool |> dense",
    "tied": "layer W = conv(3, W_std=1.3, b_std=0.2)\nh = x |> conv(2)\na = W(relu(h))\n"
    "output (relu(a) + erf(W(erf(h)))) |> global_avg_pool |> dense",
    "tied_input": "layer W = conv(2, b_std=0.3)\noutput concat(relu(W(x)), erf(W(reverse(x)))) |> global_avg_pool |> dense",
    "standard": "option parameterization = standard\noutput x |> conv(2, width=512, W_std=1.3, b_std=0.2) |> relu |> "
    "conv((2, 1), width=512) |> relu |> flatten |> dense(width=256, b_std=0.1)",
}
SEQUENCES = {
    "conv": FIRST + "output h |> relu |> conv(2, stride=2, b_std=0.3) |> relu |> flatten |> dense",
    "slice": FIRST + "h = relu(h)\noutput h[::-2] |> conv(2) |> relu |> global_avg_pool |> dense",
    "softmax": FIRST + "output h |> relu |> attention(tied_query_key=true, value_std=1.3, b_std=0.2) |> relu |> flatten |> dense",
    "causal": FIRST
    + "output h |> attention(tied_query_key=true, scaling=linear, causal=true, out_std=1.2) |> relu |> global_avg_pool |> dense",
    "identity": FIRST + "output h |> attention(tied_query_key=true, mechanism=identity) |> erf |> global_avg_pool |> dense",
    "relu": FIRST
    + "output h |> relu |> attention(tied_query_key=true, mechanism=relu, query_std=0.8) |> erf |> flatten |> dense",
    "causal_abs": FIRST
    + "output h |> attention(tied_query_key=true, mechanism=abs, causal=true) |> erf |> global_avg_pool |> dense",
    "uniform": FIRST + "output h |> relu |> attention |> relu |> last |> dense",
    "transformer": FIRST + "h = h + (h |> layer_norm |> attention(tied_query_key=true))\n"
    "h = h + (h |> layer_norm |> dense |> relu |> dense)\noutput h |> layer_norm |> global_avg_pool |> dense",
}
SIAMESE = {
    "difference": "layer W = conv(3, b_std=0.2)\noutput relu(W(x) - W(y)) |> global_avg_pool |> dense",
    "features": "layer W = conv(2)\nlayer U = conv(2, b_std=0.2)\n"
    "output concat(U(relu(W(x))), U(relu(W(y)))) |> erf |> global_avg_pool |> dense",
    "late": "layer W = conv(3, b_std=0.2)\noutput (relu(W(x)) * relu(W(y))) |> flatten |> dense",
}
SIMULATED = (
    [("image", "x", n) for n in IMAGES] + [("sequence", "x", n) for n in SEQUENCES] + [("image", "xy", n) for n in SIAMESE]
)
BODIES = {("image", "x"): IMAGES, ("sequence", "x"): SEQUENCES, ("image", "xy"): SIAMESE}
OUTER_DRAWS, TANGENT_DRAWS, OUTPUTS = 48, 16, 256


def _draws(compilation: Compilation, xs: list[jax.Array]) -> tuple[np.ndarray, np.ndarray]:
    """One estimate of the NNGP and one of the NTK per draw, from y y' over many outputs and from Jacobians of one output."""
    module = compilation.module()

    def outer(key: jax.Array) -> Any:
        y = module._forward(module._Weights({}, key, WIDTH), xs, module.PARAMS, OUTPUTS)
        return y @ y.T / y.shape[1]

    def tangent(key: jax.Array) -> Any:
        def first(arrays: Any) -> Any:
            return module._forward(module._Weights(arrays, None, WIDTH), xs, module.PARAMS)[:, 0]

        rows = jax.jacrev(first)(module.init(key, WIDTH))
        return sum((v := row.reshape(len(row), -1)) @ v.T for row in rows.values())

    found = jax.jit(lambda a, b: (jax.lax.map(outer, a), jax.lax.map(tangent, b)))
    keys = jax.random.split(jax.random.key(5), OUTER_DRAWS + TANGENT_DRAWS)
    y, t = found(keys[:OUTER_DRAWS], keys[OUTER_DRAWS:])
    return np.asarray(y), np.asarray(t)


def _z(samples: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square, in standard errors, of what (mean - expected) has beyond 1 % of the largest entry, the finite width's."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    beyond = np.maximum(np.abs(samples.mean(0) - expected) - 0.01 * np.abs(expected).max(), 0)
    return float(np.sqrt(np.mean((beyond / error) ** 2)))


@pytest.mark.parametrize(("of", "inputs", "name"), SIMULATED, ids=["-".join(case) for case in SIMULATED])
@pytest.mark.filterwarnings("ignore")
def test_networks_converge(of: str, inputs: str, name: str) -> None:
    compilation = _compile(of, BODIES[of, inputs][name], inputs)
    xs = [_samples(of, seed) for seed, _ in enumerate(inputs)]
    found = compilation.kernel(tuple(xs) if len(xs) > 1 else xs[0])
    outer, tangent = _draws(compilation, xs)
    z = {"nngp": _z(outer, np.asarray(found.nngp)), "ntk": _z(tangent, np.asarray(found.ntk))}
    assert max(z.values()) < 2, z


def test_the_statistic_can_fail() -> None:
    found = (compilation := _compile("image", IMAGES["deep_gap"])).kernel(x := _samples("image"))
    outer, tangent = _draws(compilation, [x])
    assert _z(outer, 1.05 * np.asarray(found.nngp)) > 3
    assert _z(tangent, 1.05 * np.asarray(found.ntk)) > 3
