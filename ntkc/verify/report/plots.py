"""Line charts as inline SVG, drawn for the width of a phone; colours are the style's."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ntkc.verify.report.html import tag

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360.0, 250.0, 52.0, 12.0, 14.0, 40.0


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, with ticks and their labels."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A curve; `kind` is a class of the style."""

    kind: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A measured value with its standard errors up and down."""

    kind: str
    x: float
    y: float
    error: float


@dataclass(frozen=True, slots=True)
class Chart:
    """`title` and `description` are what a screen reader says."""

    title: str
    description: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    """Class and words of what has several kinds."""


def ticks(low: float, high: float, count: int = 5) -> tuple[tuple[float, str], ...]:
    """Round numbers within a range."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return tuple((i * step, f"{i * step:.{digits}f}".replace("-", "−")) for i in numbers)


def chart(plot: Chart, name: str) -> ET.Element:
    """The drawing; `name` is an identifier of its own on the page."""

    def across(x: float) -> float:
        return LEFT + (x - plot.x.low) / (plot.x.high - plot.x.low) * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - (y - plot.y.low) / (plot.y.high - plot.y.low) * (HEIGHT - TOP - BOTTOM)

    words = tag("title", plot.title, id=f"{name}-t"), tag("desc", plot.description, id=f"{name}-d")
    parts = [*_axes(plot, across, up)]
    for line in plot.lines:
        path = " ".join(f"{across(x):.2f},{up(y):.2f}" for x, y in line.points)
        parts.append(tag("polyline", points=path, class_=f"line {line.kind}"))
    for bar in plot.bars:
        parts += _bar(bar, across, up)
    return tag(
        "svg",
        *words,
        *parts,
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        aria_labelledby=f"{name}-t",
        aria_describedby=f"{name}-d",
        class_="chart",
    )


def figure(plot: Chart, name: str, caption: str) -> ET.Element:
    """The drawing with its legend and caption."""
    keys = (tag("li", tag("span", class_=f"key {kind}", aria_hidden="true"), words) for kind, words in plot.legend)
    legend = [tag("ul", *keys, class_="legend")] if plot.legend else []
    return tag("figure", chart(plot, name), *legend, tag("figcaption", caption))


def _axes(plot: Chart, across: Callable[[float], float], up: Callable[[float], float]) -> Sequence[ET.Element]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for y, label in plot.y.ticks:
        kind = "grid zero" if y == 0 else "grid"
        parts.append(tag("line", x1=LEFT, x2=right, y1=up(y), y2=up(y), class_=kind))
        parts.append(tag("text", label, x=LEFT - 6, y=up(y) + 3.5, text_anchor="end"))
    for x, label in plot.x.ticks:
        parts.append(tag("line", x1=across(x), x2=across(x), y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(tag("text", label, x=across(x), y=bottom + 16, text_anchor="middle"))
    parts.append(tag("line", x1=LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"))
    parts.append(tag("text", plot.x.label, x=(LEFT + right) / 2, y=HEIGHT - 6, text_anchor="middle", class_="name"))
    middle = (TOP + bottom) / 2
    turned = f"rotate(-90 11 {middle:.0f})"
    parts.append(tag("text", plot.y.label, x=11, y=middle, text_anchor="middle", transform=turned, class_="name"))
    return parts


def _bar(bar: Bar, across: Callable[[float], float], up: Callable[[float], float]) -> Sequence[ET.Element]:
    x, low, high = across(bar.x), up(bar.y - bar.error), up(bar.y + bar.error)
    whisker = tag("line", x1=x, x2=x, y1=low, y2=high, class_=f"whisker {bar.kind}")
    return [whisker, tag("circle", cx=x, cy=up(bar.y), r=2.6, class_=f"dot {bar.kind}")]
