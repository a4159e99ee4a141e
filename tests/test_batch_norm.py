"""`batch_norm` in expectation, within and between batches: against the reference, sampled slices and finite networks."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from ntkc.backends.normalized import Batches, centred
from ntkc.backends.prelude.batches import _COARSE, _FINE, _laplace
from ntkc.backends.reference import evaluate
from ntkc.deriving.bends import bends, is_linear_in_pieces
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import expectation
from ntkc.gaussian.terms import Z
from ntkc.ir.intrinsics import gram_root, ratio
from ntkc.ir.normalization import QUADRATURE
from ntkc.ir.show import text
from ntkc.pipeline import Compilation, compile_source
from ntkc.source import Source

SIMPLE = "output x |> dense(b_std=0.3) |> batch_norm |> relu |> dense"
DEEP = (
    "param s = 0.3 in [0, 1]\nparam e = 0.05 in [0, 1]\nh = x |> dense |> batch_norm |> leaky_relu(s)\n"
    "output h |> dense(W_std=1.2, b_std=0.2) |> batch_norm(eps=e) |> relu |> dense(b_std=0.1)"
)
OTHERS = {
    "residual": "h = dense(x)\nrepeat 2 { h = h + dense(relu(batch_norm(h))) }\noutput h |> batch_norm |> abs |> dense",
    "two_branches": "u = x |> dense |> batch_norm |> relu\nv = x |> dense |> batch_norm |> abs\noutput dense(relu(dense(u + v)))",
    "one_matrix": (
        "layer W = dense(b_std=0.2)\nv = W(dense(relu(dense(x))))\n"
        "output relu(batch_norm(W(dense(x)))) - abs(batch_norm(v)) |> dense"
    ),
    "dropout": "output x |> dense |> batch_norm |> relu |> dropout(keep=0.8) |> layer_norm |> dense |> batch_norm |> dense",
}


def _compile(body: str) -> Compilation:
    return compile_source(Source("net.arch", f"arch net {{\ninput x: vector(_)\n{body}\n}}\n"))


def _draw(n: int, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def _kernels(compilation: Compilation, *xs: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    with jax.enable_x64(True):
        found = compilation.kernel(*xs, **options)
    return np.asarray(found.nngp), np.asarray(found.ntk)


@pytest.mark.parametrize(("rule", "powers"), [(_FINE, (1, 2, 3)), (_COARSE, (0.5, 1.5))])
def test_powers_by_exponentials(rule: tuple[float, float], powers: tuple[float, ...]) -> None:
    with jax.enable_x64(True):
        s, w = map(np.asarray, _laplace(*rule))
    q = np.geomspace(rule[1], 1, 5001)
    for k in powers:
        found = np.sum(w * s ** (k - 1) * np.exp(-s * q[:, None]), 1) * q**k / math.gamma(k)
        assert np.abs(found - 1).max() < QUADRATURE / 4


@pytest.mark.parametrize("f", [sp.Max(Z, 0), sp.Abs(Z), sp.Max(Z, 0) - sp.Rational(1, 5) * sp.Max(-Z, 0), Z])
def test_bends(f: sp.Expr) -> None:
    """f'' is the jump of f' at 0, where v is Gaussian with what u does not tell of it."""
    g = sp.Max(Z, 0)
    found = [
        b.subs({C: 0.3, A: 0.7, B: 1.1}).replace(gram_root, lambda c, a, b: sp.sqrt(a * b - c**2))
        for b in bends(expectation(f, g))
    ]
    (a, b), c = (0.7, 1.1), 0.3
    jumps = [float(sp.diff(h, Z).subs(Z, 1) - sp.diff(h, Z).subs(Z, -1)) for h in (f, g)]
    for bend, jump, (v, w), other in zip(found, jumps, ((a, b), (b, a)), (g, f), strict=True):
        run, rest = sp.lambdify(Z, other, "mpmath"), math.sqrt(w - c**2 / v)
        given = mp.quad(lambda z, run=run, rest=rest: run(rest * z) * mp.npdf(z), [-9, 0, 9])
        assert abs(float(bend.replace(ratio, lambda x, y: x / y)) - jump * float(given) / math.sqrt(2 * math.pi * v)) < 1e-12


def test_degree_one() -> None:
    assert not any(is_linear_in_pieces(f) for f in (sp.erf(Z), sp.sign(Z), Z**2, sp.Max(Z, 0) + 1, sp.tanh(Z), sp.Max(Z, 1)))


