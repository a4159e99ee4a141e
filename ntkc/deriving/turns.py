"""Which turns of a `repeat` leave other positions present than stood there before: these are written out one by one."""

from typing import TypeAlias

from ntkc.ir.geometry import Geometry, Given, Pool, Select, Window
from ntkc.ir.network import CarriedNode, FinalNode, InputNode, Loop, Network, PositionalNode, VectorNode, WeightedNode

Moves: TypeAlias = tuple[Geometry, ...]
Present: TypeAlias = frozenset[tuple[int, Moves]]
"""The masked inputs of a value's positions, and what has moved them since."""


def restless(network: Network) -> Loop | None:
    """A loop after whose turns a mask stands elsewhere than before, if there is one."""
    found = present(network)
    for loop in network.loops:
        for slot in loop.slots:
            if not loop.scan and network.grids[slot.following] and found[slot.following] != found[slot.initial]:
                return loop
    return None


def present(network: Network) -> tuple[Present, ...]:
    """Of each node, taking what loops carry for what they began with."""
    found: list[Present] = []
    for index, node in enumerate(network.nodes):
        if isinstance(node, InputNode):
            found.append(frozenset({(index, ())} if node.type.maskable else ()))
            continue
        operands = (*network.operands(index), *((node.like,) if isinstance(node, VectorNode) else ()))
        if isinstance(node, CarriedNode | FinalNode):
            initial = network.loops[node.loop].slots[node.slot].initial
            operands = (initial,) if initial >= 0 else ()
        here = frozenset[tuple[int, Moves]]().union(*(found[h] for h in operands))
        if isinstance(node, WeightedNode | PositionalNode):
            geometry = node.layer.geometry(network.grids[node.operand])
            here = frozenset((i, _moved(moves, geometry)) for i, moves in here)
        found.append(here)
    return tuple(found)


def _moved(moves: Moves, geometry: Geometry | None) -> Moves:
    """With another map, which may leave all positions in their places; backwards twice is forwards."""
    match geometry:
        case None | Given():
            return moves
        case Window(axes=(axis,)) | Pool(axes=(axis,)) if axis.stride == 1 and axis.padding != "valid" and not axis.transposed:
            return moves
        case Select(axes=(tuple() as chosen,)) if moves[-1:] == (geometry,) and chosen == tuple(range(len(chosen)))[::-1]:
            return moves[:-1]
    return (*moves, geometry)
