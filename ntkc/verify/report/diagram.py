"""Network -> a drawing: values from top to bottom, on the left what each one reads, on the right what loops carry back."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from ntkc.ir.network import CarriedNode, FinalNode, InputNode, Network
from ntkc.verify.report.html import tag
from ntkc.verify.report.nodes import title

WIDTH, ROW, SPINE, INDENT = 360.0, 34.0, 86.0, 8.0
LONGEST = 26
"""Letters of a title."""


def diagram(network: Network) -> ET.Element:
    """The numbers are those of the table that says the same in words."""
    height = ROW * len(network.nodes) + 12
    words = (
        tag("title", f"Network {network.name}", id="network-t"),
        tag(
            "desc",
            "Each value, the values it reads, and the loops; the table after the drawing says the same in words.",
            id="network-d",
        ),
    )
    marker = tag("marker", tag("path", d="M0 0 6 3 0 6z"), id="tip", viewBox="0 0 6 6", refX="5.5", refY="3", **_MARKER)
    frames = (part for i in range(len(network.loops)) for part in _frame(network, i))
    edges = (edge for i in range(len(network.nodes)) for edge in _edges(network, i))
    boxes = (part for i in range(len(network.nodes)) for part in _box(network, i))
    return tag(
        "svg",
        *words,
        tag("defs", marker),
        *frames,
        *edges,
        *boxes,
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_labelledby="network-t",
        aria_describedby="network-d",
        class_="network",
    )


_MARKER = {"markerWidth": "6", "markerHeight": "6", "orient": "auto"}


def _middle(index: int) -> float:
    return 6 + ROW * (index + 0.5)


def _box(network: Network, index: int) -> Iterator[ET.Element]:
    y, node = _middle(index), network.nodes[index]
    words = title(network, index)
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    outputs = [name for name, i in network.outputs if i == index]
    kind = "box end" if isinstance(node, InputNode) or outputs else "box"
    yield tag("rect", x=SPINE, y=y - 11, width=_RIGHT - SPINE, height=22, rx=4, class_=kind)
    yield tag("text", f"v{index}", x=SPINE + 8, y=y + 4, class_="index")
    yield tag("text", words, x=SPINE + 36, y=y + 4)
    if outputs:
        yield tag("text", " ".join(["output", *outputs])[:LONGEST], x=_RIGHT - 6, y=y + 4, text_anchor="end", class_="index")


_RIGHT = WIDTH - 50


def _edges(network: Network, index: int) -> Iterator[ET.Element]:
    node = network.nodes[index]
    for operand in network.operands(index):
        yield _edge(operand, index)
    if isinstance(node, CarriedNode | FinalNode):
        slot = network.loops[node.loop].slots[node.slot]
        if isinstance(node, FinalNode):
            yield _edge(slot.following, index)
        else:
            yield _edge(slot.initial, index)
            yield _back(slot.following, index)


def _edge(start: int, end: int) -> ET.Element:
    """To the next value straight down, to a later one in a bow on the left."""
    if end == start + 1:
        x = SPINE + 14
        return tag("path", d=f"M{x:.1f} {_middle(start) + 11:.1f}V{_middle(end) - 12:.1f}", class_="edge", marker_end="url(#tip)")
    reach = min(SPINE - 8, 14 + 9.0 * abs(end - start))
    y1, y2 = _middle(start) + 3, _middle(end) - 3
    path = f"M{SPINE:.1f} {y1:.1f}C{SPINE - reach:.1f} {y1:.1f} {SPINE - reach:.1f} {y2:.1f} {SPINE - 1:.1f} {y2:.1f}"
    return tag("path", d=path, class_="edge", marker_end="url(#tip)")


def _back(start: int, end: int) -> ET.Element:
    """From the end of a turn to the start of the next one."""
    y1, y2, reach = _middle(start), _middle(end), 34.0
    path = f"M{_RIGHT:.1f} {y1:.1f}C{_RIGHT + reach:.1f} {y1:.1f} {_RIGHT + reach:.1f} {y2:.1f} {_RIGHT + 1:.1f} {y2:.1f}"
    return tag("path", d=path, class_="edge back", marker_end="url(#tip)")


def _frame(network: Network, loop: int) -> Iterator[ET.Element]:
    """Around the values of a body."""
    body = [i for i, node in enumerate(network.nodes) if network.inside(node.origin.loop, loop)]
    if not body:
        return
    depth, parent = 0, network.loops[loop].parent
    while parent is not None:
        depth, parent = depth + 1, network.loops[parent].parent
    x, top = 4 + INDENT * depth, _middle(body[0]) - ROW / 2 + 1
    height = ROW * (body[-1] - body[0] + 1) - 2
    yield tag("rect", x=x, y=top, width=WIDTH - 2 * x, height=height, rx=6, class_="loop")
    yield tag("text", loop_words(network, loop), x=x + 6, y=top + 13, class_="index")


def loop_words(network: Network, loop: int) -> str:
    """`repeat` or `scan`, and how often."""
    found = network.loops[loop]
    return "scan" if found.scan else f"repeat\u00a0{found.count}"