def test_reference_to_more_digits() -> None:
    """E f(y) f(y') in 25 digits and in double precision."""
    k = _draw(5) @ _draw(5).T
    pair = {float: np.vectorize(_relu, otypes=[float]), mp.mpf: np.frompyfunc(_relu, 3, 1)}
    with mp.workdps(25):
        exact = np.array([[mp.mpf(v) for v in row] for row in k])
        both = ((centred(k), float), (centred(exact), mp.mpf))
        tables = [Batches((t, t), t, (0, 0), True, number).second(pair[number]) for t, number in both]
    assert np.abs(tables[0] - tables[1].astype(float)).max() < 1e-12


def _relu(c: Any, a: Any, b: Any) -> Any:
    lib = mp if isinstance(c, mp.mpf) else math
    root = lib.sqrt(max(a * b - c * c, 0))
    return (root + c * (lib.pi / 2 + lib.atan2(c, root))) / (2 * lib.pi)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(SIMPLE, id="simple"),
        pytest.param(DEEP, id="deep", marks=pytest.mark.slow),
        pytest.param(OTHERS["one_matrix"], id="one_matrix", marks=pytest.mark.slow),
    ],
)
def test_reference(body: str) -> None:
    """Where the values of the first layer vary in three directions only, which is the least."""
    compilation, x, y = _compile(body), _draw(6, 3), _draw(4, 3, seed=1)
    rows = [x]
    for arguments, exact in (
        ((x,), evaluate(compilation.recursion, rows, rows, 15)),
        ((x, y), evaluate(compilation.recursion, rows, [y], 15)),
    ):
        nngp, ntk = _kernels(compilation, *arguments)
        assert np.abs(nngp - exact.nngp[""]).max() < 1e-10 * np.abs(exact.nngp[""]).max()
        assert np.abs(ntk - exact.ntk[""]).max() < 1e-10 * np.abs(exact.ntk[""]).max()


def test_types_and_two_equal_batches() -> None:
    compilation, x = _compile(SIMPLE), _draw(5)
    both, twice = _kernels(compilation, x), _kernels(compilation, x, x)
    assert all(np.abs(a - b).max() < 3e-8 * np.abs(a).max() for a, b in zip(both, twice, strict=True))
    single = compilation.kernel(x.astype("float32"))
    assert single.ntk.dtype == jnp.float32
    assert np.abs(single.ntk - both[1]).max() < 1e-5 * np.abs(both[1]).max()
    assert np.allclose(compilation.diagonal(x.astype("float32")).ntk, np.diagonal(single.ntk))


@pytest.mark.slow
@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_slices_agree(body: str) -> None:
    compilation, x, y = _compile(body), _draw(7, 6), _draw(6, 6, seed=1)
    for xs in ((x,), (x, y)):
        found = compilation.sampled(*xs, samples=65536, replicates=32)
        for kernel, sample, error in zip(
            _kernels(compilation, *xs), (found.nngp, found.ntk), (found.nngp_error, found.ntk_error), strict=True
        ):
            gap = (np.asarray(sample) - kernel) / np.asarray(error)
            assert np.sqrt(np.mean(gap**2)) < 2.2
            assert np.max(error) < 0.05 * np.abs(kernel).max()


