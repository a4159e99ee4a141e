"""What maps over positions are, by trying the reference: stated in certificates, where the checker compares it with its own."""

from typing import Any

import numpy as np

from ntkc.backends.matrices import present_after
from ntkc.ir.geometry import Pool, Window
from ntkc.ir.recursion import Recursion

SHOWN, UNKNOWN = 128, 16
"""Positions of a sequence at most, and where their number is known only at run time."""


def stated(recursion: Recursion) -> dict[str, dict[str, Any]]:
    """For each map that presence is asked of, by name, which positions of a sequence must be there for each one after it."""
    masked = any(given.rank == 1 for given in recursion.givens)
    windows = [m for m in recursion.maps if masked and isinstance(m.geometry, Window | Pool) and m.rank == 1]
    found = {}
    for m in windows:
        assert isinstance(m.geometry, Window | Pool)
        size = min(m.grid[0] or UNKNOWN, SHOWN)
        found[m.name] = {"present": {"positions": size, "needs": _needs(m.geometry, size)}}
    return found


def _needs(geometry: Window | Pool, n: int) -> list[list[int] | None]:
    """None for a position that is present by something else than all of some."""
    without = np.array([present_after(geometry, mask) for mask in 1 - np.eye(n, dtype=int)])
    needs = [list(map(int, np.flatnonzero(column == 0))) for column in without.T]
    alone = (present_after(geometry, np.isin(np.arange(n), need).astype(int))[p] for p, need in enumerate(needs))
    return [need if present == 1 else None for need, present in zip(needs, alone, strict=True)]
