"""Re-checks the chain of each Gaussian expectation: every derivative in c is the next link (exactly, and to 50 digits at random
points), every link at c = 0 is a product of one-dimensional integrals, and the whole agrees with a two-dimensional integral."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

DIGITS = 50
A, B, C = sp.Symbol("a", positive=True), sp.Symbol("b", positive=True), sp.Symbol("c", real=True)
Z = sp.Symbol("z", real=True)
SIGNS = {"a": "positive", "b": "positive"}
Point = dict[sp.Symbol, sp.Expr]


@dataclass(frozen=True, slots=True)
class Chain:
    """`links[i]` is E f^(i)(u) g^(i)(v) under N(0, [[a, c], [c, b]]); `value` is what the chain adds to the whole."""

    f: sp.Expr
    g: sp.Expr
    links: tuple[sp.Expr, ...]
    value: sp.Expr


@dataclass(frozen=True, slots=True)
class Expectation:
    """`value` is E f(u) g(v) in a, b, c: the sum of the chains."""

    f: sp.Expr
    g: sp.Expr
    value: sp.Expr
    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim and whether it held; `exact` means by symbolic simplification, not only at points."""

    claim: str
    ok: bool
    exact: bool
    detail: str = ""


def check(expectation: Expectation, seed: int = 0) -> list[Finding]:
    """All claims of one expectation."""
    source = random.Random(seed)
    free = set[sp.Symbol]().union(*(link.free_symbols for chain in expectation.chains for link in chain.links))
    points = [_point(source, free | expectation.value.free_symbols) for _ in range(3)]
    findings = [finding for chain in expectation.chains for finding in _links(chain, points)]
    total = sp.Add(*(chain.value for chain in expectation.chains))
    gap = _largest(total - expectation.value, points)
    findings.append(Finding("the chains add up to the closed form", gap < 1e-40, False, f"gap {mp.nstr(gap, 2)}"))
    exact = [float(expectation.value.evalf(20, subs=p)) for p in points]
    error = max(abs(_direct(expectation, p) - v) / (1 + abs(v)) for p, v in zip(points, exact, strict=True))
    findings.append(Finding("agrees with a two-dimensional integral", error < 1e-8, False, f"gap {error:.1e}"))
    return findings


def _point(source: random.Random, symbols: set[sp.Symbol]) -> Point:
    a, b, rho = (sp.Rational(source.randrange(30, 170), 100) for _ in range(3))
    point = {s: sp.Rational(source.randrange(20, 180), 100) for s in sorted(symbols - {A, B, C}, key=str)}
    return {**point, A: a, B: b, C: sp.Rational(int(1e6 * (rho - 1) / 0.75 * np.sqrt(float(a * b))), 10**6)}


def _links(chain: Chain, points: list[Point]) -> list[Finding]:
    if len(chain.links) == 1:
        return []  # elementary from the start; the two-dimensional integral covers it
    findings = []
    for i, (link, following) in enumerate(zip(chain.links, chain.links[1:], strict=False)):
        gap = sp.diff(link, C) - following
        exact = _vanishes(gap)
        worst = mp.mpf(0) if exact else _largest(gap, points)
        ok = exact or worst < 1e-40
        detail = "by simplification" if exact else f"to {DIGITS} digits: gap {mp.nstr(worst, 2)}"
        findings.append(Finding(f"d/dc of link {i} is link {i + 1}: {link}", ok, exact, detail))
        error = max(_boundary(chain, i, link, p) for p in points)
        findings.append(Finding(f"link {i} at c = 0 is a product of expectations", error < 1e-9, False, f"gap {error:.1e}"))
    return findings


