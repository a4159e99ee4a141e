"""E exp(-v_1^2) ... exp(-v_k^2) erf(v_k+1) ... erf(v_n) of a Gaussian vector, in numbers of any kind.

Two erfs have a closed form. For more, let the covariances of the last variable with the others grow from 0 to their values,
t = sin(phi): each derivative in one of them is a density times E of the other signs, given that both variables are 0 (Plackett
1954). All is a function of t^2 that is analytic about [0, pi/2], so Gauss-Legendre nodes in phi converge geometrically; the
closer the correlations of v + t are to 1, that is the larger the variances, the slower.
"""

from functools import cache
from typing import Any, TypeAlias

import mpmath as mp
import numpy as np

MOST = 6
"""Erfs: two need no integral, four a single one, six a double one."""
Table: TypeAlias = list[list[Any]]


def moment(gaussians: int, entries: list[Any]) -> Any:
    """`entries` are the upper triangle of the covariance, row by row; mpmath numbers or floats."""
    size = int((8 * len(entries) + 1) ** 0.5 - 1) // 2
    rest = iter(entries)
    table: Table = [[0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i, size):
            table[i][j] = table[j][i] = next(rest)
    exact = any(isinstance(entry, mp.mpf) for entry in entries)
    half = mp.mpf(1) / 2 if exact else 0.5
    factor = 2 * half
    for _ in range(gaussians):  # v_1 + t is 0
        pivot = table[0][0] + half
        factor = factor * half / pivot
        table = [[s - r[0] * table[0][j] / pivot for j, s in enumerate(r) if j] for r in table[1:]]
    root = mp.sqrt if exact else np.sqrt
    for i in range(len(table)):
        table[i][i] = table[i][i] + half
    return root(factor) * _signs(table, exact)


def _signs(table: Table, exact: bool) -> Any:
    """E of the product of the signs; entries are numbers or arrays of them."""
    if not table:
        return 1
    root: Any = np.frompyfunc(mp.sqrt, 1, 1) if exact else np.sqrt
    angle: Any = np.frompyfunc(mp.atan2, 2, 1) if exact else np.arctan2
    pi: Any = mp.pi if exact else np.pi
    if len(table) == 2:
        (a, c), (_, b) = table
        return 2 / pi * angle(c, root(a * b - c**2))
    *others, last = range(len(table))
    total: Any = 0
    sine, weight = _nodes(_count(max(np.max(row[i]) for i, row in enumerate(table)), exact), exact)
    shape = (len(sine),) + (1,) * max(np.ndim(s) for row in table for s in row)
    sine, weight = sine.reshape(shape), weight.reshape(shape)
    for j in others:
        pivot, rest = table[j][j], [k for k in others if k != j]
        own = table[last][last] - sine**2 * table[last][j] ** 2 / pivot
        shares = {k: table[last][k] - table[last][j] * table[j][k] / pivot for k in rest}
        inner = [
            [table[k][m] - table[k][j] * table[j][m] / pivot - sine**2 * shares[k] * shares[m] / own for m in rest] for k in rest
        ]
        total = total + np.sum(weight / root(own) * _signs(inner, exact), 0) * table[last][j] / root(pivot)
    return total


def _count(variance: Any, exact: bool) -> int:
    """As many nodes as the digits take: where all variables are equal, which is the worst case, the integrand is singular at
    cosh(Im phi) = 1/correlation. Rounded up, so that few sets of nodes are made."""
    if not exact:
        return 64
    reach = 4 / np.pi * np.arccosh(float(variance / (variance - mp.mpf(1) / 2)))
    axis = (reach + np.sqrt(4 + reach**2)) / 2
    return 8 * int(np.ceil(mp.mp.dps * np.log(10) / (2 * np.log(axis + np.sqrt(axis**2 - 1))) / 8 + 0.5))


@cache
def _nodes(count: int, exact: bool) -> tuple[Any, Any]:
    """sin(phi) at Gauss-Legendre nodes on [0, pi/2], and weights times 2/pi cos(phi)."""
    x, w = np.polynomial.legendre.leggauss(count)
    if not exact:
        return np.sin(np.pi / 4 * (1 + x)), w / 2 * np.cos(np.pi / 4 * (1 + x))
    pairs = [_polished(mp.mpf(float(node)), count) for node in x]
    sine = [mp.sin(mp.pi / 4 * (1 + node)) for node, _ in pairs]
    weight = [v / 2 * mp.cos(mp.pi / 4 * (1 + node)) for node, v in pairs]
    return np.array(sine, dtype=object), np.array(weight, dtype=object)


def _polished(x: Any, count: int) -> tuple[Any, Any]:
    """A node to all digits by Newton's method, and its weight."""
    for _ in range(6):
        high, low = mp.legendre(count, x), mp.legendre(count - 1, x)
        x = x - high * (1 - x**2) / (count * (low - x * high))
    return x, 2 * (1 - x**2) / (count * mp.legendre(count - 1, x)) ** 2
