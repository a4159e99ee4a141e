"""Compilation -> the kernels against the angle between two inputs, where they are functions of it."""

import xml.etree.ElementTree as ET

import jax
import numpy as np

from ntkc.pipeline import Compilation
from ntkc.verify.report.convergence import label
from ntkc.verify.report.html import details, section, table, tag
from ntkc.verify.report.plots import Axis, Chart, Line, figure, ticks
from ntkc.verify.samples import by_name, kinds

TITLE = "Profile of the kernels"
STEP, SHOWN = 3, 30
"""Degrees from point to point, and from row to row of the table."""


def profile(compilation: Compilation) -> ET.Element:
    """A figure and a table for each output, or in words why there are none."""
    if reason := _unsuited(compilation):
        return section("profile", TITLE, tag("p", f"Not drawn: {reason}."))
    angles = np.arange(0, 180 + STEP, STEP)
    found = _values(compilation, angles)
    text = (
        "Both inputs have mean square 1 over their channels. Each curve is divided by its value at angle 0, which the caption "
        "states."
    )
    parts = [part for i, (name, kernels) in enumerate(found.items()) for part in _one(name, kernels, angles, f"profile{i}")]
    return section("profile", TITLE, tag("p", text), *parts)


def _unsuited(compilation: Compilation) -> str:
    inputs = compilation.recursion.inputs
    if len(inputs) != 1:
        return f"the program has {len(inputs)} inputs, so that its kernel is not a function of one angle"
    (type,) = (node.type for node in inputs)
    if type.tokens:
        return "the input is made of tokens, between which there is no angle"
    if type.positions:
        return "the input has positions, so that its kernel depends on more than one angle"
    return "the input has one channel, so that there are no angles between" if type.channels == 1 else ""


def _values(compilation: Compilation, angles: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """By output and kind."""
    channels = compilation.recursion.inputs[0].type.channels or 2
    x = np.zeros((len(angles), channels))
    x[:, 0], x[:, 1] = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    x *= np.sqrt(channels)
    present = kinds(compilation)
    with jax.enable_x64(True):
        kernel = compilation.kernel(x[:1], x, get=present)
    named = {kind: by_name(getattr(kernel, kind)) for kind in present}
    outputs = (output.name for output in compilation.recursion.outputs)
    return {name: {kind: np.asarray(named[kind][name])[0] for kind in present} for name in outputs}


def _one(name: str, kernels: dict[str, np.ndarray], angles: np.ndarray, identifier: str) -> list[ET.Element]:
    usable = {label(kind, name): v for kind, v in kernels.items() if np.isfinite(v).all() and v[0] > 0}
    if not usable:
        return [tag("p", f"Not drawn{f' of {name}' if name else ''}: it is 0 or not finite at angle 0.")]
    scaled = {kind: v / v[0] for kind, v in usable.items()}
    low = min(0.0, *(float(v.min()) for v in scaled.values()))
    high = max(float(v.max()) for v in scaled.values())
    kinds = dict(zip(scaled, ("a", "b"), strict=False))
    lines = tuple(Line(kinds[k], tuple(zip(map(float, angles), map(float, v), strict=True))) for k, v in scaled.items())
    x = Axis("angle between x and x′, degrees", 0, 180, tuple((float(t), f"{t}°") for t in range(0, 181, 45)))
    pad = 0.04 * (high - low)
    y = Axis("kernel / kernel at 0°", low - pad * (low < 0), high + pad, ticks(low, high))
    text = f"From angle 0 to 180 degrees; at 90 degrees {', '.join(f'{k} {v[len(v) // 2]:.3f}' for k, v in scaled.items())}."
    plot = Chart(f"{' and '.join(scaled)} against the angle", text, x, y, lines, (), tuple((kinds[k], k) for k in scaled))
    caption = "At angle 0: " + ", ".join(f"{kind} = {v[0]:.6g}" for kind, v in usable.items()) + "."
    every = SHOWN // STEP
    rows = [[f"{angles[i]}°", *(f"{v[i]:.6g}".replace("-", "−") for v in usable.values())] for i in range(0, len(angles), every)]
    numbers = table("Values, not divided", ("angle", *usable), rows, class_="numbers")
    return [figure(plot, identifier, caption), details("Numbers of the curves", numbers)]
