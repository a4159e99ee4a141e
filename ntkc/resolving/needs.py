"""What layers need of the values that they are applied to."""

from ntkc.diagnostics import did_you_mean
from ntkc.ir.layer import Layer
from ntkc.ir.network import InputNode, Law
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
