"""What cannot be sampled either: refused before any slice is drawn."""

import math

from ntkc.ir.network import JointNode, Network


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
