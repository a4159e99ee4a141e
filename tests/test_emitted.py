"""What users do with an emitted module: gradients, symmetry, tiles, bad data, hyperparameters."""

import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ruff import find_ruff_bin

from ntkc import Compilation, compile_source, load
from ntkc.backends.reference import evaluate
from ntkc.demo import examples
from ntkc.ir.program import For
from ntkc.source import Source

TEXT = """arch net {
    param sigma_w = 1.3 in (0, inf)
    param sigma_b = 0.2 in [0, inf)
    input x: vector(4)
    h = x
    repeat 3 {
        h = relu(dense(h, W_std=sigma_w, b_std=sigma_b))
    }
    output dense(h)
}
"""


@pytest.fixture(scope="module")
def net() -> Compilation:
    return compile_source(Source("net.arch", TEXT))


def _x(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4)).astype("float32")


def test_symmetric_with_exact_diagonal(net: Compilation) -> None:
    x = _x(7)
    own, cross, diagonal = net.kernel(x), net.kernel(x, x.copy()), net.diagonal(x)
    np.testing.assert_array_equal(own.ntk, own.ntk.T)
    np.testing.assert_array_equal(jnp.diag(own.ntk), diagonal.ntk)
    np.testing.assert_allclose(own.ntk, cross.ntk, rtol=1e-5)
    assert own.ntk.dtype == jnp.float32


@pytest.mark.parametrize("n", [7, 33, 300, 600])
def test_both_halves_are_one_number(n: int) -> None:
    body = "x |> dense(W_std=1.3, b_std=0.6) |> relu |> dense(W_std=0.8, b_std=0.5)"
    text = f"arch net {{\n    input x: vector(4)\n    output {body}\n}}\n"
    k = np.asarray(compile_source(Source("net.arch", text)).kernel(_x(n, n)).ntk)
    np.testing.assert_array_equal(k, k.T)


