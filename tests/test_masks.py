"""Sequences of different lengths: a padded one has the kernels of the short one, and finite networks converge to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import drawn

from ntkc import ArchError, Compilation, compile_source
from ntkc.ir.network import InputNode
from ntkc.source import Source

RNN = "layer W = dense(W_std=1.2, b_std=0.2)\nlayer U = dense()\n"
NETWORKS = {
    "conv": "output x |> conv(3, b_std=0.3) |> relu |> conv(2) |> erf |> global_avg_pool |> dense",
    "strided": "output x |> conv(3, stride=2, b_std=0.3) |> relu |> conv(2) |> relu |> global_avg_pool |> dense",
    "valid": "output x |> conv(2, padding=valid, b_std=0.3) |> relu |> global_sum_pool |> dense",
    "pooled": "output x |> conv(3, b_std=0.3) |> relu |> avg_pool(2) |> conv(3, b_std=0.1) |> relu |> last |> dense",
    "split pool": "output x |> conv(3, b_std=0.3) |> relu |> avg_pool(3, stride=1) |> conv(3) |> relu |> last |> dense",
    "pool of edges": "output x |> conv(3) |> erf |> avg_pool(3, stride=1, padding=same, normalize_edges=true) |> last |> dense",
    "pool of zeros": "output x |> conv(3) |> erf |> avg_pool(3, stride=1, padding=same) |> conv(3) |> global_avg_pool |> dense",
    "sliced": "output dense(x[1:], b_std=0.2)[:6:2] |> relu |> conv(2, padding=valid) |> global_sum_pool |> dense",
    "transposed": "output x |> conv(3) |> relu |> conv_transpose(3, stride=2, b_std=0.1) |> relu |> global_avg_pool |> dense",
    "minus one": "output relu(dense(x, b_std=0.2))[-1] |> dense",
    "fixed positions": "output dense(x) |> positional(kind=fixed) |> dense |> relu |> global_avg_pool |> dense",
    "attention": "output dense(x, b_std=0.2) |> attention(tied_query_key=true) |> relu |> global_avg_pool |> dense",
    "rnn": RNN + "hs = scan u in x, h = 0 { h = erf(W(h) + U(u)) }\noutput hs |> last |> dense",
    "leaky": RNN + "hs = scan u in x, h = 0 { h = 0.3 * h + 0.7 * relu(W(h) + U(u)) }\noutput hs |> last |> dense",
    "backwards": RNN + "hs = scan u in reverse(x), h = 0 { h = erf(W(h) + U(u)) }\noutput hs |> global_avg_pool |> dense",
    "first state": RNN + "hs = scan u in x, h = x[0] |> dense { h = erf(W(h) + U(u)) }\noutput hs |> last |> dense",
    "norm": "output x |> conv(3, b_std=0.3) |> relu |> layer_norm(axis=(channel, time)) |> conv(2) |> global_avg_pool |> dense",
}
GAPS = {"gaps": "output x |> conv(3, b_std=0.3) |> erf |> avg_pool(3, stride=2, padding=same) |> global_avg_pool |> dense"}
FLAT = {"flat norm": "output x |> conv(3, b_std=0.3) |> relu |> flatten |> rms_norm"}
FALSE_ALARM = 12.0
"""Standard errors of 8 replicates: Student's t with 7 degrees of freedom, below 1e-5 for each entry."""
X = np.random.default_rng(0).normal(size=(3, 8, 2))
MASK = np.arange(8) < np.array([[8], [6], [4]])


def _some_slow(names: list[str], one_of: int = 6) -> list[Any]:
    """One of so many by default."""
    return [pytest.param(name, marks=pytest.mark.slow if k % one_of and name != "gaps" else ()) for k, name in enumerate(names)]


def _compile(length: int, body: str, *, sampled: bool = False) -> Compilation:
    source = Source("net.arch", f"arch net {{\ninput x: sequence({length}, 2)\n{body}\n}}\n")
    return compile_source(source, sampled=sampled)


