"""The sampled limit: equal to the derived kernels where these exist, to finite networks where they do not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from draws import drawn

from ntkc import ArchError, Compilation, compile_source, load
from ntkc.cli import main
from ntkc.demo import examples
from ntkc.sampling.gaussian import Joint, root
from ntkc.source import Source

VECTOR, SEQUENCE, IMAGE = ("input x: vector(3)\n", "input x: sequence(4, 3)\n", "input x: image(4, 3, 2)\n")
CLOSED = {
    "dense": VECTOR + "output x |> dense(W_std=1.3, b_std=0.3) |> relu |> dense(b_std=0.2) |> erf |> dense",
    "standard": "option parameterization = standard\n" + VECTOR + "output x |> dense(width=64, b_std=0.3) |> relu |> dense(width=64) |> erf |> dense",
    "tied_depth": VECTOR + "layer W = dense(W_std=1.3, b_std=0.2)\nh = dense(x)\na = W(relu(h))\nb = W(erf(h))\noutput dense(relu(a) + erf(b))",
    "residual": VECTOR + "h = relu(dense(x))\nrepeat 2 { h = h + relu(dense(h)) }\noutput dense(h)",
    "outputs_without_readout": VECTOR + "h = relu(dense(x))\noutput h + 0.5 * dense(x)",
    "positions_without_readout": SEQUENCE + "output x |> conv(3) |> relu",
    "rnn": SEQUENCE + "layer W = dense(W_std=1.2, b_std=0.2)\nlayer U = dense()\nhs = scan u in x, h = 0 { h = erf(W(h) + U(u)) }\noutput hs |> global_avg_pool |> dense",
    "rnn_untied": SEQUENCE + "hs = scan u in x, h = 0 { h = relu(dense(h) + dense(u, b_std=0.2)) }\noutput hs |> flatten |> dense",
    "leaky_rnn": SEQUENCE + "layer W = dense(W_std=1.6)\nlayer U = dense(W_std=1.5)\nhs = scan u in x, h = 0 { h = 0.3 * h + 0.7 * relu(W(h) + U(u)) }\noutput last(hs) |> dense",
    "conv_pool": IMAGE + "output x |> conv(3, W_std=1.3, b_std=0.3) |> avg_pool(2, stride=1) |> relu |> conv(2) |> erf |> flatten |> dense",
    "conv_local": SEQUENCE + "output x |> conv_local(3, b_std=0.2) |> relu |> conv_transpose(3, stride=2) |> erf |> global_avg_pool |> dense",
    "depthwise": SEQUENCE + "output x |> conv(3) |> relu |> depthwise_conv(3, W_std=1.2, b_std=0.3) |> dense |> relu |> flatten |> dense",
    "attention": SEQUENCE + "h = dense(x) |> positional(std=0.5)\noutput h + attention(h, tied_query_key=true, causal=true, b_std=0.2) |> relu |> global_avg_pool |> dense",
    "layer_norm": IMAGE + "output x |> conv(3, b_std=0.3) |> relu |> layer_norm(axis=(channel, height, width)) |> conv(2) |> relu |> layer_norm(affine=true) |> flatten |> dense",
    "concat": SEQUENCE + "u = conv(x, 3, W_std=1.5, width=30)\nv = conv(x, 2, width=10)\noutput concat(u, relu(v)) |> dense |> relu |> last |> dense",
    "dropout": VECTOR + "output x |> dense(b_std=0.3) |> relu |> dropout(keep=0.6) |> dense |> erf |> dense",
}  # fmt: skip
REPLICATES = 32
FALSE_ALARM = 6.0
"""In standard errors. |t| of 31 degrees of freedom exceeds it with probability 1e-6, so one of the 270 or so numbers compared here
does in one of 3700 choices of seeds."""


def _compile(body: str, sampled: bool = False) -> Compilation:
    option = "option expectation = sampled\n" if sampled else ""
    return compile_source(Source("net.arch", f"{GATE}arch net {{\n{option}{body}\n}}\n"))


def _data(compilation: Compilation, n: int, seed: int = 0) -> np.ndarray:
    shape = compilation.module().INPUTS[0][1]
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype("float32")


@pytest.mark.parametrize("name", CLOSED)
def test_agrees_with_what_is_derived(name: str) -> None:
    compilation = _compile(CLOSED[name])
    x = _data(compilation, 3)
    exact, found = compilation.kernel(x), compilation.sampled(x, samples=256 * REPLICATES, replicates=REPLICATES)
    for kind in ("nngp", "ntk"):
        error, gap = getattr(found, f"{kind}_error"), getattr(found, kind) - getattr(exact, kind)
        assert float(jnp.abs(gap / error).max()) < FALSE_ALARM
        assert float(error.max() / jnp.abs(getattr(exact, kind)).max()) < 0.06, "too uncertain to tell"


def test_tokens_graphs_and_first_states() -> None:
    rng = np.random.default_rng(0)
    x, y, a = (v.astype("float32") for v in (rng.normal(size=(3, 4, 3)), rng.normal(size=(3, 3)), rng.integers(0, 2, (3, 4, 4))))
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("input t: tokens(4, 6)\noutput t |> embedding(std=1.2) |> conv(2) |> relu |> flatten |> dense", rng.integers(0, 6, (3, 4)), {}),
        ("input x: graph(4, 3) with A\noutput x |> dense |> aggregate(A) |> relu |> dense |> aggregate(A) |> erf |> flatten |> dense", x, {"A": a}),
        ("input x: sequence(4, 3)\ninput y: vector(3)\nlayer W = dense(W_std=1.3)\nlayer U = dense()\n"
         "hs = scan u in x, h = dense(y) { h = erf(W(h) + U(u)) }\noutput hs |> global_avg_pool |> dense", (x, y), {}),
    ]  # fmt: skip
    for body, data, given in cases:
        compilation = _compile(body)
        exact = compilation.kernel(data, **given)
        found = compilation.sampled(data, samples=256 * REPLICATES, replicates=REPLICATES, **given)
        for kind in ("nngp", "ntk"):
            error, gap = getattr(found, f"{kind}_error"), getattr(found, kind) - getattr(exact, kind)
            assert float(jnp.abs(gap / error).max()) < FALSE_ALARM
    for late in (compilation.sampled, compilation.kernel):
        with pytest.raises(ValueError, match="absent ones must stand after all others"):
            late(data, mask=np.arange(4) > [[1]] * 3)


def test_two_batches_are_blocks_of_one() -> None:
    compilation = _compile(CLOSED["attention"])
    x = _data(compilation, 3)
    whole, block = compilation.sampled(x, samples=256), compilation.sampled(x[:1], x[1:], samples=256)
    assert np.allclose(block.ntk, whole.ntk[:1, 1:])
    assert np.allclose(block.nngp_error, whole.nngp_error[:1, 1:])


GATE = "activation gate(z) = (1 + erf(z / sqrt(2))) / 2\n"
GRU = """layer Wz = dense(b_std=0.1)
layer Uz = dense()
layer Wh = dense()
layer Uh = dense()
hs = scan u in x, h = 0 {
    z = gate(Wz(h) + Uz(u))
    h = z * h + (1 - z) * erf(Wh(h) + Uh(u))
}
output hs |> global_avg_pool |> dense"""
LSTM = "".join(f"layer W{g} = dense(b_std=0.2)\nlayer U{g} = dense()\n" for g in "fioc") + (
    "hs = scan u in x, h = 0, c = 0 {\nf = sigmoid(Wf(h) + Uf(u))\ni = sigmoid(Wi(h) + Ui(u))\no = sigmoid(Wo(h) + Uo(u))\n"
    "c = f * c + i * tanh(Wc(h) + Uc(u))\nh = o * tanh(c)\n}\noutput hs |> last |> dense"
)
OPEN = {
    "depthwise_relu": "output x |> conv(3, W_std=1.3, b_std=0.2) |> depthwise_conv(3, W_std=1.2, b_std=0.2) |> relu |> flatten |> dense",
    "gru": GRU,
    "lstm": LSTM,
    "max_pool": "output x |> conv(3, W_std=1.3, b_std=0.2) |> max_pool(2, stride=1, padding=same) |> conv(2) |> relu |> flatten |> dense",
    "batch_norm": "output x |> conv(3, W_std=1.3) |> batch_norm |> relu |> conv(2) |> batch_norm |> erf |> flatten |> dense",
    "sqrt_softmax": "output x |> dense(W_std=1.4) |> attention(scaling=sqrt, query_std=1.2, position_std=0.5, b_std=0.1) |> erf |> flatten |> dense",
    "relu_of_sum": "h = dense(x)\nu = relu(h) - h\noutput erf(u) * dense(x) + u |> tanh |> flatten |> dense",
    "affine_norm_relu": "output x |> dense(b_std=0.3) |> layer_norm(affine=true) |> relu |> flatten |> dense",
}  # fmt: skip


def _of_draws(compilation: Compilation, x: np.ndarray, width: int, draws: int, outputs: int = 128) -> tuple[Any, Any]:
    """(features' second moments, empirical tangent kernels) of random finite networks."""
    module = compilation.module()

    def outer(key: jax.Array) -> Any:
        y = module._forward(module._Weights({}, key, width), (x,), module.PARAMS, outputs)
        return y @ y.T / outputs

    def tangent(key: jax.Array) -> Any:
        arrays = module.init(key, width)
        rows = jax.jacrev(lambda w: module.apply(w, x)[:, 0])(arrays)
        flat = jnp.concatenate([row.reshape(len(x), -1) for row in rows.values()], 1)
        return flat @ flat.T

    keys = jax.random.split(jax.random.key(width), draws)
    return drawn(outer, keys), drawn(tangent, keys)


def _z(draws: np.ndarray, expected: Any, error: Any, allowed: float) -> float:
    """Root mean square of the gap in standard errors, after the share of the largest entry that a finite width may be off."""
    gap = np.maximum(np.abs(draws.mean(0) - expected) - allowed * np.abs(expected).max(), 0)
    return float(np.sqrt(np.mean(gap**2 / (draws.var(0, ddof=1) / len(draws) + np.asarray(error) ** 2))))


def _agree(name: str, width: int, draws: int, allowed: float) -> None:
    compilation = _compile(SEQUENCE + OPEN[name], sampled=True)
    x = _data(compilation, 3)
    found = compilation.kernel(x, samples=16384)
    nngp, ntk = _of_draws(compilation, x, width, draws)
    assert _z(nngp, found.nngp, found.nngp_error, allowed) < 2.2
    assert _z(ntk, found.ntk, found.ntk_error, allowed) < 2.2


@pytest.mark.parametrize("name", OPEN)
def test_finite_networks_agree(name: str) -> None:
    _agree(name, 256, 32, 0.03 if name == "sqrt_softmax" else 0.01)


def test_each_batch_is_normalized_by_itself() -> None:
    compilation = _compile(VECTOR + "output x |> dense(b_std=0.5) |> batch_norm |> relu |> dense", sampled=True)
    x1, x2, module = _data(compilation, 4), 3 + _data(compilation, 4, seed=1), compilation.module()

    def outer(key: jax.Array) -> Any:
        y1, y2 = (module._forward(module._Weights({}, key, 256), (x,), module.PARAMS, 128) for x in (x1, x2))
        return y1 @ y2.T / 128

    draws = drawn(outer, jax.random.split(jax.random.key(0), 32))
    found = compilation.kernel(x1, x2)
    assert _z(draws, found.nngp, found.nngp_error, 0.01) < 2.2
    whole = compilation.nngp(np.concatenate([x1, x2]))[:4, 4:]
    assert _z(draws, whole, found.nngp_error, 0.01) > 5, "a single batch would be normalized by other statistics"


@pytest.mark.slow
@pytest.mark.parametrize("name", OPEN)
def test_wider_networks_agree_better(name: str) -> None:
    _agree(name, 1024, 64, 0.01 if name == "sqrt_softmax" else 0.002)


def test_random_logits_without_softmax_have_a_formula() -> None:
    """Hron et al. 2020, section 3: with C = <x, x'> / d, K = C <C, C'> and Theta = 4 + 2 + 1 times that (MATH 2.9 B)."""
    body = SEQUENCE + "output x |> dense |> attention(mechanism=identity, scaling=sqrt, query_std=1.2, value_std=1.1) "
    compilation = _compile(body, sampled=True)
    x = _data(compilation, 2)
    c = np.einsum("apd,bqd->abpq", x, x) / 3
    expected = np.einsum("abpp,abrs->ab", c, c**2) / 4 * (1.2 * 1.1) ** 2
    found = compilation.kernel(x, samples=1024 * REPLICATES, replicates=REPLICATES)
    assert float(jnp.abs((found.nngp - expected) / found.nngp_error).max()) < FALSE_ALARM
    assert float(jnp.abs((found.ntk - 7 * expected) / found.ntk_error).max()) < FALSE_ALARM
    assert float((found.ntk_error / expected.max() / 7).max()) < 0.06


def test_same_seed_same_numbers_and_the_error_falls() -> None:
    compilation = _compile(SEQUENCE + GRU, sampled=True)
    x = _data(compilation, 2)
    one, again, other = (compilation.kernel(x, samples=1024, seed=s) for s in (0, 0, 1))
    assert (one.ntk == again.ntk).all()
    assert not (one.ntk == other.ntk).all()
    more = compilation.kernel(x, samples=32768)
    assert float(more.nngp_error.mean()) < 0.4 * float(one.nngp_error.mean())
    assert (more.samples, more.nngp.dtype) == (32768, x.dtype)
    assert np.allclose(compilation.diagonal(x, samples=1024).ntk, np.diagonal(one.ntk))


def test_the_stated_error_is_that_of_the_mean() -> None:
    compilation = _compile(CLOSED["dense"])
    x = _data(compilation, 1)
    runs = [compilation.sampled(x, samples=256, seed=s) for s in range(24)]
    spread = np.std([float(r.ntk[0, 0]) for r in runs], ddof=1)
    stated = np.sqrt(np.mean([float(r.ntk_error[0, 0]) ** 2 for r in runs]))
    assert 0.6 < stated / spread < 1.6


def test_hyperparameters() -> None:
    body = "param s = 1.0 in (0, 2]\n" + VECTOR + "output dense(dense(relu(erf(dense(x, W_std=s)))), W_std=s)"
    compilation = _compile(body, sampled=True)
    x = _data(compilation, 2)
    fixed = _compile(body.replace("s = 1.0", "s = 1.5"), sampled=True)
    assert np.allclose(compilation.kernel(x, samples=256, s=1.5).ntk, fixed.kernel(x, samples=256).ntk)
    assert compilation.ntk(x, samples=256).shape == (2, 2)
    with pytest.raises(ValueError, match=r"s = 3\.0 is outside its domain"):
        compilation.kernel(x, s=3.0)
    with pytest.raises(TypeError, match="no hyperparameter is named 't'; there are: s"):
        compilation.kernel(x, t=3.0)


def test_several_outputs() -> None:
    compilation = _compile(VECTOR + "h = relu(erf(dense(x)))\noutput a = dense(h), b = h", sampled=True)
    found = compilation.kernel(_data(compilation, 3), samples=4096)
    assert set(found.ntk) == set(found.ntk_error) == {"a", "b"}
    assert np.allclose(found.nngp["a"], found.nngp["b"])


@pytest.mark.parametrize(
    ("body", "n", "match"),
    [
        ("output dense(exp(dense(x)^2))", 2, "grows too fast"),
        ("output dense(exp(dense(x) * dense(x, W_std=6)))", 2, "one of 512 slices makes most of its second moment"),
        ("output dense(relu(batch_norm(dense(x))))", 3, "`batch_norm` sees 3 values of each channel"),
        ("output x |> dense |> dense", 6001, "`dense` draws 6001 samples x positions jointly"),
        ("output dense(sign(relu(dense(x)) - 1))", 2, "an NNGP but no NTK"),
    ],
)
def test_refused(body: str, n: int, match: str) -> None:
    compilation = _compile(VECTOR + body, sampled=True)
    with pytest.raises((ArchError, ValueError), match=match):
        compilation.kernel(_data(compilation, n))


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (np.ones((2, 4), "float32"), "expected an array of shape \\(n, 3\\), got \\(2, 4\\)"),
        (np.ones((2, 3), int), "expected floating point numbers"),
        (np.ones((0, 3), "float32"), "is empty"),
        (np.full((2, 3), np.nan), "NaN"),
        ((np.ones((2, 3)),) * 2, "expected 1 input arrays, got 2"),
    ],
)
def test_inputs_are_checked(x: Any, match: str) -> None:
    with pytest.raises((ValueError, TypeError), match=match):
        _compile(CLOSED["dense"]).sampled(x)


