"""The bound of a Hermite series: what its terms leave out of E f^2 and E g^2 (Parseval), by a quadrature of its own."""

from typing import Any

import numpy as np
import sympy as sp
from scipy.special import eval_hermitenorm, gammaln

from ntkc.checker.expected import Z, _kinks

SLACK = 1.01
REACH, PANELS, NODES = 13.0, 120, 24


def check(f: sp.Expr, g: sp.Expr, entry: dict[str, Any]) -> tuple[bool, str]:
    """Whether each stated bound is at least sqrt(tail_f tail_g), and what to say of it."""
    terms, worst = entry["terms"], max(entry["bounds"])
    for variance, bound in zip(entry["variances"], entry["bounds"], strict=True):
        (tail, size), (other, other_size) = (_tail(h, variance, terms) for h in (f, g))
        rounding = 1e-12 * np.sqrt(size * other_size)
        if np.sqrt(tail * other) > SLACK * bound + rounding:
            return False, f"variance {variance}: {np.sqrt(tail * other):.1e} is left out, more than {bound:.1e}"
    spread = f"{min(entry['variances'])} to {max(entry['variances'])}"
    return bool(np.isfinite(worst)), f"{terms} Hermite terms, error <= {worst:.1e} for variances {spread}"


def _tail(function: sp.Expr, variance: float, terms: int) -> tuple[float, float]:
    """E f^2 less the squares of the first coefficients, and E f^2."""
    root = np.sqrt(variance)
    kinks = [float(k) / root for k in _kinks(function, Z)]
    edges = np.unique(np.concatenate([np.linspace(-REACH, REACH, PANELS + 1), [k for k in kinks if abs(k) < REACH]]))
    x, w = np.polynomial.legendre.leggauss(NODES)
    points = (np.diff(edges)[:, None] * (x + 1) / 2 + edges[:-1, None]).ravel()
    weights = (np.diff(edges)[:, None] * w / 2).ravel() * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
    values = np.broadcast_to(sp.lambdify(Z, function, ["scipy", "numpy"])(root * points), points.shape)
    scaled = [eval_hermitenorm(k, points) * np.exp(-gammaln(k + 1) / 2) for k in range(terms)]
    square = float(np.sum(weights * values**2))
    return max(square - sum(float(np.sum(weights * values * he)) ** 2 for he in scaled), 0.0), square
