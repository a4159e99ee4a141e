"""Hermite coefficients f_k(a) = E f(sqrt(a) x) He_k(x) / sqrt(k!), x ~ N(0, 1), by quadrature."""

import itertools
from functools import cache

import numpy as np
import sympy as sp

from ntkc.gaussian.near import values_of
from ntkc.gaussian.terms import NotClosed, Z
from ntkc.gaussian.values import Array

NODES, EDGES = 80, (-13.0, -5.0, -2.0, 0.0, 2.0, 5.0, 13.0)


class Unbounded(NotClosed):
    """E f^2 is infinite, or f is not defined where a Gaussian variable may be."""


def coefficients(
    function: sp.Expr, variance: float, kinks: tuple[sp.Expr, ...], terms: int, nodes: int = NODES
) -> tuple[Array, float]:
    """(f_0 ... f_{terms-1}, E f^2)."""
    points, weights = quadrature(variance, kinks, nodes)
    values = values_of(function, np.sqrt(variance) * points)
    with np.errstate(all="ignore"):  # what is not finite is an error below
        mass = weights * values**2
    if not np.isfinite(mass).all() or max(mass[0], mass[-1]) > 1e-20 * np.sum(mass):
        raise Unbounded(f"{str(function).replace(str(Z), 'z')} grows too fast, or is not defined everywhere")
    return projected(weights * values, points, terms), float(np.sum(mass))


def quadrature(variance: float, kinks: tuple[sp.Expr, ...] = (), nodes: int = NODES) -> tuple[Array, Array]:
    """Gauss-Legendre points between the kinks, and weights times the normal density."""
    root = np.sqrt(variance)
    edges = sorted({*EDGES, *(float(k) / root for k in kinks if abs(float(k)) < EDGES[-1] * root)})
    x, w = _legendre(nodes)
    points = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in itertools.pairwise(edges)])
    weights = np.concatenate([(b - a) / 2 * w for a, b in itertools.pairwise(edges)])
    return points, weights * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)


def projected(weighted: Array, points: Array, terms: int) -> Array:
    """The coefficients of a function whose values were multiplied by the weights."""
    he = [np.ones_like(points), points]
    for k in range(1, terms - 1):
        he.append((points * he[k] - np.sqrt(k) * he[k - 1]) / np.sqrt(k + 1))
    return np.stack(he[:terms]) @ weighted


@cache
def _legendre(nodes: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(nodes)