def test_options_are_checked() -> None:
    compilation, x = _compile(CLOSED["dense"]), np.ones((2, 3), "float32")
    with pytest.raises(ValueError, match="at least two slices"):
        compilation.sampled(x, samples=8)
    with pytest.raises(ValueError, match="get is 'nngp', 'ntk' or both"):
        compilation.sampled(x, get="ntks")
    with pytest.raises(ValueError, match="x1 and x2 differ"):
        _compile("input x: sequence(_, 3)\noutput x |> conv(3) |> global_avg_pool |> dense").sampled(
            np.ones((2, 4, 3)), np.ones((2, 5, 3))
        )
    assert compilation.sampled(x, get="nngp", samples=64).ntk is None


def test_blocks_are_conditioned_on_those_before() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(9, 5))  # nine variables, of which five are free: the later blocks are determined by the earlier
    covariance = a @ a.T
    joint = Joint(200_000, rng)
    blocks = [joint.extend(covariance[e - m : e, : e - m], covariance[e - m : e, e - m : e]) for e, m in ((2, 2), (6, 4), (9, 3))]
    drawn = np.concatenate(blocks, 1)
    assert joint.noise.shape[1] == 5
    assert np.abs(drawn.T @ drawn / len(drawn) - covariance).max() < 0.02 * covariance.max()
    free = np.linalg.lstsq(a[:5].T, a[5:].T, rcond=None)[0]
    assert np.allclose(drawn[:, :5] @ free, drawn[:, 5:], atol=1e-5)


