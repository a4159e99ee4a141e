"""The bound of a Hermite series: what its terms leave out of E f^2 and E g^2 (Parseval), by a quadrature of its own.

Where kinks stand apart, f = p + r and g = q + s with p(z) = H(z) exp(-rate z^2) times a polynomial, E p q is exact, and what is
left out is at most sqrt(tail_p tail_s) + sqrt(tail_r tail_q) + sqrt(tail_r tail_s).
"""

from typing import Any

import numpy as np
import sympy as sp

from ntkc.checker.expected import Z, _kinks

SLACK, NOISE = 1.01, 2e-15
"""How much above its bound a tail may be found, and the relative rounding of E f^2."""
REACH, PANELS, NODES = 13.0, 120, 24
Array = np.ndarray


def check(f: sp.Expr, g: sp.Expr, entry: dict[str, Any]) -> tuple[bool, str]:
    """Whether no stated bound is less than what is left out, as far as double precision tells, and what to say of it."""
    terms, worst = entry["terms"], max(entry["bounds"])
    apart = entry["apart"] or (None, None)
    for variance, bound in zip(entry["variances"], entry["bounds"], strict=True):
        (p, r), (q, s) = (_tails(h, part, variance, terms) for h, part in zip((f, g), apart, strict=True))
        left_out = float(np.sqrt(p * s) + np.sqrt(r * q) + np.sqrt(r * s))
        if not left_out <= SLACK * bound:
            return False, f"variance {variance}: {left_out:.1e} is left out, more than {bound:.1e}"
    spread = f"{min(entry['variances'])} to {max(entry['variances'])}"
    how = "a kink apart, " if entry["apart"] else ""
    return bool(np.isfinite(worst)), f"{how}{terms} Hermite terms, error <= {worst:.1e} for variances {spread}"


def _tails(function: sp.Expr, part: dict[str, Any] | None, variance: float, terms: int) -> tuple[float, float]:
    """Of what stands apart, and of the rest."""
    root = np.sqrt(variance)
    kinks = [0.0, *(float(k) / root for k in _kinks(function, Z))]
    edges = np.unique(np.concatenate([np.linspace(-REACH, REACH, PANELS + 1), [k for k in kinks if abs(k) < REACH]]))
    x, w = np.polynomial.legendre.leggauss(NODES)
    points = (np.diff(edges)[:, None] * (x + 1) / 2 + edges[:-1, None]).ravel()
    weights = (np.diff(edges)[:, None] * w / 2).ravel() * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
    z = root * points
    values = np.broadcast_to(sp.lambdify(Z, function, ["scipy", "numpy"])(z), z.shape)
    damped = np.zeros_like(z)
    if part is not None:
        damped = np.where(z > 0, np.polynomial.Polynomial(part["powers"])(z) * np.exp(-part["rate"] * z**2), 0.0)
    return _tail(damped, points, weights, terms), _tail(values - damped, points, weights, terms)


def _tail(values: Array, x: Array, w: Array, terms: int) -> float:
    """E f^2 less the squares of the first coefficients, and less what rounding may add to it."""
    square, found = float(np.sum(w * values**2)), 0.0
    before, he = np.zeros_like(x), np.ones_like(x)
    for k in range(terms):
        found += float(np.sum(w * values * he)) ** 2
        before, he = he, (x * he - np.sqrt(k) * before) / np.sqrt(k + 1)
    return max(square - found - NOISE * square, 0.0)
