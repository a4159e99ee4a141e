"""Network -> Network: scans that use the same weights become one scan with the states of all.

Their states are correlated at all pairs of steps, which is what one scan says of its states. Only the derivation reads the
network in this form.
"""

import heapq
from dataclasses import replace
from itertools import combinations

from ntkc.deriving.sources import Token, sources
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    ItemNode,
    Loop,
    MixingNode,
    Network,
    Node,
    NonlinearNode,
    Slot,
    VectorNode,
    WeightedNode,
)


def fuse(network: Network) -> Network:
    """Where one of two scans walks what the other has made of its sequence, they stay two."""
    while (found := _pair_fused(network)) is not None:
        network = found
    return network


def _pair_fused(network: Network) -> Network | None:
    scans = [i for i, loop in enumerate(network.loops) if loop.scan]
    if len(scans) < 2:
        return None
    made_of = sources(network)
    weights = {i: frozenset[Token]().union(*(made_of[s.following] for s in network.loops[i].slots)) for i in scans}
    for i, j in combinations(scans, 2):
        beside = network.loops[i].parent == network.loops[j].parent
        if beside and weights[i] & weights[j] and (found := _sorted(_joined(network, i, j))) is not None:
            return found
    return None


def _joined(network: Network, i: int, j: int) -> Network:
    """The slots of loop j follow those of loop i; every later loop moves down by one."""
    first, second = network.loops[i], network.loops[j]
    offset = len(first.slots)

    def at(loop: int) -> int:
        return i if loop == j else loop - (loop > j)

    def place(loop: int | None) -> int | None:
        return None if loop is None else at(loop)

    def moved(node: Node) -> Node:
        node = replace(node, origin=replace(node.origin, loop=place(node.origin.loop)))
        if isinstance(node, CarriedNode | FinalNode):
            return replace(node, loop=at(node.loop), slot=node.slot + offset * (node.loop == j))
        if isinstance(node, ItemNode):
            return replace(node, loop=at(node.loop))
        return replace(node, home=place(node.home)) if isinstance(node, WeightedNode | MixingNode | VectorNode) else node

    loops = [replace(loop, parent=place(loop.parent)) for loop in network.loops]
    loops[i] = replace(loops[i], count=max(first.count, second.count), slots=first.slots + second.slots)
    del loops[j]
    return replace(network, nodes=tuple(map(moved, network.nodes)), loops=tuple(loops))


def _sorted(network: Network) -> Network | None:
    """Each node after what it reads, else in the old order; nothing where a node reads what follows from it."""
    waits = [_needs(network, index) for index in range(len(network.nodes))]
    users: list[list[int]] = [[] for _ in waits]
    for index, needed in enumerate(waits):
        for other in needed:
            users[other].append(index)
    ready, order = [i for i, needed in enumerate(waits) if not needed], list[int]()
    while ready:
        order.append(heapq.heappop(ready))
        for user in users[order[-1]]:
            waits[user].remove(order[-1])
            if not waits[user]:
                heapq.heappush(ready, user)
    return _permuted(network, order) if len(order) == len(waits) else None


def _needs(network: Network, index: int) -> set[int]:
    """What stands before a node: operands, the value before a loop, all of a loop before its results, and those before all that
    reads one of them."""
    node = network.nodes[index]
    needed = set(network.operands(index))
    left = {n.loop for i in needed if isinstance(n := network.nodes[i], FinalNode)}
    needed |= {i for i, other in enumerate(network.nodes) if isinstance(other, FinalNode) and other.loop in left}
    match node:
        case VectorNode(like=like):
            needed.add(like)
        case CombineNode(row=row) if row is not None:
            needed.add(row)
        case CarriedNode(loop=loop, slot=slot) if not network.loops[loop].scan:
            needed.add(network.loops[loop].slots[slot].initial)
        case FinalNode(loop=loop):
            needed |= {i for i, inner in enumerate(network.nodes) if network.inside(inner.origin.loop, loop)}
    return needed


def _permuted(network: Network, order: list[int]) -> Network:
    at = {old: new for new, old in enumerate(order)} | {-1: -1}

    def slots(loop: Loop) -> tuple[Slot, ...]:
        return tuple(replace(s, initial=at[s.initial], following=at[s.following]) for s in loop.slots)

    return replace(
        network,
        nodes=tuple(_renamed(network.nodes[i], at) for i in order),
        loops=tuple(replace(loop, slots=slots(loop)) for loop in network.loops),
        laws=tuple(network.laws[i] for i in order),
        grids=tuple(network.grids[i] for i in order),
        widths=tuple(network.widths[i] for i in order),
        flat=tuple(network.flat[i] for i in order),
        outputs=tuple((name, at[i]) for name, i in network.outputs),
    )


def _renamed(node: Node, at: dict[int, int]) -> Node:
    match node:
        case ConcatNode(parts=parts):
            return replace(node, parts=tuple((k, at[i]) for k, i in parts))
        case CombineNode(terms=terms, row=row):
            return replace(node, terms=tuple((k, at[i]) for k, i in terms), row=None if row is None else at[row])
        case NonlinearNode(operands=operands):
            return replace(node, operands=tuple(at[i] for i in operands))
        case VectorNode(like=like):
            return replace(node, like=at[like])
        case InputNode() | CarriedNode() | FinalNode():
            return node
        case _:
            return replace(node, operand=at[node.operand])
