"""What the reference computes with: tables, windows, and Gaussian expectations as functions of numbers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.bounds import TERMS, left_out, tails_at
from ntkc.gaussian.hermite import coefficients, projected, quadrature
from ntkc.gaussian.kinks import Damped
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series
from ntkc.ir.recursion import Dual, PositionMap, map_name
from ntkc.ir.sinusoids import Sinusoids


def windowed(x: Any, taps: list[list[int | None]]) -> Any:
    """Sum over taps of x at the positions they read, on both sides of a table; None reads a zero put at the end."""
    n, count = len(x), len(taps[0])
    padded = np.zeros((n + 1,) * x.ndim, dtype=x.dtype)
    padded[(slice(n),) * x.ndim] = x
    found = np.zeros((count,) * x.ndim, dtype=x.dtype)
    for tap in taps:
        at = [n if i is None else i for i in tap]
        found = found + padded[np.ix_(*(at,) * x.ndim)]
    return found


def by_samples(x: Any, counts: tuple[int, ...], part: Callable[[Any], Any]) -> Any:
    """A function of each block of a table between the positions of so many samples, or of each sample's moments."""
    if math.prod(counts) == 1:
        return part(x)
    rows = np.split(x, counts[0])
    if len(counts) == 1:
        return np.concatenate([part(v) for v in rows])
    return np.block([[part(w) for w in np.split(v, counts[1], 1)] for v in rows])


def mean_of_matching(x: Any) -> Any:
    """Over matching positions of a table, or over the positions of one sample."""
    values = np.diagonal(x) if x.ndim == 2 else x
    return np.full((1,) * x.ndim, values.sum() / len(values), dtype=x.dtype)


def identity(shape: tuple[int, ...]) -> Any:
    """Of a table, whose shape may not be known yet."""
    return np.eye(shape[0], shape[1], dtype=int) if math.prod(shape) > 1 else 1


def matching(x: Any) -> Any:
    """A table where the positions agree, zero elsewhere."""
    return x * np.eye(len(x), dtype=int)


def encoding(geometry: Sinusoids, alone: bool, dtype: Any) -> Any:
    """Moments between the positions of sinusoids, or their means."""
    if alone:
        return np.array(geometry.means(), dtype=object).astype(dtype)
    apart = abs(np.arange(geometry.rows)[:, None] - np.arange(geometry.columns))
    return np.array(geometry.moments(), dtype=object).astype(dtype)[apart]


def gram(x: Any, y: Any, dtype: Any) -> Any:
    """<x_p, y_q> / d."""
    rows, columns = (np.reshape(np.asarray(w, dtype=float), (-1, np.shape(w)[-1])) for w in (x, y))
    if dtype is float:
        return rows @ columns.T / rows.shape[1]
    numbers = [[[mp.mpf(float(t)) for t in row] for row in w] for w in (rows, columns)]
    return np.array([[mp.fdot(r, s) / len(r) for s in numbers[1]] for r in numbers[0]], dtype=object)


def agreement(x: Any, y: Any, dtype: Any) -> Any:
    """1 where two tokens are the same."""
    same = np.ravel(x)[:, None] == np.ravel(y)[None, :]
    return same.astype(int).astype(dtype) * (1 if dtype is float else mp.mpf(1))


def number_of(value: sp.Expr) -> Any:
    return mp.mpf(sp.Float(sp.N(value, mp.mp.dps), mp.mp.dps)._mpf_)


def callable_of(dual: Dual, given: Mapping[sp.Basic, Any], dtype: Any) -> Any:
    law = dual.law
    if isinstance(law, Series):
        return np.vectorize(lambda c, a, b: _summed(law, c, a, b), otypes=[dtype])
    free = sorted(law.value.free_symbols - {A, B, C}, key=str)
    compiled = sp.lambdify([C, A, B, *free], _clamped(law), ["scipy", "numpy"] if dtype is float else "mpmath")
    if dtype is float:
        return lambda c, a, b: np.real(compiled(c, a, b, *(given[s] for s in free)))
    return lambda c, a, b: mp.re(compiled(c, a, b, *(given[s] for s in free)))


