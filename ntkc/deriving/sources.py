"""Which random weights a value is made of, not looking through layers: disjoint sets mean independent values."""

from dataclasses import dataclass
from typing import TypeAlias

from ntkc.ir.network import CarriedNode, FinalNode, InputNode, MixingNode, Network, VectorNode, WeightedNode


@dataclass(frozen=True, slots=True)
class Token:
    """Weights, and whether they are those of an earlier turn of their loop."""

    weight: str
    home: int | None
    past: bool = False


Sources: TypeAlias = tuple[frozenset[Token], ...]


def sources(network: Network) -> Sources:
    """For each node; a fixed point, since a loop hands its weights on to the next turn."""
    found: list[frozenset[Token]] = [frozenset()] * len(network.nodes)
    while True:
        before = list(found)
        for index in range(len(network.nodes)):
            found[index] = _of(network, index, found)
        if found == before:
            return tuple(found)


def _of(network: Network, index: int, found: list[frozenset[Token]]) -> frozenset[Token]:
    match network.nodes[index]:
        case InputNode():
            return frozenset({Token("input", None)})
        case VectorNode(layer=layer) if layer.fixed:
            return frozenset({Token("sinusoids", None)})
        case WeightedNode(weight=weight, home=home) | MixingNode(weight=weight, home=home) | VectorNode(weight=weight, home=home):
            return frozenset({Token(weight, home)})
        case CarriedNode(loop=loop, slot=slot):
            place = network.loops[loop].slots[slot]
            if network.loops[loop].scan:  # the same weights at every step
                return found[place.following]
            return found[place.initial] | _past(network, loop, found[place.following])
        case FinalNode(loop=loop, slot=slot):
            following = found[network.loops[loop].slots[slot].following]
            return following if network.loops[loop].scan else _past(network, loop, following)
        case _:
            return frozenset().union(*(found[operand] for operand in network.operands(index)))


def _past(network: Network, loop: int, tokens: frozenset[Token]) -> frozenset[Token]:
    """Seen from the next turn, weights made inside the loop are others than the fresh ones."""
    return frozenset(Token(t.weight, t.home, t.past or network.inside(t.home, loop)) for t in tokens)
