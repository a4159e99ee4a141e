"""How many turns the tables of a scan need: a cell is right after a turn when all it reads were right before."""

from typing import Any

import numpy as np
import sympy as sp

from ntkc.checker.statement import Statement
from ntkc.checker.text import Reader

Array = np.ndarray
Right = dict[str, Array]
"""For each symbol, which of its cells are right; what is not in it was known before the loop."""


def needed(step: dict[str, Any], statement: Statement, read: Reader) -> int | None:
    """The least number of turns after which every cell is right; None where no number is enough."""
    before = {state["symbol"]: np.zeros(_shape(state["moment"], statement), bool) for state in step["states"]}
    turns, bound = 0, 1 + sum(cells.size for cells in before.values())
    while not all(cells.all() for cells in before.values()):
        right = dict(before)
        _body(step["body"], right, statement, read)
        before = {
            state["symbol"]: np.broadcast_to(_cells(read(state["following"]), state["moment"][3], right), cells.shape)
            for state, cells in zip(step["states"], before.values(), strict=True)
        }
        turns += 1
        if turns > bound:
            return None
    return turns


def _shape(moment: list[Any], statement: Statement) -> tuple[int, ...]:
    _, p, q, side = moment
    sizes = [statement.grid(i)[0] or 1 for i in (p, q)]
    return (sizes[0],) if side == "1" else (sizes[0], sizes[1])


def _body(steps: list[dict[str, Any]], right: Right, statement: Statement, read: Reader) -> None:
    for step in steps:
        if "loop" not in step:
            right[step["symbol"]] = _cells(read(step["value"]), step["moment"][3], right)
            continue
        for name in ("initial", "following"):  # what a loop inside carries is right where it starts and stays so
            for state in step["states"]:
                found = _cells(read(state[name]), state["moment"][3], right)
                right[state["symbol"]] = right[state["result"]] = found & right.get(state["symbol"], np.True_)
            _body(step["body"], right, statement, read)


def _cells(value: sp.Expr, side: str, right: Right) -> Array:
    """Which cells of an expression are right: of a table, or at the positions of one side."""
    if isinstance(value, sp.Symbol):
        return _symbol(value.name, side, right)
    name = value.func.__name__
    if name == "diagonal":
        return np.diagonal(np.atleast_2d(_cells(value.args[0], "12", right)))
    parts = [_cells(part, side, right) for part in value.args]
    if name.startswith("shift"):
        return _moved(parts[-1], 1 if name.endswith("_right") else 0)
    both = np.asarray(True)
    for part in parts:
        both = both & part
    return np.asarray(both.all() if name.startswith(("flat_mean", "window", "pool", "select", "global", "attention")) else both)


def _symbol(name: str, side: str, right: Right) -> Array:
    other = f"{name[:-2]}_1" if name.endswith("_2") else name
    found = right.get(other)
    if found is None:
        return np.asarray(True)
    if side == "1" or found.ndim != 1:
        return found
    return found[None, :] if name.endswith("_2") else found[:, None]


def _moved(cells: Array, axis: int) -> Array:
    """The position before; nothing is read at the first."""
    if cells.ndim <= axis:
        return cells
    moved = np.roll(cells, 1, axis)
    moved[(slice(None),) * axis + (0,)] = True
    return moved
