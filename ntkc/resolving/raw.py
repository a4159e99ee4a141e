"""What acts on the few channels of raw input as if they were infinitely many."""

import sympy as sp

from ntkc.diagnostics import Diagnostic
from ntkc.ir.network import Law, MapNode, Network, Node, WeightedNode


def misused_inputs(network: Network) -> list[Diagnostic]:
    """Random vectors on the channels of raw input do not average out; means over them are known only where it is sampled."""
    on_raw = [n for i, n in enumerate(network.nodes) if any(network.laws[h] is Law.DATA for h in network.operands(i))]
    means = [n for n in on_raw if isinstance(n, MapNode) and n.layer.centers] if network.sampled is None else []
    return [_random(node) for node in on_raw if _acts_on_channels(node)] + [_centered(node) for node in means]


def _acts_on_channels(node: Node) -> bool:
    if isinstance(node, MapNode):
        return bool(node.layer.coincident() != 1 or node.layer.trained(sp.Symbol("S")) != 0)
    return isinstance(node, WeightedNode) and not node.layer.gaussian


def _random(node: Node) -> Diagnostic:
    message = "random weights or masks for each channel are applied to raw input"
    label = "it has a fixed number of channels, over which they do not average out"
    return Diagnostic("no-limit", message, node.origin.span, label, "put a `dense` layer before it")


def _centered(node: MapNode) -> Diagnostic:
    message = f"`{node.layer.name}` of raw input needs the mean over its channels"
    label = "of raw input only inner products enter the kernel"
    cure = "put a `dense` layer before it, or use `rms_norm` on samples that are centered beforehand"
    return Diagnostic("raw-mean", message, node.origin.span, label, cure)
