"""Functions of arrays that need care in floating point."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


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
        if all(tuple(-k for k in b) == n for n, b in zip(near, beyond, strict=True)):
            value = _polynomial(near, z)
            return jnp.where(far, -value, value)
        return jnp.where(far, _polynomial(beyond, z), _polynomial(near, z))

    root = jnp.sqrt(jnp.maximum(z, jnp.finfo(z.dtype).tiny))  # no NaN in the gradient at z = 0
    return branch(near_even, far_even) + root * branch(near_odd, far_odd)


def _scaled_cosh(x, y):
    """cosh(x) exp(y) without overflow between the two."""
    return (jnp.exp(y + x) + jnp.exp(y - x)) / 2


def _scaled_sinh(x, y):
    """sinh(x) exp(y), with its digits where x is small and without overflow where it is large."""
    return -jnp.sign(x) * jnp.exp(y + jnp.abs(x)) * jnp.expm1(-2 * jnp.abs(x)) / 2


def _full(x, like, trailing):
    """An output in the type of an array and in the shape of its last axes."""
    return jnp.broadcast_to(jnp.asarray(x, like.dtype), like.shape[like.ndim - trailing :])


def _hermite(functions, variance, terms, edges):
    """For each function f, E f(sqrt(a) x) He_k(x) / sqrt(k!) for k < terms, stacked in front, by quadrature between the kinks on
    80 Gauss-Legendre nodes per piece; the nodes are the same for all variances where no kink is but at 0."""
    root = _sqrt(variance)[..., None]
    x0, w0 = (jnp.asarray(v, root.dtype) for v in _LEGENDRE)
    ends = jnp.asarray((-13.0, -5.0, -2.0, 0.0, 2.0, 5.0, 13.0), root.dtype)
    if moving := [jnp.clip(k / jnp.where(root > 0, root, 1), -13.0, 13.0) for k in edges if k]:
        ends = jnp.sort(jnp.concatenate([jnp.broadcast_to(ends, (*variance.shape, 7)), *moving], -1), -1)
    half, middle = (ends[..., 1:] - ends[..., :-1]) / 2, (ends[..., 1:] + ends[..., :-1]) / 2
    x = (half[..., None] * x0 + middle[..., None]).reshape(*ends.shape[:-1], -1)
    w = (half[..., None] * w0).reshape(x.shape) * jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    values = [f(root * x) for f in functions]

    def next_order(pair, k):
        low, high = pair
        found = [jnp.sum(v * low, -1) for v in values] if moving else low
        return (high, (x * high - jnp.sqrt(k + 1) * low) / jnp.sqrt(k + 2)), found

    found = lax.scan(next_order, (w, w * x), jnp.arange(terms, dtype=x.dtype))[1]
    return found if moving else [jnp.moveaxis(jnp.matmul(v, found.T, precision="highest"), -1, 0) for v in values]


def _near(z, value, radius, above, below=None):
    """A formula's value, or where it cancels, a polynomial in z: for z >= 0, and for z < 0 where that is another."""
    small = jnp.abs(z) < radius
    x = jnp.where(small, z, 0)

    def polynomial(coefficients):
        return jnp.polyval(jnp.asarray(coefficients[::-1], x.dtype), x)

    inner = polynomial(above) if below is None else jnp.where(x >= 0, polynomial(above), polynomial(below))
    return jnp.where(small, inner, value)


def _near_zero(closed, series, a, b, limit):
    """A closed form, or where it cancels, because one of the variances is small, the series."""
    small = jnp.minimum(a, b) <= limit
    return lax.cond(jnp.any(small), lambda: jnp.where(small, series(), closed), lambda: closed)