def _vanishes(expr: sp.Expr) -> bool:
    """Zero in the field of a, b, c and S, where S^2 is the radicand."""
    roots = sorted({n.base for n in expr.atoms(sp.Pow) if n.exp.is_Rational and n.exp.q == 2 and n.has(C)}, key=str)
    if len(roots) > 1:
        return False
    s = sp.Dummy("s", positive=True)
    if roots:
        expr = expr.replace(
            lambda n: n.is_Pow and n.base == roots[0] and n.exp.is_Rational and n.exp.q == 2, lambda n: s ** (2 * n.exp)
        )
    numerator = sp.expand(sp.fraction(sp.together(expr))[0])
    angles = sorted(numerator.atoms(sp.atan2, sp.atan), key=str)
    numerator = numerator.xreplace({angle: sp.Dummy() for angle in angles})
    return bool(sp.expand(sp.rem(numerator, s**2 - roots[0], s)) == 0) if roots else numerator == 0


def _largest(expr: sp.Expr, points: list[Point]) -> Any:
    return max(abs(mp.mpf(sp.re(expr.evalf(DIGITS, subs=p))._to_mpmath(DIGITS))) for p in points)


def _boundary(chain: Chain, order: int, link: sp.Expr, point: Point) -> float:
    """|link at c = 0 - E f^(i)(u) E g^(i)(v)| by quadrature; a delta at 0 gives the density there times its coefficient."""
    value = float(link.subs(C, 0).evalf(20, subs={k: v for k, v in point.items() if k != C}))
    means = (_mean(h, order, point, variance) for h, variance in ((chain.f, A), (chain.g, B)))
    return abs(value - float(np.prod(list(means))))


def _mean(function: sp.Expr, order: int, point: Point, variance: sp.Symbol) -> float:
    """E of the derivative, by parts onto the density: E f^(i)(u) = E f(u) He_i(u/s) / s^i."""
    root = float(sp.sqrt(point[variance]))
    x, w = _normal((-12.0, -3.0, 0.0, 3.0, 12.0), 80)
    he = np.polynomial.hermite_e.HermiteE.basis(order)(x)
    return float(np.sum(w * _values(function, point, root * x) * he) / root**order)


def _direct(expectation: Expectation, point: Point) -> float:
    """E f(u) g(v) by quadrature over u = s x, v = t (rho x + sqrt(1 - rho^2) y), with v split where its kink is."""
    s, t = (float(sp.sqrt(point[k])) for k in (A, B))
    rho = float(point[C]) / (s * t)
    tau = np.sqrt(1 - rho**2)
    x, w = _normal((-12.0, -3.0, 0.0, 3.0, 12.0), 80)
    kinks = np.clip(-rho * x / tau, -11.9, 11.9)
    y, inner = (np.stack(rows) for rows in zip(*(_normal(_around(kink), 60) for kink in kinks), strict=True))
    g = _values(expectation.g, point, t * (rho * x[:, None] + tau * y))
    return float(np.sum(w * _values(expectation.f, point, s * x) * np.sum(inner * g, 1)))


def _around(kink: float) -> tuple[float, ...]:
    return tuple(sorted([-12.0, kink - 4, kink, kink + 4, 12.0]))


@cache
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def _normal(ends: tuple[float, ...], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, and weights times the normal density, of Gauss-Legendre quadrature between consecutive ends."""
    x0, w0 = _legendre(count)
    x = np.concatenate([(b - a) / 2 * x0 + (a + b) / 2 for a, b in itertools.pairwise(ends)])
    w = np.concatenate([(b - a) / 2 * w0 for a, b in itertools.pairwise(ends)])
    return x, w * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _values(function: sp.Expr, point: Point, z: np.ndarray) -> np.ndarray:
    return np.broadcast_to(_callable(function, tuple(sorted(point.items(), key=str)))(z), z.shape)


@cache
def _callable(function: sp.Expr, point: tuple[tuple[sp.Symbol, sp.Expr], ...]) -> Callable[[np.ndarray], np.ndarray]:
    fixed = function.subs({k: v for k, v in point if k in function.free_symbols and k != Z})
    return sp.lambdify(Z, fixed, ["scipy", "numpy"])  # type: ignore[no-any-return]
