"""Reads pages back: HTML as a strict tree, and MathML as numbers, independently of what writes them."""

import cmath
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from html.parser import HTMLParser

VOID = {"meta"}
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "erf": math.erf,
    "atan2": math.atan2,
    "tanh": math.tanh,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "sin": math.sin,
    "cos": math.cos,
    "ln": math.log,
    "max": max,
    "min": min,
}


class Tree(HTMLParser):
    """Fails where an end tag does not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.builder, self.open = ET.TreeBuilder(), list[str]()
        self.feed(text)
        self.close()
        assert self.open == []
        self.root = self.builder.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.builder.start(tag, {key: value or "" for key, value in attrs})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.builder.data(data)


def text_of(element: ET.Element) -> str:
    return "".join(element.itertext())


def number(element: ET.Element, values: Mapping[bytes, float]) -> complex:
    """What MathML says; `values` are of symbols, by what they look like."""
    key = ET.tostring(element)
    if key in values:
        return values[key]
    children = list(element)
    match element.tag, element.text:
        case "mrow" | "mtd", _:
            return _row(children, values)
        case "mfrac", _:
            return number(children[0], values) / number(children[1], values)
        case "msqrt", _:
            return cmath.sqrt(_row(children, values))
        case "msup", _ if children[0].text == "e":
            return cmath.exp(number(children[1], values))
        case "msup", _:
            return number(children[0], values) ** number(children[1], values)
        case "msubsup", _:  # a symbol with an index, to a power
            plain = ET.Element("msub")
            plain.extend(children[:2])
            return values[ET.tostring(plain)] ** number(children[2], values)
        case "msub", _ if children[0].text == "1":  # an indicator
            condition = list(children[1])
            assert condition[-2].text == ">"
            return float(_row(condition[:-2], values).real > number(condition[-1], values).real)
        case "mn", text:
            top, _, bottom = (text or "").partition("/")
            return float(top) / float(bottom or 1)
        case "mi", "π":
            return math.pi
        case "mi", "i":
            return 1j
    raise AssertionError(ET.tostring(element))


def _row(children: list[ET.Element], values: Mapping[bytes, float]) -> complex:
    """Sums of products; a bracket, bars, or a function with its arguments where they are the whole row."""
    marks = [child.text if child.tag == "mo" else "" for child in children]
    if marks[1:2] == ["\u2061"]:
        arguments = list(children[2])[1:-1:2]
        return float(FUNCTIONS[children[0].text or ""](*(number(a, values).real for a in arguments)))
    if marks[:1] in (["("], ["|"]):
        inside = number(children[1], values)
        return abs(inside) if marks[0] == "|" else inside
    total: complex = 0.0
    term: complex | None = None
    sign = 1.0
    for child, mark in zip(children, marks, strict=True):
        if mark in ("+", "−"):
            total, term, sign = total + sign * (term or 0.0), None, 1.0 if mark == "+" else -1.0
        elif mark != "\u2062" and child.tag != "mspace":
            value = number(child, values)
            term = value if term is None else term * value
    return total + sign * (term or 0.0)
