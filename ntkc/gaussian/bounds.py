"""What a Hermite series leaves out, by Parseval: tail_f = sum_{k>=K} f_k^2 = E f^2 - sum_{k<K} f_k^2.

That difference has no more digits than E f^2. Of a function whose third derivative has no worse than jumps a second bound sees
further: the coefficients of the derivatives in x are (f''')_(k-3) = sqrt(k (k-1) (k-2)) f_k, so that
tail_f <= (E f'''^2 - sum_{k<K-3} (f''')_k^2) / (K (K-1) (K-2)).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from ntkc.gaussian.hermite import NODES, Unbounded, coefficients, projected, quadrature
from ntkc.gaussian.kinks import Damped, pieces
from ntkc.gaussian.near import values_of
from ntkc.gaussian.terms import Z
from ntkc.gaussian.values import Array

TERMS = (96, 192, 384)
"""Lengths that a series may have."""
VARIANCES = (0.1, 0.5, 1.0, 2.0, 4.0)
NOISE, HUGE = 1e-15, 1e100
ORDER = 3


@dataclass(frozen=True, slots=True)
class Tails:
    """At one variance: E f^2, and the tails of p and of r = f - p after each number of `TERMS`."""

    square: float
    part: Array
    rest: Array


@cache
def tails(function: sp.Expr, kinks: tuple[sp.Expr, ...], part: Damped | None) -> tuple[Tails, ...]:
    """For each reference variance; without `part`, p = 0."""
    found = []
    for variance in VARIANCES:
        square = coefficients(function, variance, kinks, 2)[1]
        finer = coefficients(function, variance, kinks, 2, 2 * NODES + 1)[1]
        if abs(finer - square) > 1e-2 * square:  # as at a pole
            raise Unbounded(f"E f^2 of {str(function).replace(str(Z), 'z')} is infinite, or cannot be computed")
        found.append(tails_at(function, kinks, part, variance))
    return tuple(found)


@cache
def tails_at(function: sp.Expr, kinks: tuple[sp.Expr, ...], part: Damped | None, variance: float) -> Tails:
    """For one variance that quadrature is right for."""
    square = coefficients(function, variance, kinks, 2)[1]
    x, w = quadrature(variance, kinks)
    z = np.sqrt(variance) * x
    p = part.values(z) if part else np.zeros_like(z)
    rest = _tail(values_of(function, z) - p, x, w)
    if (slopes := _slopes(function, part)) is not None:
        rest = _smaller(rest, _by_slopes(slopes, part, variance), square + float(np.sum(w * p**2)))
    return Tails(square, _tail(p, x, w), rest)


def left_out(s: Tails, t: Tails, n: int) -> float:
    """What the first `TERMS[n]` terms leave out at most where |rho| = 1."""
    products = (s.part[n] * t.rest[n], s.rest[n] * t.part[n], s.rest[n] * t.rest[n])
    return float(np.sum(np.sqrt(products)))


def _tail(values: Array, x: Array, w: Array, shift: int = 0) -> Array:
    """E f^2 without the squares of the first coefficients."""
    h, square = projected(w * values, x, TERMS[-1]), float(np.sum(w * values**2))
    return np.array([max(square - float(np.sum(h[: n - shift] ** 2)), 0.0) + NOISE * square for n in TERMS])


@cache
def _slopes(function: sp.Expr, part: Damped | None) -> tuple[sp.Expr, sp.Expr] | None:
    """Third derivatives for z > 0 and z < 0, where those of r have no worse than a jump at 0."""
    found = pieces(function)
    if found is None or (found[0] != found[1] and part is None):
        return None
    above, below = (sp.diff(piece, Z, ORDER) for piece in found)
    return above, below


def _by_slopes(slopes: tuple[sp.Expr, sp.Expr], part: Damped | None, variance: float) -> Array | None:
    """Tails of r by its third derivative; none where its square has no integral that two quadratures agree on."""
    squares = list[float]()
    for nodes in (2 * NODES + 1, NODES):
        x, w = quadrature(variance, (), nodes)
        z = np.sqrt(variance) * x
        r = np.where(z > 0, *(values_of(slope, z) for slope in slopes)) - (part.values(z, ORDER) if part else 0)
        if not np.isfinite(r).all() or np.abs(r).max() > HUGE:
            return None
        r = r * variance ** (ORDER / 2)
        squares.append(float(np.sum(w * r**2)))
    finer, square = squares
    if abs(finer - square) > 1e-2 * square:
        return None
    lengths: Array = np.array([float(sp.ff(n, ORDER)) for n in TERMS])
    return _tail(r, x, w, ORDER) / lengths


def _smaller(direct: Array, other: Array | None, square: float) -> Array:
    """The smaller bound, if the two contradict each other by no more than rounding."""
    if other is None or np.any(direct > other + 10 * NOISE * square):
        return direct
    return np.minimum(direct, other)
