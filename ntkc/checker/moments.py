"""What a second moment S[p, q], a tangent kernel T[p, q] or a mean m[p] is, from those of the operands: one step of each rule.

A quantity that the certificate claims stands for itself, under its symbol; what it leaves out is worked out here. Sides: 12
between x and x', 1 of x alone at matching positions, 11 the full table of x with itself, 2 of x' alone.
"""

from collections.abc import Iterator
from typing import Any

import sympy as sp

from ntkc.checker import layers
from ntkc.checker.batches import Batches
from ntkc.checker.layers import Contradicted, Unknown
from ntkc.checker.presence import ENDS
from ntkc.checker.statement import Statement
from ntkc.checker.text import SAME, Reader
from ntkc.checker.weighted import matching

Key = tuple[str, int, int, str]
_diagonal = sp.Function("diagonal")


class Moments(Batches):
    """The rules, over a statement and the symbols that a certificate gives to what it claims."""

    def __init__(self, statement: Statement, read: Reader) -> None:
        self.statement, self.read = statement, read
        self.means: list[sp.Expr] = []
        self.claimed: dict[Key, sp.Symbol] = {}
        self.states: dict[tuple[int, Key], tuple[sp.Symbol, sp.Symbol]] = {}
        self.tables: set[str] = {d["symbols"][0] for d in statement.data["data"]}
        self._known: dict[Key, sp.Expr] = {}
        self._declare(statement.data["steps"], None)

    def _declare(self, steps: list[dict[str, Any]], loop: int | None) -> None:
        for step in steps:
            moments = step["states"] if "loop" in step else [step]
            for moment in moments:
                kind, p, q, side = moment["moment"]
                names = [moment[name] for name in ("symbol", "result") if name in moment]
                symbols = [self.read.symbol(name) for name in names]
                if "loop" in step:
                    self.states[step["loop"], (kind, p, q, side)] = (symbols[0], symbols[1])
                else:
                    self.claimed[kind, p, q, side] = symbols[0]
                self.tables |= set(names) if (kind, side) == ("S", "12") else set()
            self._declare(step.get("body", []), step.get("loop"))

    # --- the meaning of a quantity ---------------------------------------------------------------------------------------

    def of(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        key = kind, p, q, side
        if key not in self._known:
            self._known[key] = self._meaning(*key)
        return self._known[key]

    def _meaning(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        if side == "2":
            return self.at_second(self.of(kind, p, q, "1"))
        for key in {(kind, p, q, side), (kind, q, p, side) if side == "1" else (kind, p, q, side)}:
            if key in self.claimed:
                return self.claimed[key]
        if side == "11":
            return self.of_self(self.of(kind, p, q, "12"))
        return next(self.steps(kind, p, q, side))

    def at_second(self, value: sp.Expr) -> sp.Expr:
        """The same at x'."""
        names = {s: sp.Symbol(s.name[:-2] + "_2", **s.assumptions0) for s in value.free_symbols if s.name.endswith("_1")}
        return value.xreplace(names)

    def of_self(self, value: sp.Expr) -> sp.Expr:
        """A table between x and x', of x with itself."""
        return value.xreplace({s: self.read.symbol(f"{s.name}_self") for s in value.free_symbols if s.name in self.tables})

    # --- one step of a rule ----------------------------------------------------------------------------------------------

    def steps(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        """Every value that a rule gives; the first for what nobody claims. Unknown where there is none."""
        if side == "11":
            yield from map(self.of_self, self.steps(kind, p, q, "12"))
            return
        if kind in ("A", "M", "R", "L"):
            coefficients = self.deviations if self.statement.kind(p) == "JointNode" else self.attention
            yield coefficients(p) if kind == "A" else self.masking(kind, p, side)
            return
        found, reasons = False, list[Unknown]()
        of_values = self._same_weights, self._normalized, self._function
        for rule in (self._loop_state, self._by_diagonal, self._apart, self._linear, *of_values):
            try:
                for value in rule(kind, p, q, side):
                    found = True
                    yield value
            except Unknown as error:  # another rule may know
                reasons.append(error)
        if not found:
            reasons = [e for e in reasons if not isinstance(e, Contradicted)] or reasons
            raise reasons[-1] if reasons else Unknown(f"no rule for {kind}[{p}, {q}] at {side}")

    def _loop_state(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        state = self.statement
        loops = {state.nodes[i]["loop"] for i in (p, q) if state.carries(i)}
        for loop in sorted(loops, reverse=True):
            scan = state.loops[loop]["scan"]
            i, j = self._base(p, loop), self._base(q, loop)
            orders = ((i, j), (j, i)) if side == "1" else ((i, j),)
            for key in ((kind, *order, side) for order in orders):
                if (loop, key) in self.states:
                    symbol, result = self.states[loop, key]
                    mine = [state.kind(i) == "CarriedNode" and state.nodes[i]["loop"] == loop for i in (p, q)]
                    if not any(mine):
                        yield result
                    elif not scan:
                        yield symbol
                    elif side == "12" or all(mine):
                        yield self._shifted(symbol, mine, side, (p, q))
                    break

    def _base(self, i: int, loop: int) -> int:
        """The node that a loop's states speak of: what a `repeat` carries, or what a `scan` found."""
        state = self.statement
        if not state.carries(i) or state.nodes[i]["loop"] != loop:
            return i
        if state.loops[loop]["scan"]:
            return int(state.slot(i)["following"])
        return state.carried(loop, state.nodes[i]["slot"])

    def _shifted(self, symbol: sp.Expr, mine: list[bool], side: str, pair: tuple[int, int]) -> sp.Expr:
        """What a scan carries is what it found a position before, and 0 where nothing is before."""
        name = self.map_name({"class": "Shift"}, pair[0] if mine[0] else pair[1])
        if side == "1":
            return sp.Function(f"{name}_left")(self.masked(symbol, *pair, side))
        for moved, i, end, place in zip(mine, pair, ("left", "right"), ENDS[side], strict=True):
            symbol = sp.Function(f"{name}_{end}")(symbol * self.present(i, place)) if moved else symbol
        return symbol

    def _by_diagonal(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        """A moment at matching positions is the diagonal of the full table."""
        state, moving = self.statement, ("PositionalNode", "MixingNode")
        mixes = any(state.kind(i) in moving or state.carries(i, True) or state.normalization(i) is not None for i in (p, q))
        if kind == "S" and side == "1" and mixes and not self.statement.independent(p, q):
            for ends in ((max(p, q), min(p, q)), (min(p, q), max(p, q))):
                try:
                    yield _diagonal(self.of(kind, *ends, "11"))
                except Unknown:  # the other order is the transposed table, with the same diagonal
                    continue

    def _apart(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        """Independent values: E p q = E p E q, and no tangent in common."""
        if kind != "m" and self.statement.independent(p, q):
            yield sp.S.Zero if kind == "T" else self._product_of_means(p, q, *ENDS[side])

    def _product_of_means(self, p: int, q: int, first: str, second: str) -> sp.Expr:
        """0 where one of them is, whatever the other."""
        try:
            mean = self.of("m", p, p, first)
        except Unknown:
            if self.of("m", q, q, second) == 0:
                return sp.S.Zero
            raise
        return mean * self.of("m", q, q, second) if mean != 0 else mean

    def _linear(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        """What is linear is taken out, on the left or on the right."""
        state = self.statement
        if kind == "m":
            yield from self._mean(p, side)
            return
        for outer in ("CombineNode", "ItemNode", "PositionalNode", "ConcatNode", "MapNode"):
            if outer == "ConcatNode":
                yield from self._side_by_side(kind, p, q, side)
            for i, j, left in ((p, q, True), (q, p, False)):
                if state.kind(i) == outer:
                    yield from self._taken_out(kind, i, j, left, side)

    def _taken_out(self, kind: str, i: int, j: int, left: bool, side: str) -> Iterator[sp.Expr]:
        node = self.statement.nodes[i]

        def inside(h: int) -> sp.Expr:
            return self.of(kind, *((h, j) if left else (j, h)), side)

        match node["class"]:
            case "CombineNode":
                yield sp.Add(*(self.read(k) * inside(h) for k, h in node["terms"]))
            case "ItemNode":
                yield inside(node["operand"])
            case "PositionalNode":
                if left:
                    yield from self._both_moved(kind, i, j, side)
                if side == "12":
                    yield self._moved(i, inside(node["operand"]), "left" if left else "right", "1" if left else "2")
            case "MapNode":
                yield self._normed(kind, i, side) if i == j else self._normed_by(i, j, inside, kind, side, left)

    def _both_moved(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        """The same choice of positions on both sides at once, or one map after the other."""
        state = self.statement
        if state.kind(q) != "PositionalNode":
            return
        h, k = state.nodes[p]["operand"], state.nodes[q]["operand"]
        inside = self.of(kind, h, k, side)
        geometries = [layers.positional(state.layer(i), state.grid(j)) for i, j in ((p, h), (q, k))]
        if geometries[0] == geometries[1] and geometries[0]["class"] == "Select" and not self._ends(p, geometries[0]):
            yield sp.Function(self.map_name(geometries[0], h))(inside) if inside != 0 else inside
        if side == "12":
            yield self._moved(q, self._moved(p, inside, "left", "1"), "right", "2")

    def _ends(self, p: int, geometry: dict[str, Any]) -> bool:
        """Whether it takes the last position that is present."""
        return geometry == {"class": "Select", "axes": [-1]} and self.present(self.statement.nodes[p]["operand"], "1") != 1

    def _moved(self, p: int, value: sp.Expr, end: str, side: str) -> sp.Expr:
        if value == 0:
            return value
        h = self.statement.nodes[p]["operand"]
        geometry = layers.positional(self.statement.layer(p), self.statement.grid(h))
        given = [self.read.symbol(f"given_{geometry['name']}_{side}")] if geometry["class"] == "Given" else []
        if self._ends(p, geometry):
            geometry, value = {"class": "GlobalPool", "average": False}, value * self.of("L", h, h, side)
        elif geometry["class"] != "Select":
            value = value * self.present(h, side)
        return sp.Function(f"{self.map_name(geometry, h)}_{end}")(*given, value) * self.shared(p, geometry, side)

    def _side_by_side(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        """Channels side by side: the shares of the parts, where both sides divide the channels alike."""
        parts = [self.statement.nodes[i].get("parts") for i in (p, q)]
        if parts[0] and parts[1] and [k for k, _ in parts[0]] == [k for k, _ in parts[1]]:
            yield sp.Add(*(self.read(k) * self.of(kind, i, j, side) for (k, i), (_, j) in zip(*parts, strict=True)))

    # --- norms -----------------------------------------------------------------------------------------------------------

    def _statistics(self, p: int, side: str) -> tuple[sp.Expr, sp.Expr]:
        """(center, factor) of y = (h - center) factor: means over channels, and over positions where those are channels."""
        state, h = self.statement, self.statement.nodes[p]["operand"]
        layer = state.layer(p)
        over = state.data["flat"][h] and bool(state.grid(h))
        square = self.of("S", h, h, side) if layer["class"] in ("RmsNorm", "LayerNorm") else sp.S.Zero
        center = self.of("m", h, h, side) if layer["class"] == "LayerNorm" else sp.S.Zero
        if over:
            square, center = (self.mean_present(v, h, side) if v.free_symbols else v for v in (square, center))
        return center, layers.normalizer(layer, square, center, self.read)

    def _normed_by(self, i: int, j: int, inside: Any, kind: str, side: str, left: bool) -> sp.Expr:
        here, there = ENDS[side] if left else ENDS[side][::-1]
        center, factor = self._statistics(i, here)
        shift = center * self.of("m", j, j, there) if kind == "S" and center != 0 else 0
        return (inside(self.statement.nodes[i]["operand"]) - shift) * factor

    def _normed(self, kind: str, p: int, side: str) -> sp.Expr:
        state, layer = self.statement, self.statement.layer(p)
        h, ends = state.nodes[p]["operand"], ENDS[side]
        (left, f), (right, g) = (self._statistics(p, end) for end in ends)
        inside = self.of(kind, h, h, side)
        if kind == "S" and left != 0:
            inside -= left * self.of("m", h, h, ends[1]) + self.of("m", h, h, ends[0]) * right - left * right
        kept = 1 / self.read(layer["keep"]) if layer["class"] == "Dropout" else sp.S.One
        value = inside * f * g * (1 + (kept - 1) * SAME if side == "12" else kept)
        if kind == "S" or not layer.get("affine"):
            return value
        trained = self.of("S", p, p, "12") + 1  # a gain and a shift for each channel
        loop = state.nodes[p]["place"]
        return value + (matching(trained) if loop is not None and state.loops[loop]["scan"] else trained)

    # --- means -----------------------------------------------------------------------------------------------------------

    def _mean(self, p: int, side: str) -> Iterator[sp.Expr]:
        state, node = self.statement, self.statement.nodes[p]
        if state.gaussian[p] or node["class"] == "WeightedNode":
            yield sp.S.Zero
        match node["class"]:
            case "VectorNode" if state.encodes(p):
                yield self.read(state.layer(p)["std"]) * self._integrals(p, p, "_alone", side)
            case "CombineNode" | "ConcatNode":
                yield sp.Add(*(self.read(k) * self.of("m", h, h, side) for k, h in node.get("terms") or node["parts"]))
            case "ItemNode":
                yield self.of("m", node["operand"], node["operand"], side)
            case "PositionalNode":
                yield self._moved(p, self.of("m", node["operand"], node["operand"], side), "left", side)
            case "MapNode":
                center, factor = self._statistics(p, side)
                yield (self.of("m", node["operand"], node["operand"], side) - center) * factor
