"""Simulations -> how the means of finite networks approach the kernel as the width grows."""

import xml.etree.ElementTree as ET

import numpy as np

from ntkc.verify.fit import ALPHA, POWER
from ntkc.verify.report.html import details, section, table, tag
from ntkc.verify.report.plots import Axis, Bar, Chart, Line, figure, ticks
from ntkc.verify.simulate import SAMPLES, Simulated

ERRORS = 2.0
"""Bars reach so many standard errors up and down."""
WEAK = 0.1
"""A change of the kernel that is larger than this must not go unseen."""
ROWS, COLUMNS = np.triu_indices(SAMPLES)


def convergence(simulated: tuple[Simulated, ...], why_not: ET.Element) -> ET.Element:
    """A figure and a table for each kernel of each output, or why there are none."""
    if not simulated:
        return section("convergence", "Convergence of finite networks", why_not)
    method = (
        "Random networks of growing width, drawn by the emitted code, have means that differ from a right kernel by slope/width, "
        "by a remainder of the next order, and by noise: the weighted line through the widths must meet 0 at infinite width. A "
        f"right program is called wrong with probability at most {ALPHA:.0e}, for all entries and kernels together (Bonferroni; "
        "t distribution with the degrees of freedom of Welch and Satterthwaite)."
    )
    figures = [part for i, found in enumerate(simulated) for part in _one(found, f"fit{i}")]
    return section("convergence", "Convergence of finite networks", tag("p", method), *figures)


def label(kind: str, output: str) -> str:
    """NTK of `y`, where outputs have names."""
    return kind.upper() + (f" of {output}" if output else "")


def _one(found: Simulated, name: str) -> list[ET.Element]:
    what, fit = label(found.kind, found.output), found.fit
    draws = ", ".join(f"{m.draws} draws at width {m.width}" for m in found.means)
    weak = " That is weak evidence; a larger budget makes it stronger." if fit.detects > WEAK else ""
    verdict = "agrees" if fit.p_value >= ALPHA else "does NOT agree"
    caption = (
        f"{what}: mean of finite networks less the kernel, in percent of the kernel's largest entry; one line for each pair of "
        f"{SAMPLES} samples, bars of {ERRORS:.0f} standard errors. The limit {verdict}: p = {fit.p_value:.2g}. A change of the "
        f"whole kernel by {100 * fit.detects:.1f} % would be found with probability {POWER}.{weak} {draws}."
    )
    rows = [_numbers(found, k) for k in range(len(ROWS))]
    heads = "pair of samples", "deviation at infinite width, %", "standard error, %", "slope × 1/width, %", "degrees of freedom"
    shown = table(f"{what}: weighted least squares in 1/width", heads, rows, class_="numbers")
    return [tag("h3", what), figure(_chart(found), name, caption), details("Numbers of the fit", shown)]


def _numbers(found: Simulated, k: int) -> list[str]:
    fit = found.fit
    numbers = f"{100 * fit.offset[k]:.3f}", f"{100 * fit.error[k]:.3f}", f"{100 * fit.slope[k]:.1f}", f"{fit.freedom[k]:.0f}"
    return [f"{ROWS[k] + 1}, {COLUMNS[k] + 1}", *(n.replace("-", "−") for n in numbers)]


def _chart(found: Simulated) -> Chart:
    fit, means = found.fit, found.means
    largest = max(1 / m.width for m in means)
    lines, bars = [], []
    for k, (i, j) in enumerate(zip(ROWS, COLUMNS, strict=True)):
        kind, shift = "a" if i == j else "b", (k - (len(ROWS) - 1) / 2) * largest / 60  # side by side, or they hide each other
        ends = tuple((x + shift, float(100 * (fit.offset[k] + fit.slope[k] * x))) for x in (0.0, largest))
        lines.append(Line(kind, ends))
        bars.append(Bar(f"{kind} limit", shift, float(100 * fit.offset[k]), float(100 * ERRORS * fit.error[k])))
        for m in means:
            error = float(100 * ERRORS * np.sqrt(m.variance[k]))
            bars.append(Bar(kind, 1 / m.width + shift, float(100 * (m.mean[k] - m.kernel[k])), error))
    low, high = min(0.0, *(b.y - b.error for b in bars)), max(0.0, *(b.y + b.error for b in bars))
    pad = 0.05 * (high - low) or 1.0
    y = Axis("deviation, %", low - pad, high + pad, ticks(low - pad, high + pad))
    x = Axis("1/width", -0.06 * largest, 1.08 * largest, ((0.0, "0 (∞)"), *((1 / m.width, f"1/{m.width}") for m in means)))
    what = label(found.kind, found.output)
    text = f"At widths {', '.join(str(m.width) for m in means)} and extrapolated to infinity; the numbers are in the table below."
    legend = ("a", "a sample with itself"), ("b", "two samples")
    return Chart(f"Deviation of finite networks from the {what}", text, x, y, tuple(lines), tuple(bars), legend)
