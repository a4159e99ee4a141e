"""`batch_norm` over samples and positions: against the reference, sampled slices and finite networks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkc.backends.reference import evaluate
from ntkc.demo import examples
from ntkc.diagnostics import ArchError
from ntkc.pipeline import Compilation, compile_source, load
from ntkc.source import Source

IMAGE, SEQUENCE = "input x: image(3, 2, 2)\n", "input x: sequence(4, 3)\n"
POOLED = IMAGE + "output x |> conv(3) |> batch_norm |> relu |> conv(2) |> batch_norm |> relu |> global_avg_pool |> dense"
FLAT = "output x |> conv(2, b_std=0.2) |> batch_norm |> leaky_relu(0.1) |> flatten |> dense(b_std=0.1) |> relu |> dense"
RESIDUAL = (
    "h = conv(x, 3)\nh = h + conv(relu(batch_norm(h)), 3)\noutput h |> batch_norm |> avg_pool(2, stride=1) |> flatten |> dense"
)
STEPS = (
    "h = x[1:] |> conv_local(2) |> batch_norm |> relu |> dropout(keep=0.8)\n"
    "output h |> conv(2, stride=2) |> batch_norm |> abs |> flatten |> dense"
)
CASES = {
    "pooled": POOLED,
    "flat": IMAGE + FLAT,
    "residual": IMAGE + RESIDUAL,
    "sequence": SEQUENCE + STEPS,
    "last_first": IMAGE + "output x |> conv(3) |> relu |> flatten |> dense |> batch_norm |> relu |> dense",
}


def _compile(body: str) -> Compilation:
    return compile_source(Source("net.arch", f"arch net {{\n{body}\n}}\n"))


def _draw(compilation: Compilation, n: int, seed: int = 0) -> np.ndarray:
    (node,) = compilation.recursion.inputs
    return np.random.default_rng(seed).normal(size=(n, *map(int, (*node.type.positions, node.type.channels or 0))))  # type: ignore[arg-type]


def _kernels(compilation: Compilation, *xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with jax.enable_x64(True):
        found = compilation.kernel(*xs)
    return np.asarray(found.nngp), np.asarray(found.ntk)


@pytest.mark.parametrize("body", CASES.values(), ids=CASES)
def test_reference(body: str) -> None:
    compilation = _compile(body)
    x = _draw(compilation, 5)
    rows = [x]
    exact = evaluate(compilation.recursion, rows, rows, 15)
    for kernel, value in zip(_kernels(compilation, x), (exact.nngp[""], exact.ntk[""]), strict=True):
        assert kernel.shape == (5, 5)
        assert np.abs(kernel - value).max() < 1e-10 * np.abs(value).max()


def test_one_sample_has_statistics() -> None:
    compilation = _compile(SEQUENCE + "output x |> dense |> batch_norm |> relu |> flatten |> dense")
    nngp, ntk = _kernels(compilation, _draw(compilation, 1))
    assert abs(nngp[0, 0] - 0.5) < 1e-10, "half of the mean square over positions, which is 1"
    assert ntk[0, 0] > nngp[0, 0]


def _of_draws(
    compilation: Compilation, x: np.ndarray, width: int, count: int, readouts: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """y y' and J J' of random networks, the first a mean over readouts."""
    module, single = compilation.module(), jnp.asarray(x, "float32")

    def one(key: jax.Array) -> Any:
        y = module._forward(module._Weights({}, key, width), (single,), module.PARAMS, readouts)
        jacobian = jax.jacrev(lambda w: module.apply(w, single)[:, 0])(module.init(key, width))
        flat = jnp.concatenate([r.reshape(len(x), -1) for r in jacobian.values()], 1)
        return y @ y.T / readouts, flat @ flat.T

    found = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(width), count))
    return np.asarray(found[0], float), np.asarray(found[1], float)


def test_finite_networks() -> None:
    compilation = _compile(POOLED)
    x = _draw(compilation, 5)
    for kernel, found in zip(_kernels(compilation, x), _of_draws(compilation, x, 256, 48), strict=True):
        error = np.sqrt(np.mean(found.var(0, ddof=1)) / len(found))
        assert np.sqrt(np.mean((found.mean(0) - kernel) ** 2)) < 2.5 * error + 0.02 * np.abs(kernel).max()
        assert error < 0.1 * np.abs(kernel).max()


@pytest.mark.slow
def test_wider_networks_agree_better() -> None:
    """One network is off by 1.2 / sqrt(width) of the kernel, 0.07 at the last, and what a rule is wrong by stays."""
    compilation = load(examples() / "conv_batch_norm.arch")
    x = _draw(compilation, 4)
    kernels, errors = _kernels(compilation, x), []
    for width, count in ((16, 96), (64, 64), (256, 32)):
        draws = _of_draws(compilation, x, width, count, 4 * width)
        errors.append([np.sqrt(np.mean((v - k) ** 2) / np.mean(k**2)) for v, k in zip(draws, kernels, strict=True)])
    assert np.all(np.array(errors[1:]) < 0.65 * np.array(errors[:-1])), errors
    assert max(errors[-1]) < 0.1, errors


@pytest.mark.slow
@pytest.mark.parametrize("body", CASES.values(), ids=CASES)
def test_slices_agree(body: str) -> None:
    compilation = _compile(body)
    x, y = _draw(compilation, 5), _draw(compilation, 4, seed=1)
    for xs in ((x,), (x, y)):
        found = compilation.sampled(*xs, samples=16384, replicates=32)
        for kernel, sample, error in zip(
            _kernels(compilation, *xs), (found.nngp, found.ntk), (found.nngp_error, found.ntk_error), strict=True
        ):
            assert np.sqrt(np.mean(((np.asarray(sample) - kernel) / np.asarray(error)) ** 2)) < 2.2


def test_too_many_points() -> None:
    compilation = _compile("input x: image(16, 16, 1)\noutput x |> conv(3) |> batch_norm |> relu |> flatten |> dense")
    with pytest.raises(ValueError, match="tables of 4352 points, 4096 at most"):
        compilation.nngp(_draw(compilation, 17).astype("float32"))


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("output x |> dense |> flatten |> batch_norm |> relu |> dense", "each position apart"),
        ("output x |> dense |> positional(std=1) |> batch_norm |> relu |> flatten |> dense", "an embedding of positions"),
        ("output x |> dense |> batch_norm |> relu |> layer_norm(axis=(channel, time)) |> flatten |> dense", "of each sample"),
    ],
)
def test_refused(body: str, match: str) -> None:
    with pytest.raises(ArchError, match=match):
        _compile(SEQUENCE + body)
