"""Finite random networks converge to the kernels: NNGP over many draws, NTK by Jacobians."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import drawn

from ntkc import ArchError, Compilation, compile_source
from ntkc.source import Source

HEAD = "arch net {\n    input x: vector(3)\n"
NETWORKS = {
    "relu": "h = x\nrepeat 2 { h = relu(dense(h, W_std=1.3, b_std=0.3)) }\noutput dense(h)",
    "residual": "h = dense(x)\nrepeat 2 { h = h + 0.5 * dense(relu(h), W_std=1.4, b_std=0.2) }\noutput dense(relu(h))",
    "post_activation": "h = dense(x, W_std=1.3)\noutput dense(relu(h) + h)",
    "same_layer_twice": "layer W = dense(W_std=1.3)\noutput dense(W(x) * erf(W(x)))",
    "sum_with_itself": "h = dense(x)\noutput dense(erf(h + h))",
    "two_in_a_row": "output dense(relu(erf(dense(x, W_std=1.3))))",
    "gated": "output dense(dense(x) * erf(dense(x, W_std=1.3)))",
    "correlated_gate": "u = dense(x, W_std=1.2)\nv = u + dense(x)\noutput dense(u * (1 + erf(v)) / 2)",
    "tied_depths": "layer W = dense(W_std=1.2)\nh = dense(x)\na = W(relu(h))\nb = W(erf(h))\noutput dense(relu(a) + erf(b))",
    "tied_depths_by_hand": "layer W = dense(W_std=1.3, b_std=0.2)\nh = dense(x, W_std=1.1)\n"
    "a = W(relu(h))\nb = W(erf(h))\nc = W(abs(h))\noutput dense(relu(a) + erf(b) + c)",
    "tied_loop": "layer W = dense(W_std=1.2, b_std=0.2)\nh = dense(x)\nrepeat 3 { h = W(relu(h)) }\noutput dense(relu(h))",
    "tied_skip": "layer W = dense(W_std=0.8)\nh = dense(x)\nrepeat 3 { h = h + W(relu(h)) }\noutput dense(relu(h))",
    "lagged": "layer W = dense(W_std=0.9)\nh = dense(x)\np = h\n"
    "repeat 3 {\nn = W(erf(h)) + p\np = h\nh = n\n}\noutput dense(erf(h))",
    "norm_of_relu": "output dense(layer_norm(relu(dense(x, W_std=1.3))))",
    "nonzero_means": "h = relu(dense(x))\nrepeat 2 { h = h + relu(dense(h)) }\noutput dense(h)",
}


def _compile(body: str) -> Compilation:
    return compile_source(Source("net.arch", HEAD + body + "\n}\n"))


def _draws(compilation: Compilation, x: jax.Array, width: int, count: int, of: Callable[[Any, Any], Any]) -> np.ndarray:
    module = compilation.module()
    return drawn(lambda key: of(module, module.init(key, width)), jax.random.split(jax.random.key(width), count))


def _z(samples: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of (mean - expected) in standard errors."""
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    return float(np.sqrt(np.mean(((samples.mean(0) - expected) / (error + 0.02 * np.abs(expected).max())) ** 2)))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_converge(name: str) -> None:
    compilation = _compile(NETWORKS[name])
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)), "float32")
    found = compilation.kernel(x)

    def outer(module: Any, arrays: Any) -> Any:  # the readout's features: y y' averaged over outputs needs no more draws
        y = module._forward(module._Weights({**arrays}, jax.random.key(1), 512), [x], module.PARAMS, 1)[:, 0]
        return y[:, None] * y[None, :]

    def tangent(module: Any, arrays: Any) -> Any:
        rows = jax.jacrev(lambda w: module._forward(module._Weights(w), [x], module.PARAMS)[:, 0])(arrays)
        flat = jnp.concatenate([row.reshape(len(x), -1) for row in rows.values()], 1)
        return flat @ flat.T

    assert _z(_draws(compilation, x, 256, 400, outer), np.asarray(found.nngp)) < 2.5
    assert _z(_draws(compilation, x, 768, 12, tangent), np.asarray(found.ntk)) < 2.5


def test_long_loops_with_tied_weights_and_a_skip_are_refused() -> None:
    with pytest.raises(ArchError, match="correlated with the weights used inside it"):
        _compile("layer W = dense()\nh = dense(x)\nrepeat 100 { h = h + W(relu(h)) }\noutput dense(relu(h))")


def test_siamese_inputs_compile() -> None:
    text = "input y: vector(3)\nlayer W = dense()\nlayer U = dense()\noutput dense(relu(U(relu(W(x))) - U(relu(W(y)))))"
    found = _compile(text).kernel((np.eye(3), np.eye(3)[::-1]))
    assert np.isfinite(found.ntk).all()
