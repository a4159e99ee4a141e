"""What every emitted module starts with. This file is copied into it below the imports, so it imports only math and JAX."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# --- prelude ---


class Kernel(NamedTuple):
    """Kernels of shape (n1, n2); None where not asked for, a dict by name where there are several outputs."""

    nngp: jax.Array | None
    ntk: jax.Array | None


def _sqrt(x):
    """Square root, 0 below 0, with derivative 0 there."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def _gram_root(c, a, b):
    """sqrt(a b - c^2), exactly 0 where a = b = c."""
    m = _sqrt(a * b)
    return _sqrt((m - c) * (m + c))


# atan(t)/t as a polynomial in t^2 on [0, 1], Chebyshev fits with errors 4e-9 and 3e-18; XLA's own takes ten times as long.
_ATAN_32 = (
    0.9999999971605454,
    -0.3333327629198255,
    0.19998075281148714,
    -0.14260016082820906,
    0.10932341501303093,
    -0.08349724968301601,
    0.05708955593030619,
    -0.030351864785781172,
    0.010487649254949306,
    -0.0017011700640685973,
)
_ATAN_64 = (
    1.0,
    -0.3333333333333332,
    0.1999999999999728,
    -0.14285714285522452,
    0.11111111103899986,
    -0.09090908923813586,
    0.07692305086458488,
    -0.06666637679954038,
    0.058821133510041305,
    -0.05261641609130929,
    0.04754388759047033,
    -0.04318126899721664,
    0.03905116247694501,
    -0.03455686749628989,
    0.029121244608854832,
    -0.022566714208211488,
    0.015464694610323185,
    -0.00899743399427727,
    0.004255114826480494,
    -0.0015537533402612332,
    0.00040788678988090015,
    -6.81501430177686e-05,
    5.423577712204974e-06,
)


def _atan2(y, x):
    """atan2 for x >= 0, with derivative 0 at the origin."""
    steep = jnp.where(y < 0, -y, y)
    over = steep > x
    low, high = jnp.where(over, x, steep), jnp.where(over, steep, x)
    t = low / jnp.where(high > 0, high, 1)
    v = t * t
    first, *others = (_ATAN_64 if v.dtype == jnp.float64 else _ATAN_32)[::-1]
    angle = jnp.full_like(v, first)
    for k in others:
        angle = angle * v + k
    angle = jnp.where(over, math.pi / 2 - t * angle, t * angle)
    return jnp.where(y < 0, -angle, angle)


def _scaled_cosh(x, y):
    """cosh(x) exp(y) without overflow between the two."""
    return (jnp.exp(y + x) + jnp.exp(y - x)) / 2


def _scaled_sinh(x, y):
    """sinh(x) exp(y), with its digits where x is small and without overflow where it is large."""
    return -jnp.sign(x) * jnp.exp(y + jnp.abs(x)) * jnp.expm1(-2 * jnp.abs(x)) / 2


def _as(x, like):
    """x in the shape and type of another array, for loop variables."""
    return jnp.zeros_like(like) + x


def _hermite(f, variance, terms, edges):
    """E f(sqrt(a) x) He_k(x) / sqrt(k!) for k < terms, stacked in front; quadrature on 80 Gauss-Legendre nodes per piece."""
    root = _sqrt(variance)[..., None]
    x0, w0 = (jnp.asarray(v, root.dtype) for v in _LEGENDRE)
    kinks = [jnp.clip(k / jnp.where(root > 0, root, 1), -13.0, 13.0) for k in edges]
    ends = jnp.sort(
        jnp.concatenate(
            [jnp.broadcast_to(jnp.asarray(e, root.dtype), root.shape) for e in (-13.0, -5.0, -2.0, 0.0, 2.0, 5.0, 13.0)] + kinks,
            -1,
        ),
        -1,
    )
    half, middle = (ends[..., 1:] - ends[..., :-1]) / 2, (ends[..., 1:] + ends[..., :-1]) / 2
    x = (half[..., None] * x0 + middle[..., None]).reshape(*root.shape[:-1], -1)
    w = (half[..., None] * w0).reshape(x.shape) * jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    values = w * f(root * x)

    def next_order(pair, k):
        low, high = pair
        return (high, (x * high - jnp.sqrt(k + 1) * low) / jnp.sqrt(k + 2)), jnp.sum(values * low, -1)

    return lax.scan(next_order, (jnp.ones_like(x), x), jnp.arange(terms, dtype=x.dtype))[1]


def _series(f, g, c, a, b, terms, edges=()):
    """E f(u) g(v) = sum over k < terms of f_k(a) g_k(b) rho^k, rho = c / sqrt(a b)."""
    left, right = _hermite(f, a, terms, edges), _hermite(g, b, terms, edges)
    m = _sqrt(a) * _sqrt(b)
    rho = jnp.clip(jnp.where(m > 0, c / jnp.where(m > 0, m, 1), 0), -1, 1)
    return lax.fori_loop(
        0, terms, lambda i, total: total * rho + left[terms - 1 - i] * right[terms - 1 - i], jnp.zeros_like(rho + m)
    )