def test_root_of_what_does_not_vary() -> None:
    factor, inverse = root(np.diag([0.0, 4.0, 0.0]))
    assert np.allclose(factor @ factor.T, np.diag([0.0, 4.0, 0.0]))
    assert np.allclose(inverse @ factor, [[1.0]])


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_examples(name: str, tmp_path: Path) -> None:
    path, file = str(examples() / f"{name}.arch"), str(tmp_path / "x.npy")
    np.save(file, np.random.default_rng(0).normal(size=(2, 12, 4)).astype("float32"))
    run = _runner()
    assert run("check", path)[0] == 0
    for command in ("derive", "verify", "build"):
        status, output = run(command, path)
        assert status == 1
        assert f"error[sampled]: `{name}` is sampled" in output
    status, output = run("eval", path, file, "-o", str(tmp_path / "k.npz"))
    assert status == 0
    assert "sampled, 4096 slices, standard error at most: nngp 0.00" in output
    assert set(np.load(tmp_path / "k.npz")) == {"nngp", "ntk", "nngp_error", "ntk_error"}


def test_sampling_by_the_command_line(tmp_path: Path) -> None:
    file, net, run = tmp_path / "x.npy", tmp_path / "net.arch", _runner()
    np.save(file, np.ones((2, 3)))
    net.write_text(
        "arch net {\n    input x: vector(3)\n    output dense(relu(erf(dense(x)) - 0.1 * dense(x) * erf(dense(x))))\n}\n"
    )
    assert "sample it: `option expectation = sampled`" in run("eval", str(net), str(file))[1]
    status, output = run("eval", str(net), str(file), "--sampled", "1000", "--get", "ntk")
    assert status == 0
    assert "sampled, 1000 slices, standard error at most: ntk" in output
    assert output != run("eval", str(net), str(file), "--sampled", "1000", "--get", "ntk", "--seed", "1")[1]
    assert run("eval", str(net), str(file), "--sampled", "1000", "--digits", "20")[0] == 2


def _runner() -> Callable[..., tuple[int, str]]:
    def run(*args: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, list(args))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.output

    return run


def test_what_is_sampled_has_no_recursion() -> None:
    compilation = load(examples() / "gru.arch")
    with pytest.raises(ArchError, match="its kernels are not derived"):
        _ = compilation.recursion
    assert not hasattr(compilation.module(), "kernel")
