"""The tables of a scan between x and x', cell by cell: each cell of time steps (t, r) once, after those that it reads.

A recursion reads tables of the step before on either side or on both, that is the cell above (t - 1, r), the one beside
(t, r - 1) and the corner (t - 1, r - 1). Moments of a sample alone are those of its last turn, when all of them are right.
"""

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.ir.program import Cells, above, beside, corner
from ntkc.ir.recursion import SAME, Equation, LoopStep, State, matching
from ntkc.lowering.forms import Forms

HERE = sp.Symbol("here")
"""Whether t = r."""
where_here = sp.Function("_where")
SAME_CELL = sp.Symbol("same_cell")


class NotCellwise(Exception):
    """The loop reads more than neighbouring cells."""


def cellwise(value: sp.Expr, tables: frozenset[sp.Symbol]) -> sp.Expr:
    """A value of tables (t, r) as one of numbers."""
    if value in tables:
        raise NotCellwise  # as found in the turn before, and not moved
    if value == SAME:
        return SAME_CELL
    if not value.args:
        return value
    if value.func == matching:
        return where_here(HERE, cellwise(value.args[0], tables), sp.S.Zero)
    ends = _moved(value)
    if ends:
        inner = value.args[0].args[0] if len(ends) == 2 else value.args[0]
        if inner not in tables:
            raise NotCellwise
        return {frozenset({"left"}): above, frozenset({"right"}): beside}.get(ends, corner)(inner)
    if isinstance(value, AppliedUndef) and not value.func.__name__.startswith(("dual_", "_half_gap")):
        raise NotCellwise
    return value.func(*(cellwise(part, tables) for part in value.args))


def _moved(value: sp.Expr) -> frozenset[str]:
    """The sides on which a shift is applied, one shift a side."""
    if not (isinstance(value, AppliedUndef) and value.func.__name__.startswith("shift")):
        return frozenset()
    end = value.func.__name__.rpartition("_")[2]
    inner = _moved(value.args[0])
    if end in inner:
        raise NotCellwise
    return inner | {end}


def cells(step: LoopStep, states: tuple[State, ...], kind: str, forms: Forms) -> Cells:
    """What a loop's cells read from outside: tables by both steps, moments of x by t and of x' by r."""
    if any(isinstance(inner, LoopStep) for inner in step.body) or not all(s.initial.func.__name__ == "_zeros" for s in states):
        raise NotCellwise
    inner = {e.symbol for e in step.body if isinstance(e, Equation) and e.pair[3] == kind}
    alone = {s for e in step.body if isinstance(e, Equation) and e.pair[3] == "1" for s in e.value.free_symbols}
    sizes = {n for s in states for n in s.initial.args[1:]}
    if len(sizes) != 1 or (kind == "11" and inner & alone):
        raise NotCellwise
    mine = inner | {s.symbol for s in states}
    full = tuple(s for s, ranks in forms.pairs.items() if all(ranks) and s not in mine)
    if any(sum(forms.pairs[s]) == 1 for s in _reads(step) if s in forms.pairs):
        raise NotCellwise
    return Cells(int(sizes.pop()), full, tuple(s for s, rank in forms.owns.items() if rank == 1))


def _reads(step: LoopStep) -> set[sp.Basic]:
    return {s for inner in step.body if isinstance(inner, Equation) for s in inner.value.free_symbols}
