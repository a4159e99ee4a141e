"""What a certificate says of moments of normalized values: that f and g are multiples of z on each side of 0, and their duals,
means and bends, proven; and the integral over a batch that is made of these, checked against means over random batches."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from scipy.stats import norm, qmc

from ntkc.checker.expected import Z, same_function
from ntkc.checker.text import Reader

A, B, C = sp.Symbol("a", positive=True), sp.Symbol("b", positive=True), sp.Symbol("c", real=True)
REPLICATES, DRAWS, ERRORS, FINE, LEAST = 32, 4096, 7, 0.05, 4
"""Random batches, so many scrambled sets of a Sobol sequence; a moment may be off by so many standard errors, which must be less
than so much of the largest one. Smaller batches than `LEAST` have no tangent moments."""
Array = np.ndarray
Found = tuple[str, str, str]
"""A claim, its status, and what to say of it."""


def check(entry: dict[str, Any], expectations: list[dict[str, Any]], read: Reader) -> Iterator[Found]:
    """All that is claimed of one normalization."""
    law, name = entry["geometry"], entry["name"]
    f, g = read(law["f"]), read(law["g"])
    slopes = [found for h in (f, g) if (found := slopes_of(h)) is not None]
    if len(slopes) < 2:
        yield f"{name} is of multiples of z on each side of 0", "FAILED", f"{f} or {g} is none"
        return
    listed = {e["name"]: (read(e["f"]), read(e["g"])) for e in expectations}
    duals = [listed.get(dual, (sp.nan, sp.nan)) for dual in law["pair"]]
    alike = all(same_function(s, t) for s, t in zip((f, g), duals[0], strict=True))
    alike &= all(_is_slope(t, s) for s, t in zip(slopes, duals[1], strict=True))
    yield _proof(f"{name} has the duals of {f}, {g} and of their slopes", alike, " and ".join(law["pair"]))
    mean = _jump(slopes[0]) * sp.sqrt(A / (2 * sp.pi))
    yield _proof(f"{name} has the mean of {f}", sp.simplify(read(law["mean"]) - mean) == 0, f"E f(u) = {mean}")
    for text, variance, other in zip(law["bends"], (A, B), (B, A), strict=True):
        # f'' is the jump of f' at u = 0, where v is Gaussian of variance b - c^2 / a
        bend = _jump(slopes[0]) * _jump(slopes[1]) * sp.sqrt(other - C**2 / variance) / (2 * sp.pi * sp.sqrt(variance))
        same = sp.simplify(_plain(read(text)) / bend - 1) == 0 if bend != 0 else read(text) == 0
        yield _proof(
            f"{name} has the bend at {'u' if variance == A else 'v'} = 0", same, f"by the jump of the slope there, {bend}"
        )
    yield from _integrals(entry, f, g, read)


def _proof(claim: str, ok: bool, detail: str) -> Found:
    return claim, "proven" if ok else "FAILED", detail if ok else "no rule gives this value"


def slopes_of(function: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
    """(above 0, below 0), or nothing where it is no multiple of z there."""
    t = sp.Dummy("t", positive=True)
    found = sp.simplify(function.subs(Z, t) / t), sp.simplify(function.subs(Z, -t) / -t)
    return None if any(slope.has(t) for slope in found) or function.subs(Z, 0) != 0 else found


def _jump(slopes: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
    return slopes[0] - slopes[1]


def _is_slope(function: sp.Expr, slopes: tuple[sp.Expr, sp.Expr]) -> bool:
    t = sp.Dummy("t", positive=True)
    return all(sp.simplify(function.subs(Z, z) - slope) == 0 for z, slope in zip((t, -t), slopes, strict=True))


def _plain(value: sp.Expr) -> sp.Expr:
    """Without care for floating point."""
    value = value.replace(sp.Function("gram_root"), lambda c, a, b: sp.sqrt(a * b - c**2))
    return value.replace(sp.Function("ratio"), lambda x, y: x / y)


# --- the integral over a batch -------------------------------------------------------------------------------------------------


def _integrals(entry: dict[str, Any], f: sp.Expr, g: sp.Expr, read: Reader) -> Iterator[Found]:
    """Of two small batches with the covariance and the tangents that the certificate states, within one and between both."""
    name, stated = entry["name"], entry["values"]
    given = {read.symbol(p): v for p, v in stated["parameters"].items()}
    (n, m), covariance = stated["sizes"], np.array(stated["covariance"])
    if min(n, m) < LEAST or np.linalg.eigvalsh(covariance)[0] < 1e-3:
        yield f"{name} of small batches", "FAILED", "their values vary in too few directions to tell"
        return
    batches = _batches(tuple(map(tuple, stated["covariance"])))
    sides = [_Side(h, read(eps), given) for h, eps in zip((f, g), entry["geometry"]["eps"], strict=True)]
    for where, columns in (("within", slice(0, n)), ("between", slice(n, n + m))):
        tangent = np.array(stated["tangent"])[:n, columns]
        draws = [_moments(sides, h[:, :n], h[:, columns], tangent) for h in batches]
        for kind, value in stated[where].items():
            found = np.array([draw[kind] for draw in draws])
            yield _compared(f"{name}: the {kind} moments {where} random batches", np.array(value), found)


def _compared(claim: str, stated: Array, found: Array) -> Found:
    error = ERRORS * found.std(0, ddof=1) / np.sqrt(len(found))
    gap, scale = np.abs(found.mean(0) - stated), np.abs(stated).max()
    fine = float(error.max() / scale) if scale else 1.0
    if stated.shape != found.shape[1:] or not (gap <= error + 1e-9 * scale).all():
        return claim, "FAILED", f"off by {gap.max():.1e}, {float((gap / error).max() * ERRORS):.0f} standard errors"
    status = "checked" if fine < FINE or not scale else "UNKNOWN"
    return claim, status, f"to {fine:.1%} of the largest ({ERRORS} standard errors of {REPLICATES} x {DRAWS} random batches)"


class _Side:
    """f of normalized values, and its derivative by the values before."""

    def __init__(self, function: sp.Expr, eps: sp.Expr, given: Mapping[sp.Symbol, float]) -> None:
        slopes = slopes_of(function) or (sp.nan, sp.nan)
        self.above, self.below = (float(slope.subs(given)) for slope in slopes)
        self.eps = float(eps.subs(given))

    def of(self, h: Array) -> tuple[Array, Array, Array, Array]:
        """f(y), f'(y) dy/dv without its share along v, v itself, and |v|^2 + B eps."""
        v = h - h.mean(1, keepdims=True)
        square = (v**2).sum(1, keepdims=True) + v.shape[1] * self.eps
        slope = np.where(v > 0, self.above, self.below) * np.sqrt(v.shape[1] / square)
        return slope * v, slope, v, square


