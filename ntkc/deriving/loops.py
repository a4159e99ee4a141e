"""Moments of what loops carry: states of a `repeat`, tables of a `scan`."""

import sympy as sp

from ntkc.deriving.memory import CROSS, Key
from ntkc.deriving.positions import Positions
from ntkc.ir.geometry import Shift
from ntkc.ir.network import CarriedNode, FinalNode
from ntkc.ir.recursion import State, own, zeros


class Loops(Positions):
    """The quantities that are equations of a loop's turn rather than of a node."""

    def _loop_of(self, p: int, q: int) -> int | None:
        """The loop whose slot one of the two is, if the pair is one of its states."""
        ends = (i for i in (p, q) if not self.network.scanned(i))
        loops = [n.loop for n in map(self.network.nodes.__getitem__, ends) if isinstance(n, CarriedNode | FinalNode)]
        if not loops:
            return None
        loop = max(loops)
        for index in (p, q):
            node = self.network.nodes[index]
            slot_of_it = isinstance(node, CarriedNode | FinalNode) and node.loop == loop
            if not slot_of_it and (self.network.inside(node.origin.loop, loop) or self._after(index, loop)):
                return None
        return loop

    def _after(self, index: int, loop: int) -> bool:
        """Whether a node stands after a loop: then it is taken apart first."""
        finals = [i for i, n in enumerate(self.network.nodes) if isinstance(n, FinalNode) and n.loop == loop]
        return bool(finals) and index > max(finals)

    def _state(self, key: Key, loop: int) -> sp.Expr:
        """A loop's state: S, T or m of its carried values, or of one with a value from before the loop."""
        kind, p, q, side = key
        ends = [self._ends_of(i, loop) for i in (p, q)]
        inside, before, following = (((ends[0][i], ends[1][i])) for i in range(3))
        symbol = self._symbol((kind, inside[0], inside[1], side))
        result = self._symbol((kind, inside[0], inside[1], side), "_end")
        state_key = (kind, inside[0], inside[1], side)
        if state_key not in self._memo:
            for i, j in {inside, inside[::-1]} if side != CROSS else {inside}:
                self._memo[kind, i, j, side] = symbol
            initial = self._moment(kind, before, side)
            after = self._moment(kind, following, side)
            self.scopes[loop].states.append(State(symbol, initial, after, result, state_key))
        current = any(self._is_carried(i, loop) for i in (p, q))
        return symbol if current else self._memo.setdefault(key, result)

    def _is_carried(self, index: int, loop: int) -> bool:
        node = self.network.nodes[index]
        return isinstance(node, CarriedNode) and node.loop == loop

    def _ends_of(self, index: int, loop: int) -> tuple[int, int, int]:
        """(inside, before, at the end of a turn) of a slot; three times itself for a value from before the loop."""
        node = self.network.nodes[index]
        if not (isinstance(node, CarriedNode | FinalNode) and node.loop == loop):
            return index, index, index
        slot = self.network.loops[loop].slots[node.slot]
        return self.network.carried(loop, node.slot), slot.initial, slot.following

    # --- scans ----------------------------------------------------------------------------------------------------------

    def _scanned(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        """A moment of what a scan carries: the table of the scan's values, moved by one position on the sides carried."""
        nodes, loop = [self.network.nodes[i] for i in (p, q)], self._scan_of(p, q)
        bases = [self._base(i, loop) for i in (p, q)]
        moved = [isinstance(n, CarriedNode) and n.loop == loop for n in nodes]
        if kind != "m" and side != CROSS and moved[0] != moved[1]:
            return own(self.second(p, q, CROSS))
        symbol, result = self._table(kind, bases[0], bases[1], side, loop)
        if symbol == 0:
            return symbol
        if not any(moved):
            inside = any(self.network.inside(n.origin.loop, loop) for n in nodes)
            return symbol if inside else result
        name = self._map(Shift(), "shift", p if moved[0] else q)
        if side != CROSS:
            return sp.Function(f"{name}_left")(self.masked(symbol, p, q, side))
        if moved[0] != moved[1]:
            self.slow.add(loop)
        for i, end in enumerate(("left", "right")):
            if moved[i]:
                symbol = sp.Function(f"{name}_{end}")(self.masked_end(symbol, (p, q)[i], end, ""))
        return symbol

    def _used(self, symbol: sp.Symbol) -> bool:
        """Whether an equation reads a symbol."""
        return any(symbol in e.value.free_symbols for scope in self.scopes.values() for e in scope.equations)

    def _scan_of(self, p: int, q: int) -> int:
        """The later one of the scans that two nodes are values of."""
        nodes = [self.network.nodes[i] for i in (p, q)]
        return max(n.loop for n in nodes if isinstance(n, CarriedNode | FinalNode) and self.network.loops[n.loop].scan)

    def _base(self, index: int, loop: int) -> int:
        node = self.network.nodes[index]
        if isinstance(node, CarriedNode | FinalNode) and node.loop == loop:
            return self.network.loops[loop].slots[node.slot].following
        return index

    def _table(self, kind: str, p: int, q: int, side: str, loop: int) -> tuple[sp.Symbol, sp.Symbol]:
        """A moment of values of a scan, as found in the turn before, and after the last turn.

        Each turn computes the whole table from the one before. A cell (t, r) that reads (t - 1, r - 1) is right after max(t, r)
        turns. Where cells also read (t - 1, r) or (t, r - 1), row t is begun when the variance at t - 1 is right, which takes t
        turns more: T (T + 1) / 2 for all, and as many again for each further function in a step of the variances in it.
        """
        if side != CROSS and p < q:
            p, q = q, p
        key = f"scan{kind}", p, q, side
        if key not in self._memo:
            symbol, result = (self._symbol((kind, p, q, side), ending) for ending in ("_before", "_end"))
            self._memo[key] = symbol
            after = self._moment(kind, (p, q), side)
            if kind == "m" and after == 0 and not self._used(symbol):  # of an odd function, say
                self._memo[key] = sp.S.Zero
                return sp.S.Zero, sp.S.Zero
            sizes = [self.network.grids[i][0] for i in ((p, q) if side == CROSS else (p,))]
            start = self._data(*self._any_input(), side)
            initial = zeros(start, *map(sp.Integer, sizes))
            self.scopes[loop].states.append(State(symbol, initial, after, result, (kind, p, q, side)))
        symbol = self._memo[key]
        return (symbol, symbol) if symbol == 0 else (symbol, self._symbol((kind, p, q, side), "_end"))
