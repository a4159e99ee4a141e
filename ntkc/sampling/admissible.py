"""What cannot be sampled either: refused before any slice is drawn."""

import math

from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.ir.network import JointNode, Law, MapNode, Network, Node, WeightedNode
from ntkc.sampling.formulas import SQUARE


def check_samplable(network: Network) -> None:
    """Random vectors on the few channels of raw input do not average out."""
    acting = [i for i, node in enumerate(network.nodes) if _acts_on_channels(node)]
    found = [network.nodes[i] for i in acting if network.laws[network.operands(i)[0]] is Law.DATA]
    if found:
        message = "random weights or masks for each channel are applied to raw input"
        label = "it has a fixed number of channels, over which they do not average out"
        cure = "put a `dense` layer before it"
        raise ArchError([Diagnostic("no-limit", message, node.origin.span, label, cure) for node in found])


def _acts_on_channels(node: Node) -> bool:
    if isinstance(node, MapNode):
        return bool(node.layer.coincident() != 1 or node.layer.trained(SQUARE) != 0)
    return isinstance(node, WeightedNode) and not node.layer.gaussian


def check_batches(network: Network, batches: tuple[int, ...], tangents: bool) -> None:
    """Whether what acts on a whole batch sees enough of it for a finite tangent kernel."""
    for node in network.nodes:
        if isinstance(node, JointNode) and tangents:
            alone = network.flat[node.operand] or _in_scan(network, node.origin.loop)
            seen = min(batches) * (1 if alone else math.prod(n or 1 for n in network.grids[node.operand]))
            if seen < node.layer.least:
                found = f"`{node.layer.name}` sees {seen} values of each channel"
                cure = "give larger batches, or ask for get='nngp'"
                raise ValueError(f"{found}; with fewer than {node.layer.least} the NTK is infinite: {cure}")


def _in_scan(network: Network, place: int | None) -> bool:
    """Whether a value is that of one step, not of a sequence."""
    while place is not None and not network.loops[place].scan:
        place = network.loops[place].parent
    return place is not None
