"""What is wrong, or worth a warning, with how a network's outputs are read out, and with layers that have their own warning."""

from collections.abc import Iterator

from ntkc.diagnostics import Diagnostic
from ntkc.ir.network import Network, WeightedNode
from ntkc.ir.readout import Readout, feeds_body, readout
from ntkc.source import Span


def reused_readouts(network: Network) -> list[Diagnostic]:
    """Weights that an output is read out by and that the network also uses inside (Yang 2020, the simple GIA check)."""
    found = [readout(network, node) for _, node in network.outputs]
    layers = {index for each in found for index in each.layers}
    between = frozenset(index for each in found for index in each.between)
    problems: dict[str, Diagnostic] = {}
    for index in sorted(layers):
        node = network.nodes[index]
        if isinstance(node, WeightedNode) and node.weight not in problems:
            span = _inner_use(network, index, layers, between)
            if span is not None:
                problems[node.weight] = _reused(node, span)
    return list(problems.values())


def _inner_use(network: Network, index: int, layers: set[int], between: frozenset[int]) -> Span | None:
    """Where inside the network the weights of a readout layer are used."""
    node = network.nodes[index]
    assert isinstance(node, WeightedNode)
    for other, use in enumerate(network.nodes):
        if isinstance(use, WeightedNode) and use.weight == node.weight and other not in layers:
            return use.origin.span
    tied_over_turns = node.home != node.origin.loop
    return node.origin.span if tied_over_turns and feeds_body(network, index, between) else None


def _reused(node: WeightedNode, inner: Span) -> Diagnostic:
    name = node.layer.name
    message = f"the weights of this `{name}` are used inside the network and also read an output out"
    label = "used here" if inner == node.origin.span else "used inside here"
    help = (
        "an output needs weights of its own: gradients flow back through its weights as if nothing else depended on them; "
        "end the output with `|> dense`"
    )
    return Diagnostic("reused-readout", message, inner, label, help)


def warnings_of(network: Network, outputs: list[tuple[str, Span]]) -> tuple[Diagnostic, ...]:
    """In the order of the text; `outputs` are their names and where their values are written."""
    found = [*_layer_warnings(network)]
    for (name, span), (_, node) in zip(outputs, network.outputs, strict=True):
        if _unread(readout(network, node)):
            found.append(_no_readout(name, span))
    once = {(w.code, w.span.start, w.span.source.name): w for w in found}
    return tuple(sorted(once.values(), key=lambda w: (w.span.source.name, w.span.start)))


def _layer_warnings(network: Network) -> Iterator[Diagnostic]:
    for node in network.nodes:
        caution = node.layer.caution() if hasattr(node, "layer") else None
        if caution is not None:
            yield Diagnostic(caution.code, caution.message, node.origin.span, caution.label, caution.help, "warning")


def _unread(found: Readout) -> bool:
    return bool(found.others) or not found.layers


def _no_readout(name: str, span: Span) -> Diagnostic:
    message = f"{f'output `{name}`' if name else 'the output'} does not end in a linear readout"
    label = "not a sum of weighted layers"
    help = (
        "the kernels are this value's second moment and tangent; a network with this output is no Gaussian process. "
        "End the output with `|> dense` to have one"
    )
    return Diagnostic("no-readout", message, span, label, help, "warning")