def _second_moments(x1, x2):
    """(<x1_i, x2_j> / d, |x1_i|^2 / d as a column, |x2_j|^2 / d as a row)."""
    d = x1.shape[1]
    cross = jnp.matmul(x1, x2.T, precision="highest") / d
    return cross, jnp.sum(x1 * x1, 1)[:, None] / d, jnp.sum(x2 * x2, 1)[None, :] / d


def _tiled(pair, x1, x2, symmetric, size=512):
    """pair(x1 rows, x2 rows) tile by tile, which bounds the memory; each unordered pair of tiles once where symmetric."""
    n1, n2 = x1[0].shape[0], x2[0].shape[0]
    if n1 <= size and n2 <= size:
        return pair(x1, x2)
    t1, t2 = min(size, n1), min(size, n2)
    starts = [(min(i, n1 - t1), min(j, n2 - t2)) for i in range(0, n1, t1) for j in range(0, n2, t2) if not symmetric or i <= j]
    table = jnp.asarray(starts, dtype=jnp.int32)

    def cut(xs, start, length):
        return tuple(lax.dynamic_slice_in_dim(x, start, length) for x in xs)

    def body(p, out):
        i, j = table[p, 0], table[p, 1]
        tile = pair(cut(x1, i, t1), cut(x2, j, t2))
        out = jax.tree.map(lambda o, t: lax.dynamic_update_slice(o, t, (i, j)), out, tile)
        if symmetric:
            out = jax.tree.map(lambda o, t: lax.dynamic_update_slice(o, t.T, (j, i)), out, tile)
        return out

    shapes = jax.eval_shape(pair, cut(x1, 0, t1), cut(x2, 0, t2))
    empty = jax.tree.map(lambda s: jnp.zeros((n1, n2), s.dtype), shapes)
    return lax.fori_loop(0, len(starts), body, empty)


def _finite(v):
    with jax.ensure_compile_time_eval():  # concrete data stays concrete under an outer jit
        return bool(jnp.isfinite(v).all())


def _check(name, x, sizes):
    """The inputs as a tuple of float arrays, or an error that says what was expected."""
    xs = (
        (x,)
        if len(sizes) == 1 and not isinstance(x, (tuple, list, dict))
        else tuple(x.values())
        if isinstance(x, dict)
        else tuple(x)
    )
    if len(xs) != len(sizes):
        raise ValueError(f"{name}: expected {len(sizes)} input arrays, got {len(xs)}")
    xs = tuple(jnp.asarray(v) for v in xs)
    for v, (label, size) in zip(xs, sizes, strict=True):
        if v.ndim != 2 or (size is not None and v.shape[1] != size):
            raise ValueError(f"{name}, input {label}: expected an array of shape (n, {size or 'd'}), got {v.shape}")
        if not jnp.issubdtype(v.dtype, jnp.floating):
            raise TypeError(f"{name}, input {label}: expected floating point numbers, got {v.dtype}; use x.astype('float32')")
        if v.shape[0] == 0:
            raise ValueError(f"{name}, input {label}: is empty")
        if not isinstance(v, jax.core.Tracer) and not _finite(v):
            raise ValueError(f"{name}, input {label}: contains NaN or infinite entries")
    if len({v.shape[0] for v in xs}) != 1:
        raise ValueError(f"{name}: the inputs have different numbers of rows: {[v.shape[0] for v in xs]}")
    return xs


def _hyperparameters(given):
    """PARAMS updated by the given ones, each inside its domain."""
    for name, value in given.items():
        if name not in PARAMS:
            raise TypeError(f"no hyperparameter is named {name!r}; there are: {', '.join(PARAMS) or 'none'}")
        low, high, open_low, open_high = DOMAINS[name]
        if not isinstance(value, jax.core.Tracer):
            value = float(value)
            below = value <= low if open_low else value < low
            above = value >= high if open_high else value > high
            if below or above or value != value:
                raise ValueError(
                    f"{name} = {value} is outside its domain {'(' if open_low else '['}{low}, {high}{')' if open_high else ']'}"
                )
    return {name: jnp.asarray(given.get(name, value), float) for name, value in PARAMS.items()}


@partial(jax.jit, static_argnames=("get", "symmetric", "dtype"))
def _evaluate(x1, x2, params, get, symmetric, dtype):
    result = x1[0].dtype
    x1, x2 = (tuple(v.astype(dtype) for v in xs) for xs in (x1, x2))
    params = {name: value.astype(dtype) for name, value in params.items()}

    def select(values):
        return {kind: values[kind] for kind in get}

    out = _tiled(lambda a, b: select(_pair(*_moments(a, b), False, params)), x1, x2, symmetric)
    if symmetric:
        own = select(_own(x1, params))
        n = jnp.arange(x1[0].shape[0])
        out = jax.tree.map(lambda o, v: o.at[n, n].set(v), out, own)
    return jax.tree.map(lambda o: o.astype(result), out)


