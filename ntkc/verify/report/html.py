"""Elements of HTML, SVG and MathML. Text is escaped where the tree is written, so there is no other way into the page."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import TypeAlias

Child: TypeAlias = ET.Element | str


def tag(name: str, *children: Child, **attributes: str | float) -> ET.Element:
    """An element; `class_` and `stroke_width` are its attributes `class` and `stroke-width`, numbers have two decimals."""
    element = ET.Element(name, {key.rstrip("_").replace("_", "-"): _text(value) for key, value in attributes.items()})
    for child in children:
        _append(element, child)
    return element


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".removesuffix(".00")


def _append(element: ET.Element, child: Child) -> None:
    if isinstance(child, ET.Element):
        element.append(child)
    elif len(element):
        element[-1].tail = (element[-1].tail or "") + child
    else:
        element.text = (element.text or "") + child


def table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[Child]], **attributes: str) -> ET.Element:
    """With headers and a caption; on a narrow screen the style stacks each row, so the roles are written out and each cell knows
    what its column is called."""
    heads = tuple(heads)
    head = tag("tr", *(tag("th", h, scope="col", role="columnheader") for h in heads), role="row")
    body = (tag("tr", *(_cell(c, h) for c, h in zip(row, heads, strict=True)), role="row") for row in rows)
    parts = tag("caption", caption), tag("thead", head, role="rowgroup"), tag("tbody", *body, role="rowgroup")
    return tag("table", *parts, role="table", **attributes)


def _cell(child: Child, head: str) -> ET.Element:
    return tag("td", tag("div", child), role="cell", data_label=head)


def section(name: str, title: str, *children: Child) -> ET.Element:
    """A landmark with a heading; `name` is where links lead."""
    return tag("section", tag("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")


def details(summary: Child, *children: Child, shown: bool = False) -> ET.Element:
    """What opens on demand."""
    return tag("details", tag("summary", summary), *children, **({"open": "open"} if shown else {}))


def document(head: Iterable[Child], body: Iterable[Child]) -> str:
    """The whole page as text."""
    root = tag("html", tag("head", *head), tag("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{ET.tostring(root, encoding='unicode', method='html')}\n"