@pytest.mark.parametrize("n", [513, 1030])
def test_tiles_do_not_show(net: Compilation, n: int) -> None:
    x, y = _x(n), _x(n // 2, 1)
    whole = net.kernel(x).ntk
    assert jnp.isfinite(whole).all()
    np.testing.assert_allclose(whole[:9, -9:], net.kernel(x[:9], x[-9:]).ntk, rtol=1e-6)
    np.testing.assert_allclose(net.kernel(x, y).ntk[-9:, -9:], net.kernel(x[-9:], y[-9:]).ntk, rtol=1e-6)


@pytest.mark.parametrize("point", ["equal", "zero", "apart"])
def test_gradients_are_finite(net: Compilation, point: str) -> None:
    x = jnp.asarray(_x(1))
    y = {"equal": x, "zero": 0 * x, "apart": jnp.asarray(_x(1, 1))}[point]
    slope = jax.grad(lambda u: net.ntk(u, y)[0, 0])(x if point != "zero" else y)
    assert jnp.isfinite(slope).all()
    by_weight = jax.grad(lambda s: net.ntk(x, y, sigma_w=s)[0, 0])(1.3)
    step = 1e-3
    difference = (net.ntk(x, y, sigma_w=1.3 + step) - net.ntk(x, y, sigma_w=1.3 - step))[0, 0] / (2 * step)
    assert float(by_weight) == pytest.approx(float(difference), rel=1e-2, abs=1e-3)


@pytest.mark.parametrize(
    "body",
    ["input x: vector(4)\n output x |> dense |> tanh |> dense", "input x: image(2, 2, 1)\n output x |> conv(3) |> relu |> dense"],
)
def test_gradients_of_the_diagonal(body: str) -> None:
    """They pass through float64 where the caller has not enabled it."""
    net = compile_source(Source("net.arch", f"arch n {{\n {body}\n}}\n"))
    x = _x(2).reshape(2, *(4,) if "vector" in body else (2, 2, 1))
    found = jax.grad(lambda v: net.diagonal(v).ntk.sum())(x)
    np.testing.assert_allclose(found, jax.grad(lambda v: jnp.trace(net.ntk(v)))(x), rtol=1e-5)


def test_works_inside_jit(net: Compilation) -> None:
    x = jnp.asarray(_x(5))
    np.testing.assert_allclose(jax.jit(lambda v: net.ntk(v))(x), net.ntk(x), rtol=1e-6)


def test_tables_of_windows_work_inside_jit() -> None:
    """Traced in 64 bits and lowered in 32, an index that is a Python number would have two types."""
    body = "input x: image(3, 3, 2)\n output x |> conv(3) |> relu |> conv(3) |> relu |> global_avg_pool |> dense"
    net = compile_source(Source("net.arch", f"arch n {{\n {body}\n}}\n"))
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype("float32")
    np.testing.assert_allclose(jax.jit(lambda v: net.ntk(v))(x), net.ntk(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.full((2, 4), np.nan, "float32"), ValueError, "contains NaN or infinite"),
        (np.ones(4, "float32"), ValueError, r"expected an array of shape \(n, 4\), got \(4,\)"),
        (np.ones((2, 5), "float32"), ValueError, r"expected an array of shape \(n, 4\), got \(2, 5\)"),
        (np.ones((2, 4), int), TypeError, "expected floating point numbers"),
        (np.ones((0, 4), "float32"), ValueError, "is empty"),
        (np.full((2, 4), "a"), TypeError, "x1: expected an array of numbers, got <U1"),
        (
            np.full((2, 4), 1e19, "float32"),
            ValueError,
            r"entries of size 1.0e\+19 overflow in float32 \(limit 9e\+18\); scale them",
        ),
    ],
)
def test_bad_data(net: Compilation, x: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        net.kernel(x)


def test_bad_hyperparameters(net: Compilation) -> None:
    with pytest.raises(TypeError, match="no hyperparameter is named 'sigma'; there are: sigma_w, sigma_b"):
        net.kernel(_x(2), sigma=1.0)
    with pytest.raises(ValueError, match=r"sigma_w = -1.0 is outside its domain \(0.0, inf\)"):
        net.kernel(_x(2), sigma_w=-1.0)
    with pytest.raises(TypeError, match=r"sigma_w: expected one number, got an array of shape \(3,\)"):
        net.kernel(_x(2), sigma_w=np.ones(3))


def test_what_overflows_is_refused_not_computed_wrong() -> None:
    """In float32 the product of two variances overflows long before they do, and erf's kernel would come out as 1."""
    net = compile_source(Source("net.arch", "arch n {\n input x: vector(4)\n output x |> dense |> erf |> dense\n}\n"))
    x = 1e19 * _x(2)
    with pytest.raises(ValueError, match="or give them in float64 or ask for precision='accurate'"):
        net.kernel(x, precision="fast")
    k = net.kernel(x)
    np.testing.assert_allclose(k.nngp, net.kernel(x / 1e15).nngp, rtol=1e-3)
    half = _x(2).astype("float16")
    np.testing.assert_allclose(net.kernel(half, precision="fast").ntk, net.kernel(half).ntk, rtol=2e-3)


def test_hyperparameters_do_not_recompile(net: Compilation) -> None:
    evaluate = net.module()._compiled
    net.kernel(_x(3), sigma_w=1.1)
    size = evaluate._cache_size()
    net.kernel(_x(3), sigma_w=1.7, sigma_b=0.4)
    assert evaluate._cache_size() == size


def test_jit_over_a_hyperparameter_with_given_data(net: Compilation) -> None:
    x = jnp.asarray(_x(3))
    np.testing.assert_allclose(jax.jit(lambda s: net.ntk(x, sigma_w=s))(1.3), net.ntk(x), rtol=1e-6)


def test_a_traced_hyperparameter_outside_of_its_domain_gives_nan(net: Compilation) -> None:
    x, weights = _x(3), net.module().init(jax.random.key(0), 4)
    for function in (
        lambda s: net.kernel(x, sigma_w=s),
        lambda s: net.kernel(x, x[:2], sigma_w=s),
        lambda s: net.diagonal(x, sigma_w=s),
        lambda s: net.module().apply(weights, x, sigma_w=s),
        jax.grad(lambda s: net.nngp(x, sigma_w=s).sum()),
    ):
        for value, told in ((1.3, True), (0.0, False), (-1.0, False), (np.nan, False)):
            for found in jax.tree.leaves(jax.jit(function)(value)):
                assert np.isfinite(found).all() if told else np.isnan(found).all()


def test_jit_over_data_with_a_given_hyperparameter(net: Compilation) -> None:
    x, s = jnp.asarray(_x(3)), jnp.float32(1.3)
    np.testing.assert_allclose(jax.jit(lambda v: net.ntk(v, sigma_w=s))(x), net.ntk(x), rtol=1e-6)


NAMES = ("z", "a", "b", "c", "det", "z0", "range", "here", "d", "x", "f", "arg_y")


@pytest.mark.parametrize("name", NAMES)
def test_hyperparameters_may_have_any_name(name: str) -> None:
    text = (
        "activation f2(y, w; q = 1) = erf(q * y) * cos(w)\narch net {\n param NAME = 0.7 in (0, inf)\n input u: vector(4)\n"
        " h = f2(dense(u, W_std=1.1), dense(u), q=NAME) + NAME * erf(dense(u))\n output gelu(NAME * dense(h)) |> dense\n}"
    )
    nets = [compile_source(Source("net.arch", text.replace("NAME", n))) for n in (name, "plain")]
    found = [net.ntk(_x(2), **{n: 0.9}) for net, n in zip(nets, (name, "plain"), strict=True)]
    np.testing.assert_allclose(*found, rtol=1e-6)


DEEP = (
    "arch net {\n input x: vector(4)\n h = dense(x, W_std=%s%s)\n"
    " repeat %d { h = %s |> dense(W_std=%s%s) }\n output dense(relu(h))\n}\n"
)


@pytest.mark.parametrize("bias", ["", ", b_std=0.1"])
@pytest.mark.parametrize("distance", [0.0, 1e-6, 1e-3, 0.1, 1.0])
def test_near_duplicates_keep_their_digits(bias: str, distance: float) -> None:
    net = compile_source(Source("net.arch", DEEP % ("sqrt(2)", bias, 30, "relu(h)", "sqrt(2)", bias)))
    x = np.array([[0.3, -0.7, 0.2, 0.5]], "float32")
    y = x + np.array([[0.0, distance, 0.0, 0.0]], "float32")
    exact = float(evaluate(net.recursion, [x[0]], [y[0]], 50).ntk[""])
    assert float(net.ntk(x, y)[0, 0]) == pytest.approx(exact, rel=2e-6)
    assert float(net.ntk(x.astype(float), y.astype(float))[0, 0]) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(("act", "scale"), [("relu(h)", "sqrt(2)"), ("abs(h)", "1"), ("leaky_relu(h, 0.3)", "1.35")])
def test_collapsed_depth_agrees_with_the_recursion(act: str, scale: str) -> None:
    net = compile_source(Source("net.arch", DEEP % (scale, "", 40, act, scale, "")))
    assert net.program.collapse is not None, "the angle form must cover it"
    angles = np.linspace(0, np.pi, 100)
    x, y = np.array([[1.0, 0, 0, 0]]), np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], 1).astype("float32")
    exact, found = net.ntk(x, y.astype(float)), net.ntk(x.astype("float32"), y)
    np.testing.assert_allclose(found, exact, atol=3e-6 * float(exact.max()))