@cache
def _batches(covariance: tuple[tuple[float, ...], ...]) -> list[Array]:
    """Gaussian values of this covariance, in independent sets."""
    root = np.linalg.cholesky(np.array(covariance))
    sets = (qmc.Sobol(len(root), scramble=True, rng=np.random.default_rng(seed)).random(DRAWS) for seed in range(REPLICATES))
    return [norm.ppf(np.clip(points, 1e-12, 1 - 1e-12)) @ root.T for points in sets]


def _moments(sides: list[_Side], first: Array, second: Array, tangent: Array) -> dict[str, Array]:
    """Means over a set of random batches. The derivative of y_i by h_k is sqrt(B / q) (d_ik - v_i v_k / q), q = |v|^2 + B eps,
    less its mean over k."""
    (y, left, u, p), (z, right, v, q) = sides[0].of(first), sides[1].of(second)
    moved = tangent - tangent.mean(0)
    moved = moved - moved.mean(1, keepdims=True)
    along, across = u @ moved / p, v @ moved.T / q  # shares along u and along v
    both = (along * v).sum(1, keepdims=True) / q
    total = moved * (left.T @ right) - (left * u).T @ (right * along) - (left * across).T @ (right * v)
    total += (left * u * both).T @ (right * v)
    return {"second": y.T @ z / len(y), "tangent": total / len(y), "mean": y.mean(0)}
