"""Kernels of networks that normalize over the batch: one table for each pair of whole batches.

With v = G u the centred values of one channel (G subtracts the mean over the batch of B) a normalized value is
sqrt(B) v_a / sqrt(|v|^2 + B eps), which a function f of degree 1 hands on. Its moments have powers of 1/(|v|^2 + B eps), and

    q^-k Gamma(k) = integral over s > 0 of s^(k-1) exp(-s q)

tilts the Gaussian law of v by exp(-s |v|^2): again a Gaussian, times a constant (Yang et al. 2019, section 3). What is left under
it are E f g, E f' g', E f'' g and E f g'' of pairs, for all of them at once.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

# Steps of the rule, and the least |v|^2 that it is made for.
_FINE = (0.25, 1e-26)
_COARSE = (0.3, 1e-14)
# Samples times positions, of both batches; some twenty tables of so many rows are in memory at once.
_MOST = 4096


def _laplace(step, least):
    """s and w such that the sum of w s^(k-1) exp(-s q) is Gamma(k) q^-k up to a relative error of 2e-12 (steps of 0.25 for
    k = 1, 2, 3, of 0.3 for k = 1/2, 3/2) for `least` <= q <= 1: the trapezoidal rule in t, s = exp(t - exp(-t)) (Takahasi and
    Mori 1974)."""
    ts = [i * step for i in range(-math.ceil(3.9 / step), math.ceil(math.log(45 / least) / step) + 1)]
    s = [math.exp(t - math.exp(-t)) for t in ts]
    return jnp.asarray(s), jnp.asarray([step * v * (1 + math.exp(-t)) for v, t in zip(s, ts, strict=True)])


def _centred(k):
    """The covariance of the values less their means over samples and positions, on both sides of a table."""
    rank = k.ndim // 2
    k = k - jnp.mean(k, tuple(range(rank)), keepdims=True)
    return k - jnp.mean(k, tuple(range(rank, k.ndim)), keepdims=True)


def _places(own):
    """Samples and positions of each, of a table of a batch with itself."""
    return own.shape[: own.ndim // 2]


def _flat(own):
    """The same table with all of them on one axis."""
    return own.reshape(math.prod(_places(own)), -1)


def _root(omega):
    """R with R R^T = omega."""
    values, vectors = jnp.linalg.eigh(lax.stop_gradient(omega))
    return vectors * jnp.sqrt(_resolved(values))


def _resolved(values):
    """Eigenvalues in ascending order, 0 where they are rounding."""
    return jnp.where(values > values.shape[0] * jnp.finfo(values.dtype).eps * values[-1], values, 0)


def _halfway(root, first):
    """What N(0, R R^T) times exp(-sum_i d_i v_i^2) is with d = `first`, then 0, and the eigenvectors of the rest of the table."""
    n, size = first.shape[0], root.shape[0]
    lower = jnp.linalg.cholesky(jnp.eye(size) + 2 * (root[:n].T * first) @ root[:n])
    half = lax.linalg.triangular_solve(lower, root.T, left_side=True, lower=True)
    table, logarithm = half.T @ half, -jnp.sum(jnp.log(jnp.diagonal(lower)))
    values, vectors = jnp.linalg.eigh(table[n:, n:])
    return first, table[:n, :n], table[:n, n:] @ vectors, logarithm, _resolved(values), vectors


@jax.custom_jvp
def _tilted(omega, halfway, t):
    """The table P and logarithm L such that N(0, omega) times exp(-sum_i d_i v_i^2) is exp(L) N(0, P), where d is `first` and
    then t for the rest."""
    _, block, turned, _, values, vectors = halfway
    share = 1 / (1 + 2 * t * values)
    cross = (turned * share) @ vectors.T
    blocks = [
        [block - 2 * t * (turned * share) @ turned.T, cross],
        [cross.T, (vectors * (values * share)) @ vectors.T],
    ]
    return jnp.block(blocks), _logarithm(halfway, t)


def _logarithm(halfway, t):
    *_, logarithm, values, _ = halfway
    return logarithm - jnp.sum(jnp.log1p(2 * t * values)) / 2


def _tilted_jvp(primals, tangents):
    (omega, halfway, t), moved = primals, tangents[0]
    table, logarithm = _tilted(omega, halfway, t)
    d = jnp.concatenate([halfway[0], jnp.full(omega.shape[0] - halfway[0].shape[0], t)])
    apart = jnp.eye(d.shape[0]) - 2 * table * d
    return (table, logarithm), (apart @ moved @ apart.T, -jnp.sum(d[:, None] * apart * moved.T))


_tilted.defjvp(_tilted_jvp)


def _pairwise(f, blocks):
    """A function of (c, a, b) at all pairs."""
    first, cross, second = blocks
    return f(cross, jnp.diagonal(first)[:, None], jnp.diagonal(second)[None, :])


def _summed(term, nodes, weights, kept, size):
    """The sum of term(node, weight), arrays of `size` numbers, over the nodes that are kept: some at a time, and none is held
    for longer, not for derivatives either."""
    some = max(1, min(16, 2**17 // size))
    extra = -len(nodes) % some
    chunks = (jnp.pad(nodes, (0, extra), "edge"), jnp.pad(weights, (0, extra)), jnp.pad(kept, (0, extra)))
    like = jax.eval_shape(term, nodes[0], weights[0])

    @jax.checkpoint
    def part(t, w):
        return jnp.sum(jax.vmap(term)(t, w), 0)

    def step(total, chunk):
        t, w, chosen = chunk
        return total + lax.cond(jnp.any(chosen), part, lambda t, w: jnp.zeros(like.shape, like.dtype), t, w), None

    return lax.scan(step, jnp.zeros(like.shape, like.dtype), [v.reshape(-1, some) for v in chunks])[0]


def _counts(damped, *shifts):
    """Whether a node is more than rounding: the integrals are of the order of 1/sqrt(q q'), where q is 1/40 + n eps, or more."""
    return lax.stop_gradient(damped) > 1e-20 * math.prod(1 / jnp.sqrt(1 / 40 + v) for v in shifts)


def _within(integrand, own, eps):
    """B times the integral over s of integrand(blocks, s, exp(-s |v|^2)) within one batch, which is measured in units of |v|^2
    that it hardly exceeds."""
    n, unit = own.shape[0], _unit(own)
    omega, (s, w), shift = own / unit, _laplace(*_FINE), n * eps / unit
    halfway = _halfway(_root(omega), jnp.zeros(0))

    def damped(at, weight, logarithm):
        return weight * jnp.exp(logarithm - at * shift)

    def one(at, weight):
        table, logarithm = _tilted(omega, halfway, at)
        return integrand((table, table, table), damped(at, weight, logarithm), (at, at, at * at / 2))

    kept = _counts(damped(s, w, jax.vmap(partial(_logarithm, halfway))(s)), shift, shift)
    return n * _summed(one, s, w, kept, n * n)


def _across(integrand, table, own1, own2, eps1, eps2):
    """The same across two batches, of which `table` is the covariance: two integrals."""
    (n1, n2), unit1, unit2 = table.shape, _unit(own1), _unit(own2)
    cross, shift1, shift2 = table / jnp.sqrt(unit1 * unit2), n1 * eps1 / unit1, n2 * eps2 / unit2
    omega = jnp.block([[own1 / unit1, cross], [cross.T, own2 / unit2]])
    root, (nodes, weights) = _root(omega), _laplace(*_COARSE)
    weights = weights / jnp.sqrt(math.pi * nodes)

    def row(s, v):
        halfway = _halfway(root, jnp.full(n1, s))

        def damped(t, w, logarithm):
            return v * w * jnp.exp(logarithm - s * shift1 - t * shift2)

        def one(t, w):
            table, logarithm = _tilted(omega, halfway, t)
            blocks = table[:n1, :n1], table[:n1, n1:], table[n1:, n1:]
            return integrand(blocks, damped(t, w, logarithm), (2 * t, 2 * s, 4 * s * t))

        kept = _counts(damped(nodes, weights, jax.vmap(partial(_logarithm, halfway))(nodes)), shift1, shift2)
        return _summed(one, nodes, weights, kept, (n1 + n2) ** 2)

    return math.sqrt(n1 * n2) * _summed(row, nodes, weights, jnp.ones(len(nodes), bool), 2**17)


def _table(k, own1, own2):
    """The covariance less means of values of two batches, as a matrix; where they share a bias alone it is one number."""
    places = _places(own1), _places(own2)
    return _centred(jnp.broadcast_to(k, places[0] + places[1])).reshape(tuple(map(math.prod, places)))


def _unit(own):
    return 40 * lax.stop_gradient(jnp.trace(own))


def _normalized(second, table, own1, own2, same, eps1, eps2):
    """E f(x) g(x') of normalized x and x', from E f g of a pair; `own1` and `own2` are the centred tables of the two batches,
    `same` where they are one."""

    def integrand(blocks, damped, _):
        return damped * _pairwise(second, blocks)

    return _integrated(integrand, table, own1, own2, same, eps1, eps2)


def _integrated(integrand, table, own1, own2, same, eps1, eps2):
    """Of one batch or across two, as a table with the places of both."""
    flat1, flat2 = _flat(own1), _flat(own2)
    cross = None if same else _table(table, own1, own2)
    found = _within(integrand, flat1, eps1) if same else _across(integrand, cross, flat1, flat2, eps1, eps2)
    return found.reshape(_places(own1) + _places(own2))


def _normalized_tangent(functions, tangent, table, own1, own2, same, eps1, eps2):
    """The tangent moment of f(x) and g(x'), by E f g, E f' g', E f'' g and E f g'' of a pair: products of v with functions of it
    are taken apart by Stein's lemma. NaN where it is infinite or not resolved."""
    units = jnp.sqrt(_unit(_flat(own1)) * _unit(_flat(own2)))
    m = _table(tangent, own1, own2) / units

    def integrand(blocks, damped, powers):
        first, cross, second = blocks
        f_g, df_dg, ddf_g, f_ddg = (_pairwise(f, blocks) for f in functions)
        right, left = m @ cross.T, cross.T @ m
        one = right.diagonal()[:, None] * ddf_g + m @ second * df_dg
        other = first @ m * df_dg + left.diagonal()[None, :] * f_ddg
        inner = first @ m @ second + cross @ m.T @ cross
        both = jnp.trace(right) * f_g + inner * df_dg
        both += (first @ right).diagonal()[:, None] * ddf_g + (left @ second).diagonal()[None, :] * f_ddg
        return damped * (m * df_dg - powers[0] * one - powers[1] * other + powers[2] * both)

    found = _integrated(integrand, table, own1, own2, same, eps1, eps2)
    return jnp.where(_spread(_flat(own1), eps1) & _spread(_flat(own2), eps2), found, jnp.nan)


def _normalized_mean(mean, own, eps):
    """E f(x) of a normalized x, from E f of one value."""
    flat = _flat(own)
    n, unit = flat.shape[0], _unit(flat)
    omega, (s, w) = flat / unit, _laplace(*_FINE)
    halfway = _halfway(_root(omega), jnp.zeros(0))

    def one(at, weight):
        table, logarithm = _tilted(omega, halfway, at)
        return weight / jnp.sqrt(math.pi * at) * jnp.exp(logarithm - at * n * eps / unit) * mean(jnp.diagonal(table))

    return math.sqrt(n) * _summed(one, s, w, jnp.ones(len(s), bool), n * n).reshape(_places(own))


def _spread(own, eps):
    """Whether the batch spreads in at least three directions, without which E 1/|v|^2 is infinite, by eps or by itself."""
    values = jnp.linalg.eigvalsh(lax.stop_gradient(own))
    return values.shape[0] > 3 and values[-3] + eps > 1e-9 * values[-1]


def _check_points(sizes, positions, get):
    """Enough samples and positions for finite kernels, and few enough for tables between all of them."""
    grids = [[n or 4 for n in grid] for grid in NORMALIZED]  # of sizes known at run time only, `_spread` tells
    few, least = min(sizes) * min(map(math.prod, grids)), 4 if "ntk" in get else 2
    points = sum(sizes) * max(positions, *map(math.prod, grids))
    if points > _MOST:
        cure = "give smaller batches or inputs, or sample it: `option expectation = sampled`"
        raise ValueError(f"this network normalizes over the batch: tables of {points} points, {_MOST} at most; {cure}")
    if few < least:
        what = f"{few} samples" if max(map(len, grids)) == 0 else f"{few} values of each channel"
        cure = "give larger batches, or ask for get='nngp'" if few > 1 else "give larger batches"
        why = "E 1/|v|^2 of its values v, less their mean, is infinite and the NTK with it" if few > 1 else "it has no deviation"
        raise ValueError(f"this network normalizes over the batch, and of {what} {why}: {cure}")


def _by_batches(x1, x2, params, get, symmetric, dtype, precision):
    """Of two batches, or of one with itself, always in float64: the recursion of `_pair` with the samples as first positions."""
    sizes = (x1[0].shape[0],) if symmetric else (x1[0].shape[0], x2[0].shape[0])
    _check_points(sizes, _position_count(x1), get)
    wide1, wide2 = ([_cast(x, jnp.float64) for x in xs] for xs in (x1, x2))
    left = _alone(wide1, params)
    right = left if symmetric else _alone(wide2, params)
    return _recursion(get, params, jnp.float64)(*_grams(wide1, wide2, jnp.float64), left, right, symmetric)


def _own_by_batches(xs, params, get, dtype):
    """The kernels of each sample with itself, which are those of the whole batch."""
    return jax.tree.map(jnp.diagonal, _compiled(xs, xs, params, get, True, "accurate"))


def _compiled(x1, x2, params, get, symmetric, precision):
    """Whole tables; an error where they are not finite."""
    found = _whole(x1, x2, params, get, symmetric)
    for v in jax.tree.leaves(found):
        if not isinstance(v, jax.core.Tracer) and not _largest(v) < float("inf"):
            what = "the values of a batch vary in fewer than three directions, so that E 1/|v|^2 and the NTK are infinite"
            raise ValueError(f"{what}: give samples of more features, or ask for get='nngp'")
    return found


@partial(jax.jit, static_argnames=("get", "symmetric"))
def _whole(x1, x2, params, get, symmetric):
    out = _by_batches(x1, x2, params, get, symmetric, jnp.float64, "accurate")
    return jax.tree.map(lambda o: o.astype(_type_of(x1)), out)
