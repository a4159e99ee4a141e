"""Compilation -> Report: certificates of the derivation, and the emitted code against the reference backend."""

from dataclasses import dataclass

import numpy as np

from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import VARIANCES, Series
from ntkc.ir.recursion import Dual
from ntkc.pipeline import Compilation
from ntkc.verify.certificate import check
from ntkc.verify.fit import ALPHA, POWER
from ntkc.verify.properties import Property, properties
from ntkc.verify.reference import Agreement, agreements
from ntkc.verify.simulate import Exhausted, Simulated, simulate
from ntkc.verify.small import small

BUDGET = 20.0
"""Seconds of simulation, compilation included."""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim; `status` is proven, checked, bounded, simulated or FAILED."""

    claim: str
    status: str
    detail: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Report:
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)


def verify(compilation: Compilation, seed: int = 0, budget: float = BUDGET) -> Report:
    """Re-checks the derivation and the code, then simulates finite networks for `budget` seconds (0: not at all)."""
    rows = [row for dual in compilation.recursion.duals for row in _dual(dual, seed)]
    few = small(compilation)
    rows += [_agreed(found) for found in agreements(few, seed)]
    rows += [_property(found) for found in properties(few, seed)]
    if budget > 0:
        rows += _finite(few, budget, seed)
    return Report(tuple(rows))


def _finite(compilation: Compilation, budget: float, seed: int) -> list[Row]:
    try:
        return [_simulated(found) for found in simulate(compilation, budget, seed)]
    except Exhausted as error:
        return [Row("finite networks", "NOT CHECKED", str(error), True)]


def _property(found: Property) -> Row:
    return Row(found.claim, "checked" if found.ok else "FAILED", f"missed by {found.missed:.1e} of the largest entry", found.ok)


def _simulated(found: Simulated) -> Row:
    fit, last = found.fit, found.means[-1]
    of = f" of {found.output}" if found.output else ""
    detail = (
        f"p = {fit.p_value:.2g}; false alarm {ALPHA:.0e}; a change by {100 * fit.detects:.1f} % is found with "
        f"probability {POWER}; widths {', '.join(str(m.width) for m in found.means)}, {sum(m.draws for m in found.means)} draws"
    )
    ok = fit.p_value >= ALPHA
    return Row(
        f"finite networks to width {last.width} converge to the {found.kind}{of}", "simulated" if ok else "FAILED", detail, ok
    )


def _dual(dual: Dual, seed: int) -> list[Row]:
    name = f"{dual.name}: E f(u) g(v), f = {dual.law.f}" + ("" if dual.law.f == dual.law.g else f", g = {dual.law.g}")
    if isinstance(dual.law, Series):
        worst = max(dual.law.bounds)
        detail = f"{dual.law.terms} Hermite terms, error <= {worst:.1e} for variances {VARIANCES[0]} to {VARIANCES[-1]}"
        return [Row(name, "bounded", detail, bool(np.isfinite(worst)))]
    return _closed(name, dual.law, seed)


def _closed(name: str, law: Expectation, seed: int) -> list[Row]:
    findings = check(law, seed)
    broken = [finding for finding in findings if not finding.ok]
    if broken:
        return [Row(f"{name}: {finding.claim}", "FAILED", finding.detail, False) for finding in broken]
    links = [finding for finding in findings if finding.claim.startswith("d/dc")]
    exact = sum(finding.exact for finding in links)
    detail = f"{exact} of {len(links)} Price links exactly, {len(findings) - exact} claims at random points"
    return [Row(name, "proven" if links and exact == len(links) else "checked", detail, True)]


def _agreed(found: Agreement) -> Row:
    detail = f"relative gap {found.gap:.1e} over {found.pairs} pairs of samples"
    return Row(found.claim, "checked" if found.ok else "FAILED", detail, found.ok)
