"""E s(u) t(v) for two elementary terms: polynomial times exponential, or a derivative of delta.

Gaussian factors are moved into the covariance: N(0, Sigma) times exp(-x' M x / 2) is sqrt(det) times N(0, (Sigma^-1 + M)^-1).
"""

from collections.abc import Iterator

import sympy as sp

from ntkc.gaussian.antiderivative import RING, VARIANCE_U, VARIANCE_V, Rational, Span, add, inverse, scale
from ntkc.gaussian.moments import A, B, C, isserlis, pairings
from ntkc.gaussian.terms import Term, check_growth

DET = sp.Symbol("det", positive=True)


def tilt(first: Term, second: Term) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
    """(det, a, b, c): the covariance after the two Gaussian factors, and E of these factors is 1/sqrt(det)."""
    for term in (first, second):
        check_growth(term.quadratic)
    alpha, beta = -2 * first.quadratic, -2 * second.quadratic
    det = (1 + alpha * A) * (1 + beta * B) - alpha * beta * C**2
    return det, (A * (1 + beta * B) - beta * C**2) / det, (B * (1 + alpha * A) - alpha * C**2) / det, C / det


def exponentials(first: Term, second: Term) -> tuple[sp.Expr, sp.Expr]:
    """(k, x): E of the product of two terms without step, erf and delta is k exp(x), in A, B, C."""
    det, *inside = tilt(first, second)
    a, b, c = (entry if det == 1 else sp.expand(entry * det) / DET for entry in inside)
    n, m, l1, l2 = first.power, second.power, first.linear, second.linear
    mean_u, mean_v = a * l1 + c * l2, c * l1 + b * l2
    moments = (
        sp.binomial(n, i) * sp.binomial(m, j) * mean_u ** (n - i) * mean_v ** (m - j) * isserlis(i, j, a, b, c)
        for i in range(n + 1)
        for j in range(m + 1)
    )
    by_power = sp.collect(sp.expand(sp.Add(*moments)), DET, evaluate=False)
    moment = sp.Add(*(sp.factor(k) * power for power, k in by_power.items()))
    exponent = (a * l1**2 + 2 * c * l1 * l2 + b * l2**2) / 2
    weight = first.coefficient * second.coefficient / sp.sqrt(det)
    return (weight * moment).subs(DET, det), exponent.subs(DET, det)


# The bottoms of the chains that start at z^n H(z) or z^n erf(r z). Along a chain only these three shapes of elementary term
# occur, so a side is a list of (coefficient, power) for z^power exp(-r^2 z^2), or one derivative of delta.

Gauss = tuple[tuple[Rational, int], ...]
Side = int | Gauss
"""The order of a derivative of delta, or a polynomial against exp(-r^2 z^2)."""


def bottom(first: Side, second: Side, scales: tuple[Rational, Rational]) -> Span:
    """E of the two sides with their squared scales, by powers of c and S, without the weights of `price.weight`."""
    if isinstance(first, int) and isinstance(second, int):
        return _deltas(first, second)
    if isinstance(first, int) and not isinstance(second, int):
        return _delta_and_gauss(first, second, VARIANCE_U, VARIANCE_V, scales[1])
    if isinstance(second, int) and not isinstance(first, int):
        return _delta_and_gauss(second, first, VARIANCE_V, VARIANCE_U, scales[0])
    assert not isinstance(first, int)
    assert not isinstance(second, int)
    return add(scale(_gauss(n, m, *scales), k * h) for k, n in first for h, m in second)


def slope(gauss: Gauss, squared_scale: Rational) -> Gauss:
    """The derivative of a polynomial times exp(-r^2 z^2)."""
    total: dict[int, Rational] = {}
    for power, k in _slopes(gauss, squared_scale):
        total[power] = total.get(power, RING.zero) + k
    return tuple((k, power) for power, k in total.items() if k != 0)


def _slopes(gauss: Gauss, squared_scale: Rational) -> Iterator[tuple[int, Rational]]:
    for k, n in gauss:
        if n:
            yield n - 1, k * n
        yield n + 1, -2 * squared_scale * k


def _deltas(i: int, j: int) -> Span:
    """(-1)^(i+j) d^i/du^i d^j/dv^j of the density at 0: a moment of minus the precision [[b, -c], [-c, a]]/S^2."""
    return scale(_moment(i, j, (-VARIANCE_V, RING.zero), (-VARIANCE_U, RING.zero)), RING.one * (-1) ** (i + j))


def _gauss(n: int, m: int, g: Rational, h: Rational) -> Span:
    alpha, beta = 2 * g, 2 * h
    uu = VARIANCE_U * (1 + beta * VARIANCE_V), -beta
    vv = VARIANCE_V * (1 + alpha * VARIANCE_U), -alpha
    return _moment(n, m, uu, vv)


def _moment(n: int, m: int, uu: tuple[Rational, Rational], vv: tuple[Rational, Rational]) -> Span:
    """S^-1 E u^n v^m with second moments (uu0 + uu1 c^2)/S^2, (vv0 + vv1 c^2)/S^2 and c/S^2."""
    power = -(n + m) - 1
    parts = []
    for k, count in pairings(n, m):
        polynomial = _multiply(_power(uu, (n - k) // 2), _power(vv, (m - k) // 2))
        parts.append({(2 * i + k, power, 0): entry * int(count) for i, entry in enumerate(polynomial)})
    return add(parts)


def _power(linear: tuple[Rational, Rational], exponent: int) -> list[Rational]:
    """(l0 + l1 x)^exponent by coefficients."""
    result = [RING.one]
    for _ in range(exponent):
        result = _multiply(result, list(linear))
    return result


def _multiply(p: list[Rational], q: list[Rational]) -> list[Rational]:
    product = [RING.zero] * (len(p) + len(q) - 1)
    for i, k in enumerate(p):
        for j, m in enumerate(q):
            product[i + j] += k * m
    return product


def _delta_and_gauss(i: int, gauss: Gauss, a: Rational, b: Rational, squared_scale: Rational) -> Span:
    """E delta^(i)(u) h(v), by E u d(u) h(v) = a E d'(u) h(v) + c E d(u) h'(v) down to i = 0, where v is conditioned."""
    if i == 0:
        return add(scale(_conditioned(n, a, b), k) for k, n in gauss)
    lower = _delta_and_gauss(i - 1, slope(gauss, squared_scale), a, b, squared_scale)
    parts = [{(n + 1, j, t): -k * inverse(a) for (n, j, t), k in lower.items()}]
    if i > 1:
        parts.append(scale(_delta_and_gauss(i - 2, gauss, a, b, squared_scale), -(i - 1) * inverse(a)))
    return add(parts)


def _conditioned(m: int, a: Rational, b: Rational) -> Span:
    """E delta(u) v^m exp(-h v^2): v given u = 0 has variance (ab - c^2)/a, and S^2 = a(1 + 2 h b) - 2 h c^2."""
    if m % 2:
        return {}
    polynomial = _power((a * b, -RING.one), m // 2)
    return {(2 * i, -m - 1, 0): k * int(sp.factorial2(m - 1)) for i, k in enumerate(polynomial)}
