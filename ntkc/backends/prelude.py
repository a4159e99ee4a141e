"""What every emitted module starts with. This file is copied into it below the imports, so it imports only math and JAX."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

# --- prelude ---


class Kernel(NamedTuple):
    """Kernels of shape (n1, n2); None where not asked for, a dict by name where there are several outputs."""

    nngp: jax.Array | None
    ntk: jax.Array | None


def _sqrt(x):
    """Square root, 0 below 0, with derivative 0 there."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def _ratio(x, y):
    """x / y, 0 where y is 0."""
    return x / jnp.where(y > 0, y, jnp.inf)


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


def _polynomial(coefficients, x):
    """By Horner's rule, with the coefficients for the type of x."""
    first, *others = coefficients[x.dtype == jnp.float64][::-1]
    total = jnp.full_like(x, first)
    for k in others:
        total = total * x + k if k else total * x
    return total


def _polynomials(d, e, table):
    """even(z) + sqrt(z) odd(z) of z = d, or of z = e = 1 - d by its own coefficients where that is the smaller one."""
    near_even, near_odd, far_even, far_odd = table
    far = None if e is None else e < d
    z = d if e is None else jnp.where(far, e, d)

    def branch(near, beyond):
        if e is None or near == beyond:
            return _polynomial(near, z)
        return jnp.where(far, _polynomial(beyond, z), _polynomial(near, z))

    root = jnp.sqrt(jnp.maximum(z, jnp.finfo(z.dtype).tiny))  # no NaN in the gradient at z = 0
    return branch(near_even, far_even) + root * branch(near_odd, far_odd)


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


def _columns(arrays, *turns):
    """Moments of the samples of x1, those of the given turns of their loops, as columns (n1, 1)."""
    return [v[turns][:, None] for v in arrays]


def _rows(arrays, *turns):
    """Those of x2 as rows (1, n2)."""
    return [v[turns][None, :] for v in arrays]


def _squares(xs):
    """<x_i, x_j> / d of the inputs in DATA with themselves, (n,), in float64."""
    pairs = dict.fromkeys(tuple(sorted(pair)) for pair in DATA)
    wide = [x.astype(float) for x in xs]
    return [jnp.sum(wide[i] * wide[j], 1) / wide[i].shape[1] for i, j in pairs]


def _unit(x):
    """Rows of norm 1, or 0, in float64."""
    wide = x.astype(float)
    norm = _sqrt(jnp.sum(wide * wide, 1, keepdims=True))
    return wide * _ratio(jnp.ones_like(norm), norm)


def _half_angles(x, y, apart, dtype, precise):
    """d = sin^2(theta/2) and e = cos^2(theta/2) between rows of norm 1 in float64, d from their difference where they nearly
    agree; `apart` is False where the two rows are one sample, whose angle is 0.

    In float32 a product in that type leaves an absolute error of about 1e-7 in d, which is enough unless d or e is small
    somewhere in the tile; then the product is taken in float64, whose error is enough down to d = 1e-4 for float64, too.
    """

    def halves(product):
        d, e = (jnp.maximum((1 + sign * product) / 2, 0) for sign in (-1, 1))
        return jnp.where(apart, d, 0).astype(dtype), jnp.where(apart, e, 1).astype(dtype)

    def least(d, e):
        return jnp.min(jnp.where(apart, jnp.minimum(d, e), 1))

    if dtype == jnp.float32:
        d, e = halves(jnp.matmul(x.astype(dtype), y.astype(dtype).T, precision="highest"))
        if not precise:
            return d, e
        return lax.cond(least(d, e) < 1 / 64, lambda: halves(jnp.matmul(x, y.T)), lambda: (d, e))
    d, e = halves(jnp.matmul(x, y.T, precision="highest"))
    return lax.cond(least(d, e) < 1e-4, lambda: _from_differences(x, y, d, e), lambda: (d, e))


def _from_differences(x, y, d, e):
    """|x - y|^2 / 4 where that is small, |x + y|^2 / 4 for e: slower, and exact for near duplicates."""

    def feature(k, sums):
        u, v = x[:, k][:, None], y[:, k][None, :]
        return sums[0] + (u - v) ** 2, sums[1] + (u + v) ** 2

    near, far = lax.fori_loop(0, x.shape[1], feature, (jnp.zeros_like(d), jnp.zeros_like(d)))
    return jnp.where(d < 1e-3, jnp.minimum(d, 1) * 0 + near / 4, d), jnp.where(e < 1e-3, far / 4, e)