def test_moments_between_two_inputs_beside_angles() -> None:
    text = "arch net {\ninput a: vector(5)\ninput b: vector(5)\nlayer W = dense\ny = relu(dense(a))\n"
    net = compile_source(Source("net.arch", text + "output dense(y) + (W(a) + W(b))\n}\n"))
    assert net.program.gaps
    a, b = np.random.default_rng(0).normal(size=(2, 3, 5))
    exact = evaluate(net.recursion, [a[0], b[0]], [a[1], b[1]]).nngp[""]
    np.testing.assert_allclose(float(net.nngp((a, b))[0, 1]), float(exact), rtol=1e-12)


def test_relu_networks_run_on_angles(net: Compilation) -> None:
    """Second moments in their place would be right, but slower, and would lose digits for near duplicates."""
    assert net.program.gaps
    assert len([i for i in net.program.pair if isinstance(i, For)]) == 1


def test_init_and_apply_check_hyperparameters(net: Compilation) -> None:
    module, x = net.module(), _x(2)
    arrays = module.init(jax.random.key(0), 8)
    with pytest.raises(TypeError, match="no hyperparameter is named 'sigma_v'"):
        module.init(jax.random.key(0), 8, sigma_v=1.0)
    with pytest.raises(TypeError, match="no hyperparameter is named 'sigma_v'"):
        module.apply(arrays, x, sigma_v=1.0)
    with pytest.raises(ValueError, match="sigma_w = -1"):
        module.apply(arrays, x, sigma_w=-1.0)
    with pytest.raises(ValueError, match="the weights have no array 'dense2\\[0\\]/W'; make them by init"):
        module.apply({}, x)


@pytest.mark.parametrize(
    ("body", "channels"),
    [
        ("h = relu(dense(x))\noutput dense(h) + 0.5 * dense(x)", 1),
        ("h = relu(dense(x))\noutput a = dense(h), b = dense(h) + dense(x)", 1),
        ("h = dense(x)\noutput h + dense(relu(h))", 8),  # the network goes on from h, which is as wide as any hidden value
        ("h = dense(x)\nrepeat 2 { h = h + dense(relu(h)) }\noutput h", 8),
        ("h = relu(dense(x))\noutput concat(dense(h), dense(x))", 2),
    ],
)
def test_channels_of_outputs(body: str, channels: int) -> None:
    module = compile_source(Source("net.arch", f"arch net {{\ninput x: vector(4)\n{body}\n}}\n")).module()
    found = module.apply(module.init(jax.random.key(0), 8), _x(3))
    for y in found.values() if isinstance(found, dict) else [found]:
        assert y.shape == (3, channels)


def test_an_attention_that_is_read_out_keeps_its_inner_width() -> None:
    text = "arch net {\ninput x: sequence(3, 4)\noutput dense(x) |> attention(tied_query_key=true) |> global_avg_pool\n}\n"
    module = compile_source(Source("net.arch", text)).module()
    arrays = module.init(jax.random.key(0), 8)
    assert {name[-1]: array.shape for name, array in arrays.items() if "attention" in name} == {
        "Q": (8, 8),
        "V": (8, 8),
        "O": (8, 1),
    }
    assert module.apply(arrays, np.ones((2, 3, 4), "float32")).shape == (2, 1)


@pytest.mark.parametrize("example", ["relu_mlp", "tanh_mlp", "siamese", "rnn", "cntk"])
def test_emitted_text_is_formatted(example: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(load(examples() / f"{example}.arch").code)
    command = [find_ruff_bin(), "format", "--check", "--isolated", str(path)]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "1 file already formatted\n"
    assert len(path.read_text().splitlines()) < 1400  # tables of coefficients fill their lines
