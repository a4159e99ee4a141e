"""E f(u) g(v) as a Hermite series, for functions without a closed form.

E f(u) g(v) = sum_k f_k(a) g_k(b) rho^k, with f_k(a) = E f(sqrt(a) x) He_k(x) / sqrt(k!), rho = c/sqrt(ab) (Mehler 1866). What is
left out after K terms is at most |rho|^K sqrt(tail_f tail_g), tail_f = E f^2 - sum_{k<K} f_k^2 (Parseval, Cauchy-Schwarz).
"""

import itertools
from dataclasses import dataclass

import numpy as np
import sympy as sp

from ntkc.gaussian.terms import NotClosed, Z

TERMS = 96
VARIANCES = (0.1, 0.5, 1.0, 2.0, 4.0)
LOOSEST = 0.12
"""The largest error bound, relative to sqrt(E f^2 E g^2), with which a series is still used; the user is told of it."""
NODES, EDGES = 80, (-13.0, -5.0, -2.0, 0.0, 2.0, 5.0, 13.0)


@dataclass(frozen=True, slots=True)
class Series:
    """The first `terms` of the series, and the bound on the rest at |rho| = 1 for each variance of `VARIANCES`."""

    f: sp.Expr
    g: sp.Expr
    terms: int
    bounds: tuple[float, ...]
    kinks: tuple[sp.Expr, ...] = ()


class Unbounded(NotClosed):
    """E f^2 is infinite, or f is not defined where a Gaussian variable may be."""


def series(f: sp.Expr, g: sp.Expr) -> Series:
    """The series of two functions of `Z`, with its error bound measured at the reference variances."""
    kinks = tuple(sorted({*_kinks(f), *_kinks(g)}, key=sp.default_sort_key))
    (tails, squares), (others, other_squares) = (_tails(h, kinks) for h in (f, g))
    bounds = tuple(float(np.sqrt(s * t)) for s, t in zip(tails, others, strict=True))
    sizes = [float(np.sqrt(s * t)) for s, t in zip(squares, other_squares, strict=True)]
    worst = max(bound / size for bound, size in zip(bounds, sizes, strict=True) if size)
    if worst > LOOSEST:
        raise NotClosed(f"it has no closed form, and {TERMS} terms of its Hermite series may be off by {worst:.0%}")
    return Series(f, g, TERMS, bounds, kinks)


def coefficients(
    function: sp.Expr, variance: float, kinks: tuple[sp.Expr, ...], terms: int = TERMS, nodes: int = NODES
) -> tuple[np.ndarray, float]:
    """(f_0 ... f_{terms-1}, E f^2) by Gauss-Legendre quadrature between the kinks."""
    root = np.sqrt(variance)
    edges = sorted({*EDGES, *(float(k) / root for k in kinks if abs(float(k)) < EDGES[-1] * root)})
    x, w = np.polynomial.legendre.leggauss(nodes)
    points = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in itertools.pairwise(edges)])
    weights = np.concatenate([(b - a) / 2 * w for a, b in itertools.pairwise(edges)])
    weights = weights * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
    with np.errstate(all="ignore"):  # what is not finite is an error below
        values = np.broadcast_to(sp.lambdify(Z, function, ["scipy", "numpy"])(root * points), points.shape)
        mass = weights * values**2
    if not np.isfinite(mass).all() or max(mass[0], mass[-1]) > 1e-20 * np.sum(mass):
        raise Unbounded(f"{str(function).replace(str(Z), 'z')} grows too fast, or is not defined everywhere")
    he = [np.ones_like(points), points]
    for k in range(1, terms - 1):
        he.append((points * he[k] - np.sqrt(k) * he[k - 1]) / np.sqrt(k + 1))
    return np.array([np.sum(weights * values * h) for h in he[:terms]]), float(np.sum(mass))


def _tails(function: sp.Expr, kinks: tuple[sp.Expr, ...]) -> tuple[list[float], list[float]]:
    """What the series leaves out of E f^2, and E f^2 itself, for each reference variance."""
    free = function.free_symbols - {Z}
    if free:
        names = ", ".join(sorted(map(str, free)))
        raise NotClosed(f"{function} has no closed form, and its series cannot be bounded for unknown {names}")
    found, squares = list[float](), list[float]()
    for variance in VARIANCES:
        h, square = coefficients(function, variance, kinks)
        finer = coefficients(function, variance, kinks, 2, 2 * NODES + 1)[1]
        if abs(finer - square) > 1e-2 * square:  # as at a pole
            raise Unbounded(f"E f^2 of {str(function).replace(str(Z), 'z')} is infinite, or cannot be computed")
        found.append(max(square - float(np.sum(h**2)), 0.0) + 1e-15 * square)
        squares.append(square)
    return found, squares


def _kinks(function: sp.Expr) -> set[sp.Expr]:
    """Points where a piece of the function changes."""
    arguments = {h.args[0] for h in function.atoms(sp.Heaviside, sp.Abs, sp.sign)}
    arguments |= {a - b for m in function.atoms(sp.Max, sp.Min) for a in m.args for b in m.args if a != b}
    for piece in function.atoms(sp.Piecewise):
        arguments |= {c.gts - c.lts for _, c in piece.args if isinstance(c, sp.core.relational.Relational)}
    roots = {root for argument in arguments if argument.has(Z) for root in sp.solve(argument, Z)}
    return {root for root in roots if root.is_real and root.is_number}
