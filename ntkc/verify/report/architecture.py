"""Compilation -> what was compiled: the text, its hyperparameters, and the network that it means."""

import xml.etree.ElementTree as ET

from ntkc.ir.network import Network
from ntkc.pipeline import Compilation
from ntkc.verify.report.diagram import diagram, loop_words
from ntkc.verify.report.html import Child, details, section, table, tag
from ntkc.verify.report.mathml import inline
from ntkc.verify.report.names import Names
from ntkc.verify.report.nodes import described

LONGEST = 40
"""Values of a network that is drawn without being asked for."""


def architecture(compilation: Compilation, names: Names) -> ET.Element:
    """The source, the hyperparameters, the network drawn and in words."""
    source = tag("pre", tag("code", compilation.source.text), tabindex="0", role="region", aria_label="Source of the program")
    count = len(compilation.network.nodes)
    drawing = details(f"Drawing of {count} values", tag("figure", diagram(compilation.network)), shown=count <= LONGEST)
    words = details(f"The same in words: {count} values", _values(compilation, names), shown=False)
    parts = [tag("h3", "Source"), source, *_parameters(compilation, names), tag("h3", "Network"), drawing, words]
    return section("architecture", "Architecture", *parts)


def _parameters(compilation: Compilation, names: Names) -> list[ET.Element]:
    parameters = compilation.network.parameters
    if not parameters:
        return []
    rows: list[list[Child]] = [[inline(p.symbol, names), inline(p.default, names), inline(p.domain, names)] for p in parameters]
    return [table("Hyperparameters", ("symbol", "default", "domain"), rows)]


def _values(compilation: Compilation, names: Names) -> ET.Element:
    network = compilation.network
    rows = list[list[Child]]()
    for index, node in enumerate(network.nodes):
        line = str(node.origin.span.source.position(node.origin.span.start)[0])
        about = described(network, index, names)
        rows.append([f"v{index}", about, network.laws[index].value, _grid(network, index), _place(network, index), line])
    heads = "value", "what it is", "law", "positions", "loop", "line"
    return table("Values of the network in order", heads, rows)


def _grid(network: Network, index: int) -> str:
    grid = network.grids[index]
    shown = "×".join("any" if n is None else str(n) for n in grid) or "none"
    return shown + (", as channels" if network.flat[index] and grid else "")


def _place(network: Network, index: int) -> str:
    loop = network.nodes[index].origin.loop
    return "none" if loop is None else loop_words(network, loop)