def _draws(compilation: Compilation, x: np.ndarray, y: np.ndarray, width: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """y y' and J J' of random networks between two batches."""
    module = compilation.module()
    a, b = jnp.asarray(x, "float32"), jnp.asarray(y, "float32")

    def one(key: jax.Array) -> Any:
        arrays = module.init(key, width, inputs=[x.shape[1:]])
        wide = [module._forward(module._Weights({}, key, width), (v,), module.PARAMS, 128) for v in (a, b)]
        rows = [jax.jacrev(lambda w, v=v: module.apply(w, v)[:, 0])(arrays) for v in (a, b)]
        flat = [jnp.concatenate([r.reshape(r.shape[0], -1) for r in row.values()], 1) for row in rows]
        return wide[0] @ wide[1].T / 128, flat[0] @ flat[1].T

    keys = jax.random.split(jax.random.key(width), count)
    found = jax.jit(lambda keys: jax.lax.map(one, keys))(keys)
    return np.asarray(found[0], float), np.asarray(found[1], float)


def _off(draws: np.ndarray, kernel: np.ndarray) -> tuple[float, float]:
    """The gap to the mean of the draws, and the error of that mean, as root mean squares relative to the kernel."""
    error = draws.std(0, ddof=1) / math.sqrt(len(draws))
    scale = np.sqrt(np.mean(kernel**2))
    return float(np.sqrt(np.mean((draws.mean(0) - kernel) ** 2)) / scale), float(np.sqrt(np.mean(error**2)) / scale)


def _between_finite(widths: tuple[int, ...], draws: int, allowed: float) -> None:
    compilation = _compile("output x |> dense |> batch_norm |> relu |> dense |> batch_norm |> leaky_relu(0.2) |> dense")
    x, y = _draw(8, 6), 1 + _draw(7, 6, seed=1)
    kernels, whole = _kernels(compilation, x, y), _kernels(compilation, np.concatenate([x, y]))
    for kind in (0, 1):
        gaps = []
        for width in widths:
            found = _draws(compilation, x, y, width, draws)[kind]
            gap, error = _off(found, kernels[kind])
            gaps.append((gap, error))
        gap, error = gaps[-1]
        assert gap < 2.5 * error + allowed, gaps
        wrong, _ = _off(found, whole[kind][:8, 8:])
        assert wrong > 3 * gap, "a single batch would have other statistics"


@pytest.mark.slow
def test_finite_networks_between_batches() -> None:
    _between_finite((256,), 48, 0.02)


@pytest.mark.slow
def test_wider_networks_agree_better() -> None:
    _between_finite((128, 512, 1024), 96, 0.005)


def test_kernel_of_two_batches_is_a_block_of_a_kernel() -> None:
    """Moments within a batch come by one integral, between batches by two; together they are those of one Gaussian limit."""
    compilation, x, y = _compile(SIMPLE), _draw(6), _draw(5, seed=1)
    near = np.concatenate([x[:3] + 1e-3 * _draw(3, seed=2), y[:2]])
    for kind in (0, 1):
        a, b, c = (_kernels(compilation, *xs)[kind] for xs in ((x,), (x, near), (near,)))
        values = np.linalg.eigvalsh(np.block([[a, b], [b.T, c]]))
        assert values[0] > -1e-9 * values[-1]


def _slopes_agree(between: bool) -> None:
    compilation, x = _compile(SIMPLE), _draw(5, 4).astype("float32")
    y = jnp.asarray(_draw(4, 4, seed=1), "float32")

    def entry(x: jax.Array) -> jax.Array:
        return compilation.ntk(x, y)[1, 2] if between else compilation.ntk(x)[0, 1]

    slope, step = jax.grad(entry)(jnp.asarray(x)), 1e-2
    for i, k in ((0, 1), (1, 3), (4, 0)):
        move = np.zeros_like(x)
        move[i, k] = step
        assert abs((entry(x + move) - entry(x - move)) / (2 * step) - slope[i, k]) < 2e-3


def test_derivatives() -> None:
    _slopes_agree(between=False)


@pytest.mark.slow
def test_derivatives_between_batches() -> None:
    _slopes_agree(between=True)


@pytest.mark.parametrize(
    ("shape", "get", "match"),
    [
        (
            (3, 5),
            "ntk",
            r"of 3 samples E 1/.v.\^2 of its values v, less their mean, is infinite and the NTK with it: .* get='nngp'",
        ),
        ((1, 5), "nngp", "of 1 samples it has no deviation: give larger batches"),
        ((6, 2), "ntk", "vary in fewer than three directions"),
    ],
)
def test_refused(shape: tuple[int, int], get: str, match: str) -> None:
    compilation, x = _compile("output x |> dense |> batch_norm |> relu |> dense"), _draw(*shape).astype("float32")
    with pytest.raises(ValueError, match=match):
        compilation.kernel(x, get=get)


def test_few_samples_have_an_nngp() -> None:
    """Of two samples each is normalized to 1 and -1: E relu(y) relu(y') is 1/2 on the diagonal and 0 beside it."""
    compilation = _compile("output x |> dense |> batch_norm(eps=0) |> relu |> dense")
    with jax.enable_x64(True):
        found = compilation.nngp(_draw(2))
    assert np.abs(found - np.eye(2) / 2).max() < 1e-10


def test_shown() -> None:
    found = text(_compile(DEEP).recursion)
    assert "batch1 = E f(y) f(y') of values y normalized over the batch, f(z) = -s*Max(0, -z) + Max(0, z)" in found
    assert "eps = param_e; integrals by quadrature, relative error <= 1e-11" in found
