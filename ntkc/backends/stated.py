"""What maps over positions are, by trying the reference: stated in certificates, where the checker compares it with its own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from ntkc.backends.exact import callable_of, number_of, ratio, root_of_gram
from ntkc.backends.matrices import present_after
from ntkc.backends.normalizations import ALONE, TANGENT
from ntkc.backends.normalized import centred, normalized
from ntkc.ir.geometry import Pool, Window
from ntkc.ir.normalization import Normalization
from ntkc.ir.recursion import Recursion

SHOWN, UNKNOWN = 128, 16
"""Positions of a sequence at most, and where their number is known only at run time."""
SIZES, SPREAD = (8, 7), 24
"""Samples of two batches, and the directions in which their values vary."""
Stated = dict[str, Any]


def stated(recursion: Recursion) -> dict[str, Stated]:
    """By the name of a map: which positions of a sequence must be there for each one after a window, if there are masks; the
    moments of two small batches under a normalization."""
    masked, call = any(given.rank == 1 for given in recursion.givens), caller(recursion)
    found = dict[str, Stated]()
    for m in recursion.maps:
        if masked and isinstance(m.geometry, Window | Pool) and m.rank == 1:
            size = min(m.grid[0] or UNKNOWN, SHOWN)
            found[m.name] = {"present": {"positions": size, "needs": _needs(m.geometry, size)}}
        if isinstance(m.geometry, Normalization):
            found[m.name] = {"values": _moments(m.geometry, call)}
    return found


def _needs(geometry: Window | Pool, n: int) -> list[list[int] | None]:
    """None for a position that is present by something else than all of some."""
    without = np.array([present_after(geometry, mask) for mask in 1 - np.eye(n, dtype=int)])
    needs = [list(map(int, np.flatnonzero(column == 0))) for column in without.T]
    alone = (present_after(geometry, np.isin(np.arange(n), need).astype(int))[p] for p, need in enumerate(needs))
    return [need if present == 1 else None for need, present in zip(needs, alone, strict=True)]


def _moments(law: Normalization, call: Callable[..., Any]) -> Stated:
    """Of values with these covariances and tangents, within the first batch and between both."""
    (n, m), source = SIZES, np.random.default_rng(0)
    root, turn = (source.normal(size=(n + m, SPREAD)) for _ in range(2))
    root[n:] = 0.96 * root[:m] + 0.28 * root[n:]
    covariance, tangent = (np.round(v @ v.T / SPREAD + 0.1, 3) for v in (root, root + turn / 2))

    def moment(kind: str, same: bool) -> Any:
        tables = tables_of(kind, same, covariance, tangent, n)
        found = np.asarray(normalized(law, kind, tables, same, call, float), float)
        return np.broadcast_to(found, (n,) if kind == ALONE else (n, len(tables[-1]))).tolist()

    return {
        "sizes": list(SIZES),
        "covariance": covariance.tolist(),
        "tangent": tangent.tolist(),
        "parameters": {s.name: float(call(s, ())()) for s in sorted(_symbols(law), key=str)},
        "within": {"second": moment("", True), "tangent": moment(TANGENT, True), "mean": moment(ALONE, True)},
        "between": {"second": moment("", False), "tangent": moment(TANGENT, False)},
    }


def tables_of(kind: str, same: bool, covariance: Any, tangent: Any, n: int) -> list[Any]:
    """What a function over batches reads, from tables of two batches of which the first has n values: the tangents where it
    takes them, the covariances between both, or within the first, and those less means of each side."""
    own = [centred(covariance[:n, :n]), centred(covariance[n:, n:])]
    columns, second = (slice(None, n), own[0]) if same else (slice(n, None), own[1])
    if kind == ALONE:
        return own[:1]
    return [*([tangent[:n, columns]] if kind == TANGENT else []), covariance[:n, columns], own[0], second]


def _symbols(law: Normalization) -> set[sp.Symbol]:
    return set[sp.Symbol]().union(*(e.free_symbols for e in (law.f, law.g, *law.eps))) - {sp.Symbol("z", real=True)}


def caller(recursion: Recursion) -> Callable[..., Any]:
    """A dual by its name, or a formula, as a function of arrays, at the defaults of the hyperparameters."""
    given = {p.symbol: float(number_of(p.default)) for p in recursion.parameters}
    duals = {d.name: callable_of(d, given, float) for d in recursion.duals}
    pieces = {"ratio": np.vectorize(ratio, otypes=[float]), "gram_root": root_of_gram}

    def call(function: str | sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Any:
        if isinstance(function, str):
            return duals[function]
        return sp.lambdify(symbols, function.subs(given), [pieces, "numpy"])

    return call
