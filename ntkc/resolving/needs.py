"""What layers need of the values that they are applied to."""

import sympy as sp

from ntkc.diagnostics import did_you_mean
from ntkc.ir.geometry import Grid
from ntkc.ir.layer import Layer
from ntkc.ir.network import InputNode, Law, WeightedNode
from ntkc.resolving.nodes import Place
from ntkc.resolving.parameterization import Parameterization
from ntkc.resolving.problem import fail
from ntkc.source import Span


class Needs(Parameterization):
    """Checks of kind and place, each with its message."""

    @property
    def adjacencies(self) -> dict[str, InputNode]:
        """The graphs, by the name of their adjacency."""
        return {node.adjacency: node for node in self.nodes if isinstance(node, InputNode) and node.adjacency}

    def _need_numbers(self, operand: int, span: Span, layer: Layer | None = None) -> None:
        """Tokens are read by an embedding, and by selections of positions; an embedding reads nothing else."""
        tokens = self.laws[operand] is Law.TOKENS
        if getattr(layer, "reads_tokens", False) and not tokens:
            label = "this value is made of numbers"
            fail("not-tokens", f"`{layer.name}` reads tokens", span, label, "declare the input as `tokens(T, vocabulary)`")  # type: ignore[union-attr]
        if tokens and not getattr(layer, "reads_tokens", False):
            fail(
                "tokens-as-numbers", "tokens are names, not numbers", span, "they need an embedding", "write `embedding(t)` first"
            )

    def _need_same_width(self, symbols: list[sp.Symbol], span: Span) -> None:
        widths = [w for w in dict.fromkeys(self.widths[self._symbols[s]] for s in symbols) if w is not None]
        laws = {self.law(s) for s in symbols}
        if len(widths) > 1 and (laws == {Law.DATA} or Law.DATA not in laws):  # raw and hidden have an error of their own
            message, label = "values with different numbers of channels are combined", f"one has {widths[0]} and one {widths[1]}"
            fail("shape-mismatch", message, span, label, "give both the same `width=`")

    def need_same_fan_in(self, weight: str, operand: int, span: Span) -> None:
        """One matrix has one number of columns: all that a named layer reads is of one kind."""
        raw = self.laws[operand] is Law.DATA
        kind = (raw, self.places[operand].grid if self.places[operand].flat else (), self.widths[operand])
        uses = [n.operand for n in self.nodes if isinstance(n, WeightedNode) and n.weight == weight]
        for use in uses:
            other = (self.laws[use] is Law.DATA, self.places[use].grid if self.places[use].flat else (), self.widths[use])
            widths = None not in (kind[2], other[2]) and kind[2] != other[2]
            if kind[:2] != other[:2] or widths:
                fail(
                    "different-fan-in",
                    "one set of weights is used on values of different sizes",
                    span,
                    "an earlier use reads " + _described(other),
                    f"here it reads {_described(kind)}; name two layers",
                )

    def _need_graph(self, layer: Layer, name: str, place: Place, span: Span) -> None:
        known = self.adjacencies
        if name not in known:
            label = did_you_mean(name, known) or "declare it with the input: `input x: graph(N, d) with A`"
            fail("unknown-adjacency", f"`{name}` is not the adjacency of an input", span, label)
        if known[name].type.positions != place.grid or place.scan is not None:
            fail("bad-positions", f"`{layer.name}` cannot be applied here", span, f"`{name}` belongs to other positions")

    def _need_positions(self, layer: Layer, place: Place, span: Span) -> None:
        if place.vector:
            fail("no-positions", f"`{layer.name}` needs positions", span, "this value has none: it is one vector")


def _described(kind: tuple[bool, Grid, int | None]) -> str:
    raw, flat, width = kind
    what = "raw input" if raw else "a hidden value"
    channels = f" of {width} channels" if width is not None else ""
    return what + channels + (f", flattened over {' x '.join(map(str, flat))} positions" if flat else "")
