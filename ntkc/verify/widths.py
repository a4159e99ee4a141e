"""Compilation -> Compilation: the same architecture at another width and with short loops, for finite networks of it."""

from collections.abc import Callable
from dataclasses import replace

from ntkc.ir.network import Law, MixingNode, Network, Node, WeightedNode
from ntkc.pipeline import Compilation

TURNS = 3


def at_width(compilation: Compilation, width: int) -> Compilation:
    """Widths that the file gives become `width` for the widest and smaller in proportion; a `repeat` has few turns, since the
    equations of one turn serve all of them."""
    network = compilation.network
    loops = tuple(loop if loop.scan else replace(loop, count=min(loop.count, TURNS)) for loop in network.loops)
    hidden = [None if network.laws[i] is Law.DATA else w for i, w in enumerate(network.widths)]
    given = [w for w in hidden if w is not None]
    last = {node for _, node in network.outputs}

    def scaled(w: int) -> int:
        return max(1, round(w * width / max(given)))

    nodes = tuple(_narrow(network, node, i in last, scaled) for i, node in enumerate(network.nodes))
    widths = tuple(network.widths[i] if w is None else None if i in last else scaled(w) for i, w in enumerate(hidden))
    changed = replace(network, nodes=nodes, loops=loops, widths=widths)
    return compilation if changed == network else compilation.of(changed)


def _narrow(network: Network, node: Node, last: bool, scaled: Callable[[int], int]) -> Node:
    if not isinstance(node, WeightedNode | MixingNode):
        return node
    layer, reads = node.layer, network.widths[node.operand]
    width, fan_in = getattr(layer, "width", None), getattr(layer, "fan_in", None)
    if fan_in is not None and reads is not None and network.laws[node.operand] is not Law.DATA:
        layer = replace(layer, fan_in=fan_in // reads * scaled(reads))  # type: ignore[call-arg]
    if width is not None:
        layer = replace(layer, width=None if last else scaled(width))  # type: ignore[call-arg]
    return replace(node, layer=layer)  # type: ignore[arg-type]
