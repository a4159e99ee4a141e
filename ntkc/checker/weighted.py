"""Two uses of the same weights, and two readings of the same input: what their moments are from those of what they read."""

from collections.abc import Iterator
from math import prod

import sympy as sp

from ntkc.checker import layers
from ntkc.checker.layers import Contradicted, Unknown
from ntkc.checker.presence import ENDS, Presence, flat_mean

matching = sp.Function("matching")


class Weighted(Presence):
    """The rules of layers with weights."""

    def _same_weights(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        state = self.statement
        left, right = state.nodes[p], state.nodes[q]
        if kind == "m" or left["class"] != right["class"]:
            return
        if left["class"] == "InputNode":
            yield sp.S.Zero if kind == "T" else self._data(p, q, side)
        if state.encodes(p) and state.encodes(q):
            yield self._encoded(kind, p, q, side)
        elif "weight" not in left or left["weight"] != right["weight"]:
            return
        elif left["class"] == "WeightedNode":
            yield self._weighted(kind, p, q, side)
        elif left["class"] == "MixingNode" and side == "12":
            yield self._attended(kind, p, q)
        elif left["class"] == "VectorNode":
            variance = self.read(left["layer"]["std"]) ** 2
            standard = kind == "T" and left["layer"]["parameterization"] == "standard"
            value = sp.S.One if standard else variance
            yield matching(value) if side == "12" and state.grid(p) else value

    def _encoded(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        """Sinusoids at infinitely many channels (Vaswani et al. 2017, 3.5): sin^2 + cos^2 = 1 makes half the squared amplitude
        at one position; between two the certificate names the table of integrals. Nothing of them is trained."""
        amplitude = self.read(self.statement.layer(p)["std"]) * self.read(self.statement.layer(q)["std"])
        if kind == "T" or side != "12":
            return sp.S.Zero if kind == "T" else amplitude / 2
        return amplitude * self._integrals(p, q, "", side)

    def _integrals(self, p: int, q: int, of: str, side: str) -> sp.Expr:
        """A table over positions alone: it is written as a function of the input that is named first, which it does not read."""
        rows, columns = (self.statement.grid(i)[0] for i in (p, q))
        name = self.map_name({"class": "Sinusoids", "rows": rows, "columns": columns}, p)
        first = next(i for i, node in enumerate(self.statement.nodes) if node["class"] == "InputNode")
        return sp.Function(f"{name}{of}")(self._data(first, first, side))

    def _data(self, p: int, q: int, side: str) -> sp.Expr:
        for entry in self.statement.data["data"]:
            if (entry["first"], entry["second"]) == (p, q):
                return self.read.symbol(entry["symbols"][("12", "1", "2").index(side)])
        raise Unknown(f"the certificate has no inner product of v{p} and v{q}")

    def _weighted(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        state = self.statement
        node, h, k = state.nodes[p], state.nodes[p]["operand"], state.nodes[q]["operand"]
        w, b, trained, trained_bias = layers.weights(node["layer"], state.grid(h), self._channels(h), self.read)
        square = self._read(p, q, self.of("S", h, k, side), side)
        value = w * square + b
        if kind == "T":
            value = trained * square + w * self._read(p, q, self.of("T", h, k, side), side) + trained_bias
        fresh = node["home"] is not None and state.loops[node["home"]]["scan"]
        local = node["layer"]["class"] == "ConvLocal" and bool(state.grid(p))
        return matching(value) if (fresh or local) and side == "12" else value

    def _channels(self, h: int) -> int | None:
        """The nominal number of channels of an operand, with its positions where these are channels."""
        channels = self.statement.data["widths"][h]
        positions = [n or 1 for n in self.statement.grid(h)] if self.statement.data["flat"][h] else []
        return None if channels is None else int(channels) * prod(positions)

    def _read(self, p: int, q: int, value: sp.Expr, side: str) -> sp.Expr:
        """What the weights read of a moment of their operands: a window of it, its mean where positions are channels."""
        state, h, k = self.statement, self.statement.nodes[p]["operand"], self.statement.nodes[q]["operand"]
        if (not state.grid(h) and not state.grid(k)) or value == 0:
            return value
        if state.data["flat"][h]:
            if any(self.present(i, end) != 1 for i, end in zip((h, k), ENDS[side], strict=True)):
                raise Contradicted(f"the fan-in of v{p} depends on the padded length")
            return flat_mean(value)
        windows = [layers.window(state.layer(i), state.grid(j)) for i, j in ((p, h), (q, k))]
        if windows[0] != windows[1] or (windows[0] and state.grid(h) != state.grid(k)):
            raise Unknown("the same weights on two different index grids")
        return value if windows[0] is None else sp.Function(self.map_name(windows[0], h))(self.masked(value, h, k, side))

    def _attended(self, kind: str, p: int, q: int) -> sp.Expr:
        """The matrix on either side; the tangent has what the values' and the outputs' matrices add."""
        state, h, k = self.statement, self.statement.nodes[p]["operand"], self.statement.nodes[q]["operand"]
        scale, bias, trained, trained_bias = layers.attending(state.layer(p), self.read)

        def mixed(value: sp.Expr) -> sp.Expr:
            for index, operand, side, end in ((p, h, "1", "left"), (q, k, "2", "right")):
                name = self.map_name(layers.mixing(state.layer(index), self.read), operand)
                value = sp.Function(f"{name}_{end}")(self.of("A", index, index, side), value) if value != 0 else value
            return value

        square = mixed(self.of("S", h, k, "12"))
        if kind == "S":
            return scale * square + bias
        return trained * square + scale * mixed(self.of("T", h, k, "12")) + trained_bias

    def attention(self, p: int) -> sp.Expr:
        """The mixing matrix at x, from the second moments between its positions; nothing attends to absent ones."""
        h = self.statement.nodes[p]["operand"]
        name = self.map_name(layers.mixing(self.statement.layer(p), self.read), h)
        mask = self.present(h, "1")
        return sp.Function(name)(self.of("S", h, h, "11"), *(() if mask == 1 else (mask,)))