def _clamped(law: Expectation) -> sp.Expr:
    """Roots of ab - c^2 are of max(ab - c^2, 0), which rounding may make negative where u = v."""
    gram = A * B - C**2
    return law.value.xreplace({gram: sp.Max(gram, 0)}).subs(sp.sqrt(gram), sp.sqrt(sp.Max(gram, 0)))


def _summed(law: Series, c: Any, a: Any, b: Any) -> Any:
    """The truncated series, with its coefficients to double precision: more digits would be beyond its own error. NaN where it
    may be off by more than it is trusted with."""
    if c == a == b:
        return mp.mpf(coefficients(law.f * law.g, float(a), law.kinks, 1)[0][0])
    rho = c / mp.sqrt(a * b) if a * b else mp.mpf(0)
    if not _trusted(law, float(abs(rho)), float(a), float(b)):
        return mp.nan
    left, right = (coefficients(h, float(s), law.kinks, law.terms)[0] for h, s in ((law.f, a), (law.g, b)))
    products, apart = left * right, 0.0
    if law.split is not None:
        p, q = law.split
        x, w = quadrature(1.0)
        kinked = (projected(w * h.values(np.sqrt(float(s)) * x), x, law.terms) for h, s in ((p, a), (q, b)))
        products = products - np.prod(list(kinked), 0)
        apart = _damped_pair(p, q, *map(float, (c, a, b)))
    return mp.fsum(mp.mpf(k) * rho**i for i, k in enumerate(products)) + apart


def _trusted(law: Series, rho: float, a: float, b: float) -> bool:
    """Whether what is left out is small enough at these variances."""
    if law.trust is None or max(a, b) > law.trust[1]:
        return law.trust is None
    p, q = law.split or (None, None)
    s, t = tails_at(law.f, law.kinks, p, a), tails_at(law.g, law.kinks, q, b)
    return rho**law.terms * left_out(s, t, TERMS.index(law.terms)) <= law.trust[0] * math.sqrt(s.square * t.square)


def _damped_pair(p: Damped, q: Damped, c: float, a: float, b: float) -> float:
    """E p(u) q(v) in polar coordinates: the radius by moments, the angle by quadrature over where u, v > 0."""
    alpha, beta = 2 * p.rate, 2 * q.rate
    gram = max(a * b - c**2, 0.0)
    det = 1 + alpha * a + beta * b + alpha * beta * gram
    a, b = (a + beta * gram) / det, (b + alpha * gram) / det
    angle = np.arctan2(np.sqrt(gram / det), c / det)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    width = (np.pi - angle) / 2
    at = (angle - np.pi / 2) + width * (nodes + 1)
    total = 0.0
    for i, s in enumerate(p.powers):
        for j, t in enumerate(q.powers):
            radius = 2 ** ((i + j) / 2) * math.gamma((i + j) / 2 + 1)
            around = np.sum(weights * np.cos(at) ** i * np.cos(at - angle) ** j) * width / (2 * np.pi)
            total += s * t * a ** (i / 2) * b ** (j / 2) * radius * around
    return float(total / np.sqrt(det))


def ratio(x: Any, y: Any) -> Any:
    """The intrinsic of this name."""
    return x / y if y else 0 * x


def ratios(x: Any, y: Any) -> Any:
    """The same of arrays."""
    return np.where(y == 0, 0.0, np.divide(x, np.where(y == 0, 1, y)))


def root_of_gram(c: Any, a: Any, b: Any) -> Any:
    """The intrinsic `gram_root`, of numbers of mpmath or of arrays."""
    return mp.sqrt(max(a * b - c**2, 0)) if isinstance(a, mp.mpf) else np.sqrt(np.maximum(a * b - c * c, 0))


def is_map(expr: sp.Basic, maps: Mapping[str, PositionMap]) -> bool:
    """Whether an expression is a map over positions, applied."""
    if not isinstance(expr, AppliedUndef):
        return False
    known = ("diagonal", "flat_mean", "matching", "_zeros", "_last_present", "_centred")
    name = expr.func.__name__
    return name in known or stem_of(name) in maps


def stem_of(name: str) -> str:
    """The name of a map."""
    return map_name(name).removesuffix("_alone").removesuffix("_tangent")
