"""Network -> what its kernels cannot see, read off the layers one by one: order or shift of positions, scale of the input."""

import math

import sympy as sp

from ntkc.ir.geometry import Given, GlobalPool
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    MapNode,
    MixingNode,
    Network,
    NonlinearNode,
    PositionalNode,
    WeightedNode,
)

FACTOR = sp.Rational(7, 3)
POINTS = (sp.Rational(-8, 5), sp.Rational(-3, 7), sp.Rational(5, 9), sp.Rational(13, 6))


def circular(network: Network) -> bool:
    """Every layer treats positions alike on a circle, and all are averaged or summed at the end."""
    return _one_grid(network) and all(_turns(network, index) for index in range(len(network.nodes)))


def unordered(network: Network) -> bool:
    """Every layer treats positions alike in any order, and all are averaged or summed at the end."""
    return _one_grid(network) and all(_shuffles(network, index) for index in range(len(network.nodes)))


def _one_grid(network: Network) -> bool:
    inputs = [n for n in network.nodes if isinstance(n, InputNode)]
    pooled = not any(network.grids[output] for _, output in network.outputs)
    return len(inputs) == 1 and bool(inputs[0].type.positions) and pooled and not any(loop.scan for loop in network.loops)


def _turns(network: Network, index: int) -> bool:
    node = network.nodes[index]
    match node:
        case WeightedNode(layer=layer, operand=operand):
            window = layer.geometry(network.grids[operand])
            alike = window is None or all(a.padding == "circular" and a.stride == 1 and not a.transposed for a in window.axes)
            return alike and not layer.local and not network.flat[operand]
        case PositionalNode(layer=layer, operand=operand):
            return isinstance(layer.geometry(network.grids[operand]), GlobalPool)
        case InputNode(adjacency=adjacency):
            return not adjacency and not network.masked
    return _shuffles(network, index)


def _shuffles(network: Network, index: int) -> bool:
    node = network.nodes[index]
    match node:
        case WeightedNode(layer=layer, operand=operand):
            return layer.geometry(network.grids[operand]) is None and not layer.local and not network.flat[operand]
        case PositionalNode(layer=layer, operand=operand):
            return isinstance(layer.geometry(network.grids[operand]), GlobalPool | Given)
        case MixingNode(layer=layer):
            return not layer.coefficients().causal
        case InputNode(type=type):
            return len(type.positions) == 1
        case CombineNode() | NonlinearNode() | ConcatNode() | MapNode() | CarriedNode() | FinalNode():
            return True
    return False


def homogeneity(network: Network) -> float | None:
    """d where f(k x) = k^d f(x) for k > 0 and all weights; not through loops."""
    degrees = list[float | None]()
    for index, node in enumerate(network.nodes):
        below = {degrees[i] for i in network.operands(index)}
        common = below.pop() if len(below) == 1 else None
        match node:
            case InputNode(type=type):
                common = None if type.tokens else 1.0
            case WeightedNode(layer=layer) if getattr(layer, "b_std", None) is None:
                pass
            case NonlinearNode(function=function, symbols=symbols) if common is not None:
                own = _degree(function, symbols)
                common = None if own is None else common * own
            case PositionalNode() | CombineNode() | ConcatNode():
                pass
            case _:
                common = None
        degrees.append(common)
    found = {degrees[output] for _, output in network.outputs}
    return found.pop() if len(found) == 1 else None


def _degree(function: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> float | None:
    """Of a function that is positively homogeneous at the points tried."""
    if function.free_symbols - set(symbols):
        return None
    found = set[float]()
    for turn in range(len(POINTS)):
        at = {s: POINTS[(i + turn) % len(POINTS)] for i, s in enumerate(symbols)}
        small, large = (float(function.subs({s: k * v for s, v in at.items()})) for k in (1, FACTOR))
        if small == large == 0:
            continue
        if small * large <= 0:
            return None
        found.add(round(math.log(large / small) / math.log(FACTOR), 9))
    return found.pop() if len(found) == 1 else None