def _tiled(tile, n1, n2, symmetric, size=512):
    """tile(i, j, t1, t2) -> arrays (t1, t2), tile by tile, which bounds the memory; where symmetric each unordered pair of
    tiles once. Tiles are of equal size, and the last ones overlap."""
    t1, t2 = (-(-n // -(-n // size)) for n in (n1, n2))
    starts = [(min(i, n1 - t1), min(j, n2 - t2)) for i in range(0, n1, t1) for j in range(0, n2, t2) if not symmetric or i <= j]

    def mirrored(found, i, j):
        """A tile on the diagonal, symmetric to the last bit."""
        lower = i + jnp.arange(t1)[:, None] > j + jnp.arange(t2)[None, :]
        return jax.tree.map(lambda t: jnp.where(lower, t.T, t), found)

    if len(starts) == 1:
        return mirrored(tile(0, 0, n1, n2), 0, 0) if symmetric else tile(0, 0, n1, n2)
    table = jnp.asarray(starts, dtype=jnp.int32)

    def body(p, out):
        i, j = table[p, 0], table[p, 1]
        found = tile(i, j, t1, t2)
        if symmetric:
            found = lax.cond(i == j, mirrored, lambda t, i, j: t, found, i, j)
        out = jax.tree.map(lambda o, t: lax.dynamic_update_slice(o, t, (i, j)), out, found)
        if symmetric:
            out = jax.tree.map(lambda o, t: lax.dynamic_update_slice(o, t.T, (j, i)), out, found)
        return out

    shapes = jax.eval_shape(lambda: tile(0, 0, t1, t2))
    return lax.fori_loop(0, len(starts), body, jax.tree.map(lambda s: jnp.zeros((n1, n2), s.dtype), shapes))


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
    return {name: jnp.asarray(given.get(name, value), jnp.float64) for name, value in PARAMS.items()}


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _differentiable(x1, x2, params, get, symmetric, precision):
    return _compiled(x1, x2, params, get, symmetric, precision)


def _forward_pass(x1, x2, params, get, symmetric, precision):
    arguments = (x1, x2, params)
    values = jax.tree.map(lambda a: a.value, arguments)
    moving = tuple(a.perturbed for a in jax.tree.leaves(arguments))
    return _compiled(*values, get, symmetric, precision), jax.tree_util.Partial(partial(_pull, moving), values)


def _pull(moving, values, static, cotangent):
    """Cotangents of the arguments that are differentiated by; None for the others."""
    leaves, tree = jax.tree.flatten(values)
    where = [i for i, moves in enumerate(moving) if moves]

    def run(*moved):
        every = list(leaves)
        for i, v in zip(where, moved, strict=True):
            every[i] = v
        return _compiled(*jax.tree.unflatten(tree, every), *static)

    found = jax.vjp(run, *(leaves[i] for i in where))[1](cotangent)
    every = [None] * len(leaves)
    for i, v in zip(where, found, strict=True):
        every[i] = v
    return jax.tree.unflatten(tree, every)


def _backward_pass(get, symmetric, precision, pull, cotangent):
    with jax.enable_x64(True):  # the caller's scope has ended by the time JAX gets here
        full = jax.tree.map(lambda c: jnp.zeros(c.shape, c.dtype) if isinstance(c, SymbolicZero) else c, cotangent)
        return pull((get, symmetric, precision), full)


_differentiable.defvjp(_forward_pass, _backward_pass, symbolic_zeros=True)


@partial(jax.jit, static_argnames=("get", "symmetric", "precision"))
def _compiled(x1, x2, params, get, symmetric, precision):
    result = x1[0].dtype
    dtype = jnp.float64 if precision == "accurate" and not BY_ANGLE else result
    left, units1 = _prepared(x1, params, dtype)
    right, units2 = (left, units1) if symmetric else _prepared(x2, params, dtype)
    few = {name: value.astype(dtype) for name, value in params.items()}
    between = _select(_pair, get, few)
    if COLLAPSE and dtype == jnp.float32:
        between = _series_in_depth(params, get, between)

    def tile(i, j, t1, t2):
        cut = partial(jax.tree.map, lambda v: lax.dynamic_slice_in_dim(v, i, t1, v.ndim - 1))
        other = partial(jax.tree.map, lambda v: lax.dynamic_slice_in_dim(v, j, t2, v.ndim - 1))
        xs = [lax.dynamic_slice_in_dim(u, i, t1) for u in units1]
        ys = [lax.dynamic_slice_in_dim(u, j, t2) for u in units2]
        apart = not symmetric or (i + jnp.arange(t1))[:, None] != (j + jnp.arange(t2))[None, :]
        return between(*_starts(xs, ys, apart, dtype, precision == "accurate"), cut(left), other(right), False)

    out = _tiled(tile, x1[0].shape[0], x2[0].shape[0], symmetric)
    if symmetric:
        n = jnp.arange(x1[0].shape[0])
        out = jax.tree.map(lambda o, v: o.at[n, n].set(v.astype(o.dtype)), out, _own(x1, params, get, dtype))
    return jax.tree.map(lambda o: o.astype(result), out)


def _prepared(xs, params, dtype):
    """Moments of each sample, computed in float64, and what cross moments are computed from."""
    sample = _sample(*_squares(xs), params)
    units = [_unit(x) for x in xs] if BY_ANGLE else [x.astype(dtype) for x in xs]
    return jax.tree.map(lambda v: (jnp.zeros(xs[0].shape[0]) + v if v.ndim < 2 else v).astype(dtype), sample), units


def _starts(xs, ys, apart, dtype, precise):
    """What `_pair` starts from between the rows of two tiles."""
    for i, j in DATA:
        if BY_ANGLE and i == j:
            yield from _half_angles(xs[i], ys[j], apart, dtype, precise)
        else:
            yield (jnp.matmul(xs[i], ys[j].T, precision="highest") / xs[i].shape[1]).astype(dtype)


def _select(pair, get, params):
    return lambda *arguments: {kind: value for kind, value in pair(*arguments, params).items() if kind in get}


def _own(xs, params, get, dtype):
    """Every kernel at (x_i, x_i), where the angle is 0 and cross moments are the sample's own, one sample at a time."""
    squares = _squares(xs)
    names = list(dict.fromkeys(tuple(sorted(pair)) for pair in DATA))

    def starts(*own):
        for i, j in DATA:
            c = own[names.index((min(i, j), max(i, j)))].astype(dtype)[None, None]
            yield from ((jnp.zeros_like(c), jnp.ones_like(c)) if BY_ANGLE and i == j else (c,))

    def one(*own):
        sample = jax.tree.map(lambda v: v.astype(dtype)[..., None], _sample(*own, params))
        few = {name: value.astype(dtype) for name, value in params.items()}
        return jax.tree.map(lambda v: v[0, 0], _select(_pair, get, few)(*starts(*own), sample, sample, True))

    return jax.vmap(one)(*squares)


def _series_in_depth(params, get, recursion):
    """The whole recursion as a Chebyshev series in y = s/(s + b(1 + c)), s = sin(theta/2), c = cos(theta/2): a network that is
    homogeneous in its input is |x| |x'| to a power times a function of the angle, smooth in y for most activations however deep
    it is. Where the series is not good to 1e-6 at points between its nodes, the recursion is used."""
    degree, depth, terms = COLLAPSE
    b = 1 / (1 + 0.15 * depth)
    top = 1 / (1 + b)
    unit = jax.tree.map(lambda v: v[..., None], _sample(jnp.float64(1), params))

    def exact(t):
        """At Chebyshev points cos(t) of the range of y."""
        y = top * (jnp.cos(t) + 1) / 2
        tangent = b * y / (1 - y)
        d, e = 4 * tangent**2 / (1 + tangent**2) ** 2, ((1 - tangent**2) / (1 + tangent**2)) ** 2
        found = _select(_pair, get, params)(d[:, None], e[:, None], unit, unit, False)
        return jax.tree.map(lambda v: v[:, 0], found)

    k = jnp.arange(terms)
    cosines = jnp.cos(math.pi * k[:, None] * (k + 0.5) / terms) * jnp.where(k == 0, 1, 2)[:, None] / terms
    series = jax.tree.map(lambda v: cosines @ v, exact(math.pi * (k + 0.5) / terms))
    between = math.pi * (jnp.arange(3 * terms) + 0.5) / (3 * terms)
    gaps = jax.tree.map(
        lambda c, v: jnp.max(jnp.abs(_clenshaw(c, 2 * jnp.cos(between)) - v)) / jnp.max(jnp.abs(v)), series, exact(between)
    )
    good = jnp.max(jnp.stack(jax.tree.leaves(gaps))) < 1e-6
    single = jax.tree.map(lambda c: c.astype(jnp.float32), series)

    def summed(d, e, left, right):
        s = jnp.sqrt(jnp.maximum(d, jnp.finfo(d.dtype).tiny))
        y = s / (s + b * (1 + _sqrt(e)))
        scale = _sqrt(left[0][0][:, None]) * _sqrt(right[0][0][None, :])
        return jax.tree.map(lambda c: scale**degree * _clenshaw(c, (4 / top) * y - 2), single)

    def either(d, e, left, right, same):
        return lax.cond(good, summed, lambda *arguments: recursion(*arguments, same), d, e, left, right)

    return either


def _clenshaw(coefficients, twice):
    """sum_k c_k T_k(x) at twice = 2 x."""
    high, higher = jnp.full_like(twice, coefficients[-1]), jnp.zeros_like(twice)
    for k in range(coefficients.shape[0] - 2, 0, -1):
        high, higher = twice * high + (coefficients[k] - higher), high
    return twice * high / 2 + (coefficients[0] - higher)


def _unwrap(kernels):
    """One output bare, several by name."""
    return kernels[""] if set(kernels) == {""} else kernels


def _kinds(get, precision):
    """What was asked for, checked."""
    get = (get,) if isinstance(get, str) else tuple(get)
    unknown = [kind for kind in get if kind not in ("nngp", "ntk")]
    if unknown or not get or precision not in ("accurate", "fast"):
        raise ValueError(f"get is 'nngp', 'ntk' or both, precision 'accurate' or 'fast'; got {get}, {precision!r}")
    if "ntk" in get and NO_NTK:
        raise ValueError(f"this network has an NNGP but no NTK: {NO_NTK}; ask for get='nngp'")
    return get


def kernel(x1, x2=None, *, get=("nngp", "ntk"), precision="accurate", **params):
    """NNGP and NTK between the rows of x1 (n1, d) and x2 (n2, d), or of x1 with itself.

    precision="accurate" keeps inner products in float64 where float32 would lose digits, and the recursion, too, unless it
    runs on angles, which do not lose them; "fast" computes all of it in the type of the inputs. Hyperparameters are keyword
    arguments; changing one does not recompile, and jax.grad reaches it (forward mode only with `jax_enable_x64`).
    """
    get = _kinds(get, precision)
    evaluate = _compiled if jax.config.jax_enable_x64 else _differentiable
    with jax.enable_x64(True):
        a = _check("x1", x1, INPUTS)
        b = a if x2 is None else _check("x2", x2, INPUTS)
        for u, v in zip(a, b, strict=True):
            if u.shape[1] != v.shape[1] or u.dtype != v.dtype:
                raise ValueError(f"x1 and x2 differ in kind: {u.shape[1]} features of {u.dtype}, {v.shape[1]} of {v.dtype}")
        out = evaluate(a, b, _hyperparameters(params), get, x2 is None, precision)
    return Kernel(*(_unwrap(out[kind]) if kind in get else None for kind in ("nngp", "ntk")))


def nngp(x1, x2=None, **options):
    """The NNGP kernel alone."""
    return kernel(x1, x2, get="nngp", **options).nngp


def ntk(x1, x2=None, **options):
    """The neural tangent kernel alone."""
    return kernel(x1, x2, get="ntk", **options).ntk


def diagonal(x, *, get=("nngp", "ntk"), precision="accurate", **params):
    """The kernels of each row with itself, of shape (n,)."""
    get = _kinds(get, precision)
    with jax.enable_x64(True):
        xs = _check("x", x, INPUTS)
        dtype = jnp.float64 if precision == "accurate" and not BY_ANGLE else xs[0].dtype
        own = jax.jit(_own, static_argnames=("get", "dtype"))
        out = jax.tree.map(lambda v: v.astype(xs[0].dtype), own(xs, _hyperparameters(params), get, dtype))
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
