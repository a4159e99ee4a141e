"""Reads pages back: HTML as a strict tree, and MathML as numbers, independently of what writes them."""

import cmath
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser

VOID = {"meta"}
TIMES, APPLY = "\u2062", "\u2061"
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
    """What the eye reads: rows are not seen, only brackets are; `values` are of symbols, by what they look like."""
    return _Line(element, values).whole()


def _seen(element: ET.Element) -> Iterator[ET.Element]:
    """What stands on the line."""
    if element.tag in ("mrow", "mtd"):
        for child in element:
            yield from _seen(child)
    elif element.tag != "mspace" and element.text != TIMES:
        yield element


class _Line:
    """Sums of products of factors."""

    def __init__(self, element: ET.Element, values: Mapping[bytes, float]) -> None:
        self.left, self.values, self.bars = list(_seen(element)), values, False

    def whole(self) -> complex:
        found = self.sum()
        assert not self.left, ET.tostring(self.left[0])
        return found

    def sees(self, *marks: str) -> bool:
        return bool(self.left) and self.left[0].tag == "mo" and self.left[0].text in marks

    def take(self, *marks: str) -> str:
        assert self.sees(*marks), marks
        return self.left.pop(0).text or ""

    def sum(self) -> complex:
        minus = self.sees("−") and self.take("−")
        found = -self.product() if minus else self.product()
        while self.sees("+", "−"):
            found += self.product() if self.take("+", "−") == "+" else -self.product()
        return found

    def product(self) -> complex:
        found = self.factor()
        while self.left and not self.sees("+", "−", ")", ",", ">", *"|" * self.bars):
            found *= self.factor()
        return found

    def factor(self) -> complex:
        if self.sees("("):
            self.take("(")
            inside = self.sum()
            self.take(")")
            return inside
        if self.sees("|"):
            self.take("|")
            self.bars = True
            inside = self.sum()
            self.take("|")
            self.bars = False
            return abs(inside)
        head = self.left.pop(0)
        if not self.sees(APPLY):
            return self.single(head)
        self.take(APPLY)
        self.take("(")
        arguments = [self.sum().real]
        while self.sees(","):
            self.take(",")
            arguments.append(self.sum().real)
        self.take(")")
        return FUNCTIONS[head.text or ""](*arguments)

    def single(self, element: ET.Element) -> complex:
        """One thing: a number, a symbol, a fraction, a root, a power."""
        key, children, text = ET.tostring(element), list(element), element.text or ""
        if key in self.values:
            return self.values[key]
        match element.tag:
            case "mfrac":
                return number(children[0], self.values) / number(children[1], self.values)
            case "msqrt":
                return cmath.sqrt(sum(number(child, self.values) for child in children))
            case "msup" if children[0].text == "e":
                return cmath.exp(number(children[1], self.values))
            case "msup":
                base = _Line(children[0], self.values)
                assert base.left[0].tag not in ("msup", "msubsup"), "two marks above each other"
                found = base.factor()
                assert not base.left, "a power of more than one thing"
                return found ** number(children[1], self.values)
            case "msubsup":  # a symbol with an index, to a power
                plain = ET.Element("msub")
                plain.extend(children[:2])
                return self.values[ET.tostring(plain)] ** number(children[2], self.values)
            case "msub":
                assert children[0].text == "1"
                return self.indicator(children[1])
            case "mn":
                top, _, bottom = text.partition("/")
                return float(top) / float(bottom or 1)
        return {"π": math.pi, "i": 1j}[text]

    def indicator(self, condition: ET.Element) -> float:
        line = _Line(condition, self.values)
        left = line.sum()
        line.take(">")
        return float(left.real > line.whole().real)
