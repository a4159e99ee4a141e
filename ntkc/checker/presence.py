"""Which positions of a value are present, where sequences come padded, with a mask for each sample: 1 where present, 0 elsewhere.

A padded sequence has the moments that it has alone. So what reads several positions takes absent ones as 0, which is what lies
beyond the ends of a short one; what divides by the positions that it reads, or takes the last one, counts those present; and an
absent position is never read, so nothing is said of its value.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ntkc.checker import layers
from ntkc.checker.expected import Expected
from ntkc.checker.layers import Contradicted, Unknown

ENDS = {"12": ("1", "2"), "11": ("1", "1"), "1": ("1", "1"), "2": ("2", "2")}
flat_mean, ratio, last = sp.Function("flat_mean"), sp.Function("ratio"), sp.Function("_last_present")
Inside = Callable[[int], sp.Expr]


class Presence(Expected):
    """What is present where (M), what makes means over windows ones of the present (R), and the last present position (L)."""

    def map_name(self, geometry: dict[str, Any], operand: int) -> str:
        """What the certificate calls a map over an operand's positions: it must be the very map that the layer is."""
        return str(self.map_of(geometry, operand)["name"])

    def map_of(self, geometry: dict[str, Any], operand: int) -> dict[str, Any]:
        for entry in self.statement.data["maps"]:
            if entry["geometry"] == geometry and tuple(entry["grid"]) == self.statement.grid(operand):
                return entry  # type: ignore[no-any-return]
        raise Contradicted(f"the certificate names no map {geometry['class']} over the positions of v{operand}")

    def present(self, p: int, end: str) -> sp.Expr:
        """1 where every position is."""
        masked = self.statement.data["masked"] and self.statement.grid(p)
        return self.of("M", p, p, end) if masked else sp.S.One

    def masking(self, kind: str, p: int, end: str) -> sp.Expr:
        """One step of the rule for M, R or L."""
        if kind == "M":
            return self._made(p, end, lambda h: self.present(h, end))
        if kind == "L":
            return last(self.present(p, end))
        h = self.statement.nodes[p]["operand"]
        geometry = layers.positional(self.statement.layer(p), self.statement.grid(h))
        name = self.map_name(geometry, h)
        return ratio(sp.S.One, 1 - sp.Function(f"{name}_left")(1 - self.present(h, end)))  # what the absent have of 1 is left out

    # --- where a value is ------------------------------------------------------------------------------------------------

    def _made(self, p: int, end: str, inside: Inside) -> sp.Expr:
        """From the presence of what a value is made of."""
        state, node = self.statement, self.statement.nodes[p]
        match node["class"]:
            case "InputNode":
                one_axis = len(node["type"]["positions"]) == 1
                return self.read.symbol(f"given_mask_{node['name']}_{end}") if one_axis else sp.S.One
            case "WeightedNode":
                h = node["operand"]
                window = layers.window(node["layer"], state.grid(h))
                return inside(h) if window is None else self._windowed(window, h, inside)
            case "PositionalNode":
                return self._moved_to(p, inside)
            case "CarriedNode" | "FinalNode":
                return self._carried(p, end, inside)
            case "VectorNode":
                return inside(node["like"])
            case "CombineNode" if node.get("row") is not None:
                return inside(self._row(p, node["row"]))
        return _once(sp.Mul(*map(inside, state.operands(p))))  # where all of its operands are

    def _moved_to(self, p: int, inside: Inside) -> sp.Expr:
        h = self.statement.nodes[p]["operand"]
        geometry = layers.positional(self.statement.layer(p), self.statement.grid(h))
        match geometry["class"]:
            case "Pool":
                return self._windowed(geometry, h, inside)
            case "Select" if inside(h) != 1:
                return sp.Function(f"{self.map_name(geometry, h)}_left")(inside(h))
            case "Given":
                return inside(h)
        if inside(h) == 1:
            return sp.S.One
        raise Unknown(f"which positions are present after `{self.statement.layer(p)['name']}`")

    def _windowed(self, geometry: dict[str, Any], h: int, inside: Inside) -> sp.Expr:
        """The certificate states which positions of the operand each of a window's own needs; here is which they are."""
        if inside(h) == 1:
            return sp.S.One
        entry, axis = self.map_of(geometry, h), geometry["axes"][0]
        if axis["padding"] == "circular" or (axis["transposed"] and axis["padding"] == "valid"):
            raise Contradicted(f"{entry['name']} depends on the padded length")
        (n,), stated = self.statement.grid(h), entry.get("present", {"positions": 0})
        size = stated["positions"]
        if size < min(n or layers.SHOWN, layers.SHOWN) or stated["needs"] != layers.needs(geometry, size):
            raise Contradicted(f"the certificate states other positions present after {entry['name']} than there are")
        return sp.Function(f"{entry['name']}_present")(inside(h))

    def _carried(self, p: int, end: str, inside: Inside) -> sp.Expr:
        """What a `repeat` carries is present where it was before, which a turn must leave as it is; what a `scan` carries, where
        the sequences are that it walks."""
        state, loop, known = self.statement, self.statement.nodes[p]["loop"], dict[int, sp.Expr]()

        def full(i: int) -> sp.Expr:
            """Down to the inputs, supposing it of what the loop carries; what keeps all positions in their places is left out."""
            if i not in known:
                known[i] = _once(_full(i)) if state.grid(i) else sp.S.One
            return known[i]

        def _full(i: int) -> sp.Expr:
            if state.carries(i) and state.nodes[i]["loop"] == loop:
                return sp.Mul(*map(full, state.before(i)))
            weighted, h = state.kind(i) == "WeightedNode", next(iter(state.operands(i)), i)
            window = layers.window(state.layer(i), state.grid(h)) if weighted else None
            value = full(h) if window and layers.keeps(window) else self._made(i, end, full)
            back = state.kind(i) == "PositionalNode" and state.layer(i)["class"] == "Reverse" and value != 1
            return value.args[0].args[0] if back and value.args[0].func == value.func else value  # backwards twice

        for k, slot in enumerate(state.loops[loop]["slots"]):
            carried = state.carried(loop, k)
            if state.grid(carried) and full(slot["following"]) != full(carried):
                raise Contradicted(f"a turn leaves v{slot['following']} present elsewhere than it was")
        return _once(sp.Mul(*map(inside, state.before(p))))

    def _row(self, p: int, row: int) -> int:
        """A scan that is written out puts its steps in a row: each is there where what it has come to is."""
        state = self.statement
        starts = {state.layer(h)["start"]: h for h in state.operands(p) if state.layer(h)["class"] == "Embed"}
        read = {t: state.chosen(h) for t, h in starts.items()}
        whole = sorted(starts) == list(range(state.grid(row)[0] or 0)) and len(state.operands(p)) == len(starts)
        if not whole or any(i != row or k > t for t, items in read.items() for i, k in items):
            raise Contradicted(f"v{p} is no row of the steps of v{row}")
        return row

    # --- what reads several positions -------------------------------------------------------------------------------------

    def masked(self, value: sp.Expr, p: int, q: int, side: str) -> sp.Expr:
        """A moment where both are present, 0 elsewhere."""
        return value * _once(sp.Mul(*(self.present(i, end) for i, end in zip((p, q), ENDS[side], strict=True))))

    def mean_present(self, value: sp.Expr, p: int, side: str) -> sp.Expr:
        """Over the matching positions that are present on both sides."""
        mask = self.masked(sp.S.One, p, p, side)
        return flat_mean(value) if mask == 1 else flat_mean(value * mask) * ratio(sp.S.One, flat_mean(mask))

    def shared(self, p: int, geometry: dict[str, Any], end: str) -> sp.Expr:
        """The factor of what divides by the positions that it reads, which a window with zeros around does not."""
        counts = geometry["class"] == "GlobalPool" and geometry["average"]
        counts = counts or (geometry["class"] == "Pool" and geometry["average"] and geometry["normalize"])
        none = self.present(self.statement.nodes[p]["operand"], end) == 1
        return sp.S.One if none or not counts else self.of("R", p, p, end)


def _once(product: sp.Expr) -> sp.Expr:
    """1 * 1 is 1 and 0 * 0 is 0."""
    return sp.Mul(*{factor.as_base_exp()[0] for factor in sp.Mul.make_args(product)})