@pytest.mark.parametrize("name", _some_slow([*NETWORKS, *FLAT], 2))
def test_padding_does_not_show(name: str) -> None:
    body = {**NETWORKS, **FLAT}[name]
    net = _compile(8, body)
    found, padded = net.kernel(X, mask=MASK), X + ~MASK[..., None] * 1e3
    np.testing.assert_array_equal(found.ntk, net.kernel(padded, mask=MASK).ntk)
    np.testing.assert_allclose(net.kernel(X, mask=MASK | True).ntk, net.ntk(X), rtol=1e-12)
    for i, length in ((1, 6), (2, 4)):
        short = _compile(length, body).kernel(X[i : i + 1, :length])
        np.testing.assert_allclose([found.nngp[i, i], found.ntk[i, i]], [short.nngp[0, 0], short.ntk[0, 0]], rtol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_does_not_show_in_finite_networks(name: str) -> None:
    with jax.enable_x64(True):
        _finite_agrees(_compile(8, NETWORKS[name]).with_masks(), lambda length: _compile(length, NETWORKS[name]))


def test_padding_does_not_show_in_finite_networks_that_are_sampled() -> None:
    text = (Path(__file__).parents[1] / "examples" / "lstm.arch").read_text().replace("(12, 4)", "(T, 2)")
    with jax.enable_x64(True):
        _finite_agrees(
            compile_source(Source("lstm.arch", text.replace("T", "8")), masked=True),
            lambda length: compile_source(Source("lstm.arch", text.replace("T", str(length)))),
        )


@pytest.mark.parametrize("sampled", [False, True])
def test_a_repeat_whose_turns_walk_backwards(sampled: bool) -> None:
    """It is written out, so the weights have names by turn in the short network, too."""
    turns = "h = dense(x)\nrepeat 3 { h = h |> reverse |> conv(2) |> relu |> dense }\noutput "
    with jax.enable_x64(True):
        body = turns + "h |> relu |> last |> dense"
        _finite_agrees(
            _compile(8, body, sampled=sampled).with_masks(), lambda length: _compile(length, body, sampled=sampled).with_masks()
        )
    with pytest.raises(ArchError, match="padding stands where it begins"):
        _compile(8, turns + "h[0] |> dense", sampled=sampled).with_masks()


def _finite_agrees(net: Compilation, short: Callable[[int], Compilation]) -> None:
    """The same weights give the same values."""
    module = net.module()
    weights = module.init(jax.random.key(0), 16)
    found = module.apply(weights, X + ~MASK[..., None] * 1e3, mask=MASK)
    np.testing.assert_allclose(module.apply(weights, X), module.apply(weights, X, mask=MASK | True), rtol=1e-12)
    for i, length in ((1, 6), (2, 4)):
        alone = short(length).module().apply(weights, X[i : i + 1, :length])
        np.testing.assert_allclose(found[i], alone[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scaling", ["linear, tied_query_key=true", "sqrt"])
def test_positions_of_attention_are_counted_from_the_first_present_one(scaling: str) -> None:
    """Wherever the padding stands."""
    body = f"attention(scaling={scaling}, position_std=2) |> last |> dense"
    net = _compile(8, f"output dense(x) |> {body}", sampled=scaling == "sqrt").with_masks()
    before = [np.stack([np.roll(row, 8 - n, 0) for row, n in zip(v, (8, 6, 4), strict=True)]) for v in (X, MASK)]
    with jax.enable_x64(True):
        weights = net.module().init(jax.random.key(0), 16)
        sides = [net.module().apply(weights, x, mask=mask) for x, mask in ((X, MASK), before)]
    np.testing.assert_allclose(*sides, rtol=1e-12)


def test_sampled_logits_count_positions_from_the_first_present_one() -> None:
    body = "output dense(x) |> attention(scaling=sqrt, position_std=3) |> global_avg_pool |> dense"
    net, x = _compile(8, body, sampled=True), X[[0, 0]]
    shifted = np.stack([np.roll(x[0], 2, 0), x[1]])
    after, before = (
        net.sampled(v, mask=np.stack([mask, mask | True]), samples=65536, replicates=32)
        for v, mask in ((x, np.arange(8) < 6), (shifted, np.arange(8) >= 2))
    )
    assert np.all(np.abs(after.nngp - before.nngp) <= 6 * np.hypot(after.nngp_error, before.nngp_error))


@pytest.mark.parametrize("name", _some_slow([*NETWORKS, *GAPS]))
def test_finite_networks_converge(name: str) -> None:
    mask = MASK if name != "gaps" else np.random.default_rng(1).integers(2, size=(3, 8)).astype(bool)
    net = _compile(8, {**NETWORKS, **GAPS}[name])
    found, module, x = net.kernel(X.astype("float32"), mask=mask), net.with_masks().module(), jnp.asarray(X, "float32")
    xs = module._inputs("x", x, {"mask": mask})

    def draw(key: jax.Array) -> jax.Array:
        y = module._forward(module._Weights({}, key, 256), xs, module.PARAMS, 128)
        return y @ y.T / 128

    samples = drawn(draw, jax.random.split(jax.random.key(0), 48))
    gap = np.maximum(np.abs(samples.mean(0) - found.nngp) - 0.01 * np.abs(found.nngp).max(), 0)
    assert np.sqrt(np.mean((gap / (samples.std(0) / np.sqrt(48))) ** 2)) < 2.2


@pytest.mark.parametrize("name", _some_slow([*NETWORKS, *GAPS]))
def test_the_sampled_limit_agrees(name: str) -> None:
    net = _compile(8, {**NETWORKS, **GAPS}[name])
    mask = np.random.default_rng(1).integers(2, size=(3, 8)).astype(bool) if name == "gaps" else MASK
    exact, found = net.kernel(X, mask=mask), net.sampled(X + ~mask[..., None] * 1e3, samples=16384, mask=mask)
    for kind in ("nngp", "ntk"):
        error, gap = getattr(found, f"{kind}_error"), getattr(found, kind) - getattr(exact, kind)
        assert bool((jnp.abs(gap) <= FALSE_ALARM * error).all())
        assert float(error.max() / jnp.abs(getattr(exact, kind)).max()) < 0.06, "too uncertain to tell"


def test_an_lstm_does_not_see_padding() -> None:
    text = (Path(__file__).parents[1] / "examples" / "lstm.arch").read_text()
    net = compile_source(Source("lstm.arch", text))
    (node,) = (n for n in net.network.nodes if isinstance(n, InputNode))
    steps, channels = (int(n or 0) for n in (*node.type.positions, node.type.channels))
    x = np.random.default_rng(0).normal(size=(2, steps, channels))
    short = compile_source(Source("lstm.arch", text.replace(f"sequence({steps},", f"sequence({steps - 2},")))
    padded = net.kernel(x, samples=8192, mask=np.arange(steps) < [[steps - 2]] * 2)
    alone = short.kernel(x[:, :-2], samples=8192, seed=1)
    for kind in ("nngp", "ntk"):
        error = np.hypot(getattr(padded, f"{kind}_error"), getattr(alone, f"{kind}_error"))
        assert np.abs((getattr(padded, kind) - getattr(alone, kind)) / error).max() < FALSE_ALARM


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (MASK.astype(float), "expected a boolean array of shape"),
        (MASK[:, :5], r"expected a boolean array of shape \(3, 8\)"),
        (MASK & False, "a sample has no position that is present"),
        (np.arange(8) % 2 < MASK, "needs its absent positions before or after all others"),
    ],
)
def test_bad_masks(mask: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _compile(8, NETWORKS["rnn"]).kernel(X, mask=mask)


def test_a_module_without_masks_says_how_to_get_them() -> None:
    with pytest.raises(TypeError, match="ntkc build --mask"):
        _compile(8, NETWORKS["conv"]).module().kernel(X, mask=MASK)


@pytest.mark.parametrize(
    ("body", "length", "message"),
    [
        ("output x |> conv(3, stride=2) |> relu |> global_avg_pool |> dense", 5, "lengths of 8 less a multiple of 2"),
        ("output relu(dense(x))[6] |> dense", 6, "needs at least 7 positions that are present in each sample"),
        ("output x |> conv(3, padding=valid) |> relu |> global_avg_pool |> dense", 2, "at least 3 positions that are present"),
    ],
)
def test_lengths_that_a_network_cannot_take(body: str, length: int, message: str) -> None:
    net = _compile(8, body)
    for evaluate in (net.kernel, net.sampled):
        with pytest.raises(ValueError, match=message):
            evaluate(X, mask=np.arange(8) < np.array([[8], [8], [length]]))


def test_traced_masks_that_a_network_cannot_take_give_nan() -> None:
    net, x = _compile(8, "output x |> conv(3, stride=2) |> relu |> global_avg_pool |> dense").with_masks(), X.astype("float32")
    mask = np.arange(8) < np.array([[8], [6], [5]])
    weights = net.module().init(jax.random.key(0), 4)
    few, told = net.kernel(x[:2], mask=mask[:2]), jax.jit(lambda m: net.kernel(x, mask=m))(mask)
    for kind in ("nngp", "ntk"):
        np.testing.assert_allclose(getattr(told, kind)[:2, :2], getattr(few, kind), rtol=1e-6)
        assert np.isnan(getattr(told, kind)[2]).all()
        assert np.isnan(getattr(told, kind)[:, 2]).all()
    against = jax.jit(lambda m: net.ntk(x[:2], x, mask=(mask[:2], m)))(mask)
    np.testing.assert_array_equal(np.isnan(against), [[False, False, True]] * 2)
    for one in (lambda m: net.diagonal(x, mask=m).ntk, lambda m: net.module().apply(weights, x, mask=m)[:, 0]):
        np.testing.assert_array_equal(np.isnan(jax.jit(one)(mask)), [False, False, True])
    with pytest.raises(ValueError, match="less a multiple of 2"):  # a mask that is known is checked, though the data are not
        jax.jit(lambda v: net.ntk(v, mask=mask))(x)


def test_padding_before_what_counts_from_the_first() -> None:
    net = _compile(8, NETWORKS["sliced"])
    for evaluate in (net.kernel, net.sampled):
        with pytest.raises(ValueError, match="absent ones must stand after all others"):
            evaluate(X, mask=MASK[:, ::-1])


def test_the_sampled_limit_refuses_what_has_no_meaning() -> None:
    with pytest.raises(ArchError, match="no-mask"):
        _compile(8, "output x |> conv(3, padding=circular) |> relu |> global_avg_pool |> dense").sampled(X, mask=MASK)


def test_what_has_no_meaning_with_a_mask_is_refused() -> None:
    with pytest.raises(ArchError, match="a mask has no meaning after `resize`"):
        _compile(8, "output x |> conv(3) |> resize(4) |> relu |> global_avg_pool |> dense").kernel(X, mask=MASK)
