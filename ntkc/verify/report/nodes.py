"""Nodes of a network in words and formulas."""

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import sympy as sp

from ntkc.gaussian.terms import Z
from ntkc.ir.layer import Layer
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    ItemNode,
    MixingNode,
    Network,
    NonlinearNode,
    Type,
    VectorNode,
    WeightedNode,
)
from ntkc.verify.report.html import Child, tag
from ntkc.verify.report.mathml import inline
from ntkc.verify.report.names import Names


def title(network: Network, index: int) -> str:
    """A few words for a drawing."""
    node = network.nodes[index]
    match node:
        case InputNode(name=name):
            return f"input {name}"
        case CarriedNode(loop=loop, slot=slot):
            return f"{network.loops[loop].slots[slot].name}, carried"
        case FinalNode(loop=loop, slot=slot):
            return f"{network.loops[loop].slots[slot].name}, at the end"
        case ItemNode():
            return "item of a sequence"
        case CombineNode():
            return "sum"
        case ConcatNode():
            return "channels side by side"
        case NonlinearNode():
            return _function(network, node) or "function"
        case _:
            return node.layer.name


def _function(network: Network, node: NonlinearNode) -> str:
    """The name that the program knows a function by."""
    plain = node.function.xreplace({node.symbols[0]: Z}) if len(node.symbols) == 1 else node.function
    return next((name for function, name in network.functions if function == plain or sp.expand(function - plain) == 0), "")


def described(network: Network, index: int, names: Names) -> ET.Element:
    """All that is known of a node, for a table."""
    node = network.nodes[index]
    words: list[Child] = [f"{title(network, index)}: "]
    match node:
        case InputNode(type=type, adjacency=adjacency):
            words += [_type(type), f" with {adjacency}" if adjacency else ""]
        case CarriedNode(loop=loop, slot=slot):
            carried = network.loops[loop].slots[slot]
            words += [*_values("first ", (carried.initial,)), *_values(", then ", (carried.following,))]
        case FinalNode(loop=loop, slot=slot):
            words += _values("", (network.loops[loop].slots[slot].following,))
        case ItemNode(operand=operand):
            words += _values("of ", (operand,))
        case CombineNode(terms=terms):
            words.append(inline(sp.Add(*(c * value(i) for c, i in terms), evaluate=False), names))
        case ConcatNode(parts=parts):
            words += _values("", tuple(i for _, i in parts))
        case NonlinearNode(function=function, symbols=symbols, operands=operands):
            words.append(inline(function.xreplace(dict(zip(symbols, map(value, operands), strict=True))), names))
        case VectorNode(layer=layer, weight=weight, like=like):
            words += [*_values("a vector like ", (like,)), *_weights(weight), *_arguments(layer, names)]
        case WeightedNode(layer=layer, weight=weight, operand=operand) | MixingNode(layer=layer, weight=weight, operand=operand):
            words += [*_values("of ", (operand,)), *_weights(weight), *_arguments(layer, names)]
        case _:
            words += [*_values("of ", (node.operand,)), *_arguments(node.layer, names)]
    return tag("span", *words)


def value(index: int) -> sp.Symbol:
    """What a node is called."""
    return sp.Symbol(f"v{index}", real=True)


def _values(before: str, indices: tuple[int, ...]) -> Iterator[Child]:
    yield before + ", ".join(f"v{i}" for i in indices)


def _weights(weight: str) -> Iterator[Child]:
    yield f", weights {weight}"


def _arguments(layer: Layer, names: Names) -> Iterator[Child]:
    """Those that differ from what is taken where nothing is said."""
    for field in dataclasses.fields(layer):
        argument = getattr(layer, field.name)
        usual = field.metadata["argument"].choices[:1] if "argument" in field.metadata else ()
        if argument is None or argument == field.default or argument in usual:
            continue
        yield f", {field.name} = "
        yield inline(argument, names) if isinstance(argument, sp.Basic) else _plain(argument)


def _plain(argument: object) -> str:
    if isinstance(argument, tuple):
        return "×".join(map(str, argument))
    return str(argument)


def _type(type: Type) -> str:
    positions = "×".join("any number" if n is None else str(n) for n in type.positions)
    channels = "any number of" if type.channels is None else str(type.channels)
    if type.tokens:
        return f"tokens of {channels} kinds at {positions} positions"
    return f"{channels} channel" + ("" if channels == "1" else "s") + (f" at {positions} positions" if positions else "")
