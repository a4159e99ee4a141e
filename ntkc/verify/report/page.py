"""Compilation and Report -> one page of HTML that needs nothing else: no script, no font, no picture from anywhere."""

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ntkc.pipeline import Compilation
from ntkc.verify.report.architecture import architecture
from ntkc.verify.report.claims import claims, verdict
from ntkc.verify.report.convergence import convergence
from ntkc.verify.report.derivation import derivation
from ntkc.verify.report.html import document, section, tag
from ntkc.verify.report.names import names_of
from ntkc.verify.report.profile import profile
from ntkc.verify.verify import Report

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Browsers refuse to load anything for this page."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a report was made."""

    seed: int
    budget: float


def page(compilation: Compilation, report: Report, run: Run) -> str:
    """The same text for the same arguments: no date, no path, no order that changes from run to run."""
    names = names_of(compilation.recursion)
    title = f"Verification of {compilation.network.name}"
    sections = [
        claims(report),
        architecture(compilation, names),
        derivation(compilation.recursion, names),
        convergence(report.simulated, _unsimulated(report, run)),
        profile(compilation),
        _provenance(compilation, run),
    ]
    links = (tag("li", tag("a", _heading(s), href=f"#{s.get('id')}")) for s in sections)
    header = tag("header", tag("h1", title), tag("p", _subtitle(compilation)), verdict(report))
    contents = tag("nav", tag("ul", *links), aria_label="Contents")
    footer = tag("footer", tag("p", f"Written by ntkc {version('ntkc')}."))
    return document(_head(title), [header, contents, tag("main", *sections), footer])


def _head(title: str) -> Iterator[ET.Element]:
    yield tag("meta", charset="utf-8")
    yield tag("meta", http_equiv="Content-Security-Policy", content=POLICY)
    yield tag("meta", name_="viewport", content="width=device-width, initial-scale=1")
    yield tag("meta", name_="color-scheme", content="light dark")
    yield tag("title", title)
    yield tag("style", Path(__file__).with_name("style.css").read_text(encoding="utf-8"))


def _heading(part: ET.Element) -> str:
    return part[0].text or ""


def _subtitle(compilation: Compilation) -> str:
    return f"Kernels of an infinitely wide network, derived from {compilation.source.name}"


def _unsimulated(report: Report, run: Run) -> ET.Element:
    if run.budget <= 0:
        how = tag("code", "ntkc verify --budget 20")
        return tag("p", "Not simulated: the budget was 0 seconds. ", how, " draws finite networks for so many seconds.")
    reasons = [
        row.detail for row in report.rows if row.status == "NOT CHECKED" and ("simul" in row.claim or "finite" in row.claim)
    ]
    return tag("p", f"Not simulated: {'; '.join(reasons) or 'nothing was drawn'}.")


def _provenance(compilation: Compilation, run: Run) -> ET.Element:
    rows = [
        ("file", compilation.source.name),
        ("architecture", compilation.network.name),
        ("settings", ", ".join(f"{k}={v}" for k, v in compilation.overrides.items()) or "none"),
        ("masks", "yes" if compilation.network.masked else "no"),
        ("seed", str(run.seed)),
        ("budget of the simulation", f"{run.budget:g} s"),
        *((package, version(package)) for package in ("ntkc", "jax", "sympy", "mpmath", "numpy")),
        ("SHA-256 of the source", _digest(compilation.source.text)),
        ("SHA-256 of the emitted module", _digest(compilation.code)),
    ]
    text = (
        "The same file, settings, seed and versions give this page again, byte for byte; another kind of processor may round the "
        "gaps in the details differently. With a simulation the draws fill the budget, so that their number, stated with each "
        "figure, depends on the speed of the machine."
    )
    shown = tag("dl", *(part for k, v in rows for part in (tag("dt", k), tag("dd", v))), class_="made")
    return section("provenance", "Provenance", tag("p", text), shown)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
