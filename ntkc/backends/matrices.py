"""Maps over positions as plain matrices, for the reference: positions in row-major order, one matrix for each tap."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import mpmath as mp
import numpy as np

from ntkc.ir.geometry import Axis, GlobalPool, Grid, Matrix, Pool, Select, Shift, Start, Window
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.recursion import PositionMap

Array = Any


def taps(geometry: Window, grid: Sequence[int]) -> list[list[int | None]]:
    """For each tap, which position each output position reads."""
    each = [_axis_taps(axis, n) for axis, n in zip(geometry.axes, grid, strict=True)]
    return [[_flat(index, grid) for index in product(*choice)] for choice in product(*each)]


def matrix(geometry: Pool | GlobalPool | Select | Matrix | Shift | Start, grid: Sequence[int]) -> list[list[Any]]:
    """Coefficients (out, in) of a linear map over positions."""
    if isinstance(geometry, GlobalPool):
        count = int(np.prod(grid))
        return [[mp.mpf(1) / count if geometry.average else mp.mpf(1)] * count]
    if isinstance(geometry, Start):
        return [[mp.mpf(int(p == 0))] for p in range(geometry.count)]
    each = [_axis_matrix(geometry, k, n) for k, n in enumerate(grid)]
    return [[mp.fprod(entries) for entries in product(*row)] for row in product(*each)]


def present_after(geometry: Window | Pool, mask: Array) -> Array:
    """Which positions are present after a window on one axis."""
    (axis,) = geometry.axes
    reads = zip(*_axis_taps(axis, len(mask)), strict=True)
    if axis.transposed:
        return np.repeat(mask, axis.stride)
    if axis.padding != "valid":
        return mask[:: axis.stride]
    return np.array([min(mask[i] for i in taps if i is not None) for taps in reads], dtype=mask.dtype)


def mixing(geometry: MixingMatrix, table: Array, mask: Array | None, value: Any) -> Array:
    """Attention coefficients from a sample's table, and a mask of the positions that are present."""
    n = len(table)
    scale, shift = value(geometry.scale), value(geometry.shift)
    found = np.empty((n, n), dtype=object)
    for p in range(n):
        seen: Any = range(p + 1) if geometry.causal else range(n)
        seen = [q for q in seen if mask is None or mask[q]]
        logits = {q: scale * table[p, q] + (shift if p == q else 0) for q in seen}
        weights = {q: _mechanism(geometry.mechanism, x) for q, x in logits.items()}
        total = (mp.fsum(weights.values()) or mp.mpf(1)) if geometry.mechanism == "softmax" else mp.mpf(1)
        found[p] = [weights[q] / total if q in weights else mp.mpf(0) for q in range(n)]
    return found


def known(found: PositionMap, shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """The grid with the sizes that only the data tells."""
    like: Grid = next((s for s in shapes if len(s) == len(found.grid)), found.grid)
    return [n if n is not None else int(m or 0) for n, m in zip(found.grid, like, strict=True)]


def _mechanism(name: str, x: Any) -> Any:
    return {"softmax": mp.exp, "identity": lambda v: v, "relu": lambda v: max(v, mp.mpf(0)), "abs": abs}[name](x)


def _axis_taps(axis: Axis, n: int) -> list[list[int | None]]:
    reach = (axis.size - 1) * axis.dilation + 1
    count = axis.length(n) or n
    if axis.transposed:
        low = reach - 1 if axis.padding == "valid" or axis.stride > reach - 1 else -(-(reach + axis.stride - 2) // 2)
    elif axis.padding == "valid":
        low = 0
    else:
        low = max((count - 1) * axis.stride + reach - n, 0) // 2
    step = 1 if axis.transposed else axis.stride
    found: list[list[int | None]] = []
    for k in range(axis.size):
        reads: list[int | None] = []
        for p in range(count):
            i = p * step + k * axis.dilation - low
            spread = axis.stride if axis.transposed else 1
            i = i % (n * spread) if axis.padding == "circular" else i
            reads.append(i // spread if i % spread == 0 and 0 <= i // spread < n else None)
        found.append(reads)
    return found


def _axis_matrix(geometry: Pool | Select | Matrix | Shift, k: int, n: int) -> list[list[Any]]:
    if isinstance(geometry, Shift):
        return [[mp.mpf(int(j == i - 1)) for j in range(n)] for i in range(n)]
    if isinstance(geometry, Select):
        index = geometry.axes[k]
        chosen = (index % n,) if isinstance(index, int) else index
        return [[mp.mpf(int(i == j)) for j in range(n)] for i in chosen]
    if isinstance(geometry, Matrix):
        rows = geometry.axes[k]
        if rows is None:
            return [[mp.mpf(int(i == j)) for j in range(n)] for i in range(n)]
        return [[mp.mpf(v.numerator) / v.denominator for v in row] for row in rows]
    axis = geometry.axes[k]
    reads = _axis_taps(axis, n)
    found = []
    for p in range(len(reads[0])):
        hits = [tap[p] for tap in reads if tap[p] is not None]
        scale = mp.mpf(1) / (max(len(hits), 1) if geometry.normalize else axis.size) if geometry.average else mp.mpf(1)
        found.append([scale * hits.count(j) for j in range(n)])
    return found


def _flat(index: tuple[int | None, ...], grid: Sequence[int]) -> int | None:
    total = 0
    for i, n in zip(index, grid, strict=True):
        if i is None:
            return None
        total = total * n + i
    return total
