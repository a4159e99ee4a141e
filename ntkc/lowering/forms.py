"""Which tables are needed between all pairs of positions and which at matching positions only, demanded backwards.

A table of (node p, node q) is full, of shape grid p x grid q, or matched, of shape grid. Elementwise functions, windows and means
over matching positions of a matched table need matched tables; a map on one side needs the full one.
"""

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.ir.geometry import Geometry, GlobalPool, Grid, Select, Start
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.normalization import Normalization
from ntkc.ir.recursion import SAME, Equation, Recursion, Step, given_symbol, map_name, of_self
from ntkc.ir.sinusoids import Sinusoids

MATCHED, FULL = "matched", "full"
Pair = tuple[str, int, int, str]


class Forms:
    """The rank of every symbol's index grids and the demand on it."""

    def __init__(self, recursion: Recursion, steps: tuple[Step, ...]) -> None:
        self.grids, self.batches = recursion.grids, recursion.batches
        self.pairs: dict[sp.Symbol, tuple[int, int]] = {}
        self.owns: dict[sp.Symbol, int] = {}
        self.full: set[sp.Symbol] = set()
        self._like: sp.Expr = sp.S.Zero
        self.ahead = int(recursion.batches)
        self.within = FULL if recursion.batches else MATCHED
        self._lost = {
            m.name: _lost(m.geometry, self.grids) - self.ahead * isinstance(m.geometry, GlobalPool) for m in recursion.maps
        }
        self._spots = {m.name: len(m.grid) for m in recursion.maps}
        for data in recursion.data:
            ranks = len(data.first.type.positions), len(data.second.type.positions)
            self.pairs[data.symbols[0]] = self.pairs[of_self(data.symbols[0])] = ranks
            self.owns[data.symbols[1]] = ranks[0]
        self.owns |= {given_symbol(given.name, "1"): given.rank for given in recursion.givens}
        self._declare(steps)
        before = -1
        while before != len(self.full):
            before = len(self.full)
            self._demand(steps)
            for output in recursion.outputs:
                for value in output.values:
                    self._read(value, FULL if self.batches else MATCHED)
        if self.batches:
            self.full |= {s for s, ranks in self.pairs.items() if any(ranks)}
        if any(not s.name.endswith("_self") for s in self.full):  # the inputs then come as full tables, all of them
            self.full |= {d.symbols[0] for d in recursion.data if all(self.pairs[d.symbols[0]])}

    @property
    def positions(self) -> bool:
        """Whether any value has positions."""
        return any(self.grids)

    def form(self, symbol: sp.Symbol) -> str:
        """How a table is stored."""
        return FULL if symbol in self.full else MATCHED

    def demand(self) -> dict[sp.Symbol, str]:
        """In words, of each table between x and x' of values with positions."""
        what = "samples of a batch" + " and their positions" * (max(map(len, self.grids)) > 1) if self.batches else "positions"
        words = {FULL: f"all pairs of {what}", MATCHED: f"matching {what}"}
        return {symbol: words[self.form(symbol)] for symbol, ranks in self.pairs.items() if any(ranks)}

    def _declare(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if isinstance(step, Equation):
                self._symbol(step.symbol, step.pair)
                continue
            for state in step.states:
                self._symbol(state.symbol, state.pair)
                self._symbol(state.result, state.pair)
            self._declare(step.body)

    def _symbol(self, symbol: sp.Symbol, pair: Pair) -> None:
        ranks = len(self.grids[pair[1]]), len(self.grids[pair[2]])
        if pair[3] == "1":
            self.owns[symbol] = 2 * ranks[0] if pair[0] == "A" else ranks[0]
            return
        self.pairs[symbol] = ranks
        if ranks[0] != ranks[1] or self.grids[pair[1]] != self.grids[pair[2]]:
            self.full.add(symbol)

    def _demand(self, steps: tuple[Step, ...]) -> None:
        for step in reversed(steps):
            if isinstance(step, Equation):
                if step.pair[3] != "1" and any(self.pairs[step.symbol]) and one_sided(step.value):
                    self.full.add(step.symbol)
                self._read(step.value, FULL if step.symbol in self.full else MATCHED)
                continue
            for state in step.states:
                if self.full & {state.symbol, state.result, state.following}:
                    self.full |= {state.symbol, state.result}
                form = FULL if state.symbol in self.full else MATCHED
                self._read(state.initial, form)
                self._read(state.following, form)
            self._demand(step.body)

    def _read(self, value: sp.Expr, form: str) -> None:
        """Marks the tables that a value needs in full."""
        if isinstance(value, sp.Symbol):
            if form == FULL and any(self.pairs.get(value, ())):
                self.full.add(value)
            return
        name = value.func.__name__ if isinstance(value, AppliedUndef) else ""
        if name.endswith(("_left", "_right")) or name in ("diagonal", "_centred") or name.startswith(("attention", "batch")):
            form = FULL
        elif name == "flat_mean":
            form = self.within
        for part in value.args:
            self._read(part, form)

    # --- rewriting ------------------------------------------------------------------------------------------------------

    def rewritten(self, value: sp.Expr, form: str, ranks: tuple[int, int]) -> sp.Expr:
        """The value with each table in the form it is read in, and moments of one side along their own axes."""
        if isinstance(value, sp.Symbol):
            return self._symbol_in(value, form, ranks)
        if not value.args:
            return value
        name = value.func.__name__ if isinstance(value, AppliedUndef) else ""
        self._like = next((s for s in sorted(value.free_symbols, key=str) if s in self.full), self._like)
        if name == "matching":
            inner = self.rewritten(value.args[0], form, ranks)
            return sp.Function("_matching")(inner, sp.Integer(ranks[0])) if form == FULL else inner
        if name == "_zeros":
            return value if form == FULL or value.args[0] in self.owns else self._blank(value)
        if name.startswith("encoding"):
            return value if name.endswith("_alone") or form == FULL else sp.Rational(1, 2)
        if name in ("diagonal", "flat_mean"):
            return self._reduced(name, value.args[0], ranks[0])
        if name == "_centred" or name.startswith("batch"):  # of whole tables
            return value
        if (name.startswith("attention") and not name.endswith(("_left", "_right"))) or name.endswith("_present"):
            return value
        if name.endswith(("_left", "_right")):
            *tables, inner = value.args
            inside = self.ranks_of(inner)
            return sp.Function(name)(*tables, self.rewritten(inner, FULL, inside), *self._after(name, inside))
        if name.startswith(("window", "select")):
            inner = value.args[0]
            return sp.Function(f"{name}_{form}")(self.rewritten(inner, form, self.ranks_of(inner)))
        return value.func(*(self.rewritten(part, form, ranks) for part in value.args))

    def _blank(self, value: sp.Expr) -> sp.Expr:
        """Zeros at matching positions; the axes of the samples come last where no table is full."""
        like, *sizes = value.args
        samples = [] if any(not s.name.endswith("_self") for s in self.full) else [sp.S.One, sp.S.One]
        return value.func(like, *sizes[: len(sizes) // 2], *samples)

    def _after(self, name: str, ranks: tuple[int, int]) -> tuple[sp.Integer, ...]:
        """The first axis that a map on one side acts on."""
        return (sp.Integer(self.ahead + (ranks[0] if name.endswith("_right") else 0)),)

    def _reduced(self, name: str, inner: sp.Expr, rank: int) -> sp.Expr:
        inside = self.ranks_of(inner)
        if name == "diagonal":
            table = self.rewritten(inner, FULL, inside)
            return sp.Function("_diagonal")(table, sp.Integer(inside[0])) if inside[0] else table
        return sp.Function("_flat_mean")(self.rewritten(inner, self.within, inside), sp.Integer(max(inside)))

    def ranks_of(self, value: sp.Expr) -> tuple[int, int]:
        """The ranks of the index grids of a value."""
        if isinstance(value, AppliedUndef):
            name = value.func.__name__
            if name == "flat_mean":
                left, right = self.ranks_of(value.args[0])
                return min(left, self.ahead), min(right, self.ahead)
            if name.startswith("batch"):
                rank = self._spots[name.removesuffix("_alone").removesuffix("_tangent")]
                return rank, rank * (not name.endswith("_alone"))
            if name.startswith(("global_pool", "select", "pool", "resample", "attention", "aggregate", "start", "window")):
                left, right = self.ranks_of(value.args[-1])
                lost = self._lost.get(map_name(name), 0)
                return left - lost * (not name.endswith("_right")), right - lost * (not name.endswith("_left"))
        if isinstance(value, sp.Symbol):
            return self.pairs.get(value) or (self.owns.get(value, 0), 0)
        found = [self.ranks_of(part) for part in value.args if part.free_symbols]
        return max((r[0] for r in found), default=0), max((r[1] for r in found), default=0)

    def _symbol_in(self, symbol: sp.Symbol, form: str, ranks: tuple[int, int]) -> sp.Expr:
        if symbol in self.pairs and form == MATCHED and symbol in self.full and all(self.pairs[symbol]):
            return sp.Function("_diagonal")(symbol, sp.Integer(self.pairs[symbol][0]))
        if symbol == SAME and form == FULL and any(ranks):
            return sp.Function("_same_positions")(symbol, self._like, sp.Integer(ranks[0]))
        if form == FULL and ranks[1] and self.owns.get(symbol, 0):
            return sp.Function("_left")(symbol, sp.Integer(ranks[1]))
        return symbol


def _lost(geometry: Geometry | MixingMatrix | Sinusoids | Normalization, grids: tuple[Grid, ...]) -> int:
    """How many axes a map takes away."""
    if isinstance(geometry, GlobalPool):
        return max(map(len, grids))
    if isinstance(geometry, Start):
        return -1
    return geometry.dropped if isinstance(geometry, Select) else 0


def one_sided(value: sp.Expr) -> bool:
    """Whether a map acts on one side, so that the value is a full table by nature."""
    outer = value.replace(
        lambda e: isinstance(e, AppliedUndef) and e.func.__name__ in ("flat_mean", "diagonal"), lambda e: sp.S.Zero
    )
    names = {call.func.__name__ for call in outer.atoms(AppliedUndef)}
    return any(name.endswith(("_left", "_right")) for name in names)
