"""What an output is read out by: its value, followed back through sums and maps over positions to layers with weights."""

from dataclasses import dataclass

from ntkc.ir.layer import Flatten
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    ItemNode,
    MapNode,
    MixingNode,
    Network,
    PositionalNode,
    VectorNode,
    WeightedNode,
)


@dataclass(frozen=True, slots=True)
class Readout:
    """Nodes: the layers with Gaussian outputs that it ends in, what lies between, and what else it is made of."""

    layers: tuple[int, ...]
    between: tuple[int, ...]
    others: tuple[int, ...]


def readout(network: Network, output: int) -> Readout:
    """Of the value of one node."""
    layers, between, others = list[int](), list[int](), list[int]()
    waiting, seen = [output], {output}
    while waiting:
        index = waiting.pop()
        node = network.nodes[index]
        if isinstance(node, MixingNode) or (isinstance(node, WeightedNode) and node.layer.gaussian):
            layers.append(index)
            continue
        found = _followed(network, index)
        (others if found is None else between).append(index)
        waiting += [operand for operand in dict.fromkeys(found or ()) if operand not in seen]
        seen.update(found or ())
    return Readout(tuple(sorted(layers)), tuple(sorted(between)), tuple(sorted(others)))


def _followed(network: Network, index: int) -> tuple[int, ...] | None:
    """The values that a sum or a map over positions is of; None for any other node."""
    match network.nodes[index]:
        case CombineNode() | ConcatNode() | PositionalNode() | ItemNode():
            return network.operands(index)
        case MapNode(layer=Flatten(), operand=operand):
            return (operand,)
        case CarriedNode(loop=loop, slot=slot) | FinalNode(loop=loop, slot=slot):
            carried = network.loops[loop].slots[slot]
            return (carried.following,) if network.loops[loop].scan else (carried.initial, carried.following)
        case VectorNode():
            return ()
        case _:
            return None


def feeds_body(network: Network, index: int, between: frozenset[int]) -> bool:
    """Whether a node's value is also read by something that does not lie between it and an output."""
    waiting, seen = [index], {index}
    while waiting:
        value = waiting.pop()
        users = [i for i in range(len(network.nodes)) if value in network.operands(i)]
        if any(user not in between for user in users):
            return True
        slots = {(k, j) for k, loop in enumerate(network.loops) for j, slot in enumerate(loop.slots) if slot.following == value}
        users += [i for i, n in enumerate(network.nodes) if isinstance(n, CarriedNode | FinalNode) and (n.loop, n.slot) in slots]
        waiting += [user for user in users if user not in seen]
        seen.update(users)
    return False