def _series(f, g, c, a, b, terms, edges=(), split=None, trust=None):
    """E f(u) g(v) = sum over k < terms of f_k(a) g_k(b) rho^k, rho = c / sqrt(a b); by quadrature where u = v. Where p, q with
    the kinks of f, g are given, it is E p(u) q(v) and the sum of f_k g_k - p_k q_k. `trust` is the error, relative to
    sqrt(E f^2 E g^2), beyond which it is NaN, and the largest variance that the quadrature is right for."""
    p, q = ([_damped(part)] for part in split) if split else ([], [])
    left, right = _hermite([f, *p], a, terms, edges), _hermite([g, *q], b, terms, edges)
    m = _sqrt(a) * _sqrt(b)
    rho = jnp.clip(jnp.where(m > 0, c / jnp.where(m > 0, m, 1), 0), -1, 1)

    def add(i, total):
        f_g, *p_q = (s[terms - 1 - i] * t[terms - 1 - i] for s, t in zip(left, right, strict=True))
        return total * rho + f_g - sum(p_q)

    total = lax.fori_loop(0, terms, add, jnp.zeros_like(rho + m))
    total += _damped_pair(*split, c, a, b) if split else 0
    (exact,) = _hermite([lambda z: f(z) * g(z)], a, 1, edges)
    same = (c == a) & (a == b)
    if trust:
        rests = (_rests([f, *p], left, a, edges), _rests([g, *q], right, b, edges))
        total = _trusted(total, same, rho**terms, *rests, (a <= trust[1]) & (b <= trust[1]), trust[0])
    return total + lax.stop_gradient(jnp.where(same, exact[0] - total, 0))


def _rests(functions, found, variance, edges):
    """Of f - p and p, or of f alone: the roots of what the coefficients leave of their second moments, over that of E f^2."""
    f, *p = functions
    parts = [lambda z: f(z) - p[0](z), *p] if p else [f]
    tables = [found[0] - found[1], found[1]] if p else found
    whole, *squares = _hermite([lambda z, h=h: h(z) ** 2 for h in (f, *parts)], variance, 1, edges)
    return [_sqrt(_ratio(s[0] - jnp.sum(t**2, 0), whole[0])) for s, t in zip(squares, tables, strict=True)]


def _trusted(total, same, power, left, right, resolved, loosest):
    """NaN where what is left out may be more than `loosest`, or than rounding hides; where u = v only its derivatives are, as the
    value is not taken from the series. By Cauchy and Schwarz, p q alone not being left out."""
    bound = sum(r * s for i, r in enumerate(left) for j, s in enumerate(right) if not i or not j) * jnp.abs(power)
    limit = max(loosest, 4 * math.sqrt(jnp.finfo(total.dtype).eps))
    lost = lax.stop_gradient(~(resolved & (bound <= limit)))
    still = jnp.where(lost & same, total - lax.stop_gradient(total), 1)
    return total * jnp.where(lost & ~same, jnp.nan, 1).astype(total.dtype) + jnp.where(lost & same, jnp.sqrt(still), 0)


def _damped(part):
    """p(z) = exp(-s z^2) (p_0 + p_1 z + ...) for z > 0, else 0, from (s, (p_0, p_1, ...))."""
    rate, powers = part
    return lambda z: jnp.where(z > 0, jnp.exp(-rate * z * z) * jnp.polyval(jnp.asarray(powers[::-1], z.dtype), z), 0)