def _own(x, params):
    """Every kernel at (x_i, x_i): the pair recursion on one column, where the cross moments are the variances."""
    return jax.tree.map(lambda v: v[:, 0], _pair(*_own_moments(x), True, params))


def _unwrap(kernels):
    """One output bare, several by name."""
    return kernels[""] if set(kernels) == {""} else kernels


def kernel(x1, x2=None, *, get=("nngp", "ntk"), precision="accurate", **params):
    """NNGP and NTK between the rows of x1 (n1, d) and x2 (n2, d), or of x1 with itself.

    precision="accurate" computes in float64 whatever the type of the inputs, and returns their type; "fast" computes in
    that type. Hyperparameters are keyword arguments; changing one does not recompile, and jax.grad reaches it.
    """
    get = (get,) if isinstance(get, str) else tuple(get)
    unknown = [kind for kind in get if kind not in ("nngp", "ntk")]
    if unknown or precision not in ("accurate", "fast"):
        raise ValueError(f"get is 'nngp', 'ntk' or both, precision 'accurate' or 'fast'; got {get}, {precision!r}")
    if "ntk" in get and NO_NTK:
        raise ValueError(f"this network has an NNGP but no NTK: {NO_NTK}; ask for get='nngp'")
    with jax.enable_x64(True):
        a = _check("x1", x1, INPUTS)
        b = a if x2 is None else _check("x2", x2, INPUTS)
        for u, v in zip(a, b, strict=True):
            if u.shape[1] != v.shape[1] or u.dtype != v.dtype:
                raise ValueError(f"x1 and x2 differ in kind: {u.shape[1]} features of {u.dtype}, {v.shape[1]} of {v.dtype}")
        dtype = "float64" if precision == "accurate" else str(a[0].dtype)
        out = _evaluate(a, b, _hyperparameters(params), get, x2 is None, dtype)
    return Kernel(*(_unwrap(out[kind]) if kind in get else None for kind in ("nngp", "ntk")))


def nngp(x1, x2=None, **options):
    """The NNGP kernel alone."""
    return kernel(x1, x2, get="nngp", **options).nngp


def ntk(x1, x2=None, **options):
    """The neural tangent kernel alone."""
    return kernel(x1, x2, get="ntk", **options).ntk


def diagonal(x, *, get=("nngp", "ntk"), precision="accurate", **params):
    """The kernels of each row with itself, of shape (n,)."""
    get = (get,) if isinstance(get, str) else tuple(get)
    if "ntk" in get and NO_NTK:
        raise ValueError(f"this network has an NNGP but no NTK: {NO_NTK}; ask for get='nngp'")
    with jax.enable_x64(True):
        xs = _check("x", x, INPUTS)
        dtype = "float64" if precision == "accurate" else xs[0].dtype
        params = {name: value.astype(dtype) for name, value in _hyperparameters(params).items()}
        out = jax.tree.map(lambda v: v.astype(xs[0].dtype), _own(tuple(v.astype(dtype) for v in xs), params))
    return Kernel(*(_unwrap(out[kind]) if kind in get else None for kind in ("nngp", "ntk")))


# --- the finite network ---


class _Weights:
    """Reads arrays by name, or makes them when it has a key."""

    def __init__(self, arrays, key=None, width=512):
        self.arrays, self.key, self.width = arrays, key, width

    def __call__(self, name, shape, scale=1.0):
        if self.key is not None and name not in self.arrays:
            self.key, own = jax.random.split(self.key)
            self.arrays[name] = scale * jax.random.normal(own, shape)
        return self.arrays[name]


def _dense(weights, name, h, width, W_std, b_std, standard):
    n, width = h.shape[-1], width or weights.width
    scale = W_std / math.sqrt(n)
    y = h @ weights(name + "/W", (n, width), scale if standard else 1.0) * (1.0 if standard else scale)
    if b_std is not None:
        y = y + weights(name + "/b", (width,), b_std if standard else 1.0) * (1.0 if standard else b_std)
    return y


def _rms_norm(h, eps):
    return h / jnp.sqrt(jnp.mean(h**2, -1, keepdims=True) + eps)


def _layer_norm(h, eps):
    h = h - jnp.mean(h, -1, keepdims=True)
    return h / jnp.sqrt(jnp.mean(h**2, -1, keepdims=True) + eps)


def _identity(h):
    return h


def _dropout(h, keep):
    """The mean network: dropout does nothing outside of training."""
    return h