def _damped_pair(p, q, c, a, b):
    """E p(u) q(v) of two such functions: the exponentials are moved into the covariance, and the powers of u and v over u, v > 0
    lowered by Stein's lemma, E u h(u, v) = a E dh/du + c E dh/dv, down to E H(u) H(v) and to densities at 0."""
    gram = _gram_root(c, a, b)
    alpha, beta = 2 * p[0], 2 * q[0]
    det = 1 + alpha * a + beta * b + alpha * beta * gram**2
    a, b, c, gram = (a + beta * gram**2) / det, (b + alpha * gram**2) / det, c / det, gram / jnp.sqrt(det)
    root_a, root_b = _sqrt(a), _sqrt(b)
    up = [math.gamma((k + 1) / 2) * 2 ** (k / 2) / math.sqrt(8) / math.pi for k in range(max(len(p[1]), len(q[1])))]
    at_u = [k * _ratio(gram, root_a) ** j * root_a for j, k in enumerate(up)]  # a E delta(u) v^j H(v)
    at_v = [k * _ratio(gram, root_b) ** i * _ratio(c, root_b) for i, k in enumerate(up)]  # c E u^i H(u) delta(v)
    rows = {(0, 0): (math.pi / 2 + _atan2(c, gram)) / (2 * math.pi)}
    for j in range(1, len(q[1])):
        below = (j - 1) * rows[0, j - 2] * b if j > 1 else root_b * up[0]
        rows[0, j] = below + up[j - 1] * _ratio(gram, root_a) ** (j - 1) * _ratio(c, root_a)
    for i in range(1, len(p[1])):
        for j in range(len(q[1])):
            below = a * (i - 1) * rows[i - 2, j] if i > 1 else at_u[j]
            rows[i, j] = below + (c * j * rows[i - 1, j - 1] if j else at_v[i - 1])
    return sum(s * t * rows[i, j] for i, s in enumerate(p[1]) for j, t in enumerate(q[1]) if s * t) / jnp.sqrt(det)


def _repeat(count, body, state):
    """`lax.fori_loop`, with a state of the shapes and types that a turn gives it."""
    turn = jax.jit(body)  # traced once for its shapes and the loop
    state, settled = _settled(partial(turn, 0), state)
    return lax.fori_loop(0, count, lambda i, s: settled(turn(i, s)), state)


def _by_cells(cell, count, states, dtype, tables, firsts, seconds):
    """Tables (count, count) by a function of one cell (t, r) of them, of the cells above (t - 1, r), beside (t, r - 1) and at the
    corner of both, all 0 before the first step. It reads entries (t, r) of other tables, moments of x at t and of x' at r."""

    def row(above, xs):
        t, at_t, first = xs
        corners = [jnp.concatenate([jnp.zeros(1, dtype), v[:-1]]) for v in above]

        def column(beside, ys):
            r, at, second, up, corner = ys
            found = cell(up, beside, corner, at, first, second, t == r)
            found = tuple(jnp.asarray(v, dtype) for v in found)
            return found, found

        start = (jnp.zeros((), dtype),) * states
        _, found = lax.scan(column, start, (jnp.arange(count), at_t, seconds, above, corners))
        return found, found

    return lax.scan(row, (jnp.zeros(count, dtype),) * states, (jnp.arange(count), tables, firsts))[1]


def _where(condition, x, y):
    """`jnp.where`, decided at once where the condition is known."""
    return (x if condition else y) if isinstance(condition, bool) else jnp.where(condition, x, y)


def _stack(count, body, state):
    """`lax.scan` over turns, with a state of the shapes and types that a turn gives it."""
    body = jax.jit(body)  # traced once for its shapes and the loop
    state, settled = _settled(lambda s: body(s, None)[0], state)

    def turn(s, _):
        after, kept = body(s, None)
        return settled(after), kept

    return lax.scan(turn, state, None, length=count)


def _settled(turn, state):
    """The state before the first turn as wide as any later one, and a function that makes a later one as wide."""
    state = tuple(map(jnp.asarray, state))
    for _ in range(3):
        after = jax.eval_shape(turn, state)
        before, state = (
            state,
            tuple(
                jnp.broadcast_to(v.astype(jnp.promote_types(v.dtype, s.dtype)), jnp.broadcast_shapes(v.shape, s.shape))
                for v, s in zip(state, after, strict=True)
            ),
        )
        if all(v.shape == w.shape and v.dtype == w.dtype for v, w in zip(before, state, strict=True)):
            break
    return state, lambda s: tuple(jnp.broadcast_to(jnp.asarray(v, w.dtype), w.shape) for v, w in zip(s, state, strict=True))
