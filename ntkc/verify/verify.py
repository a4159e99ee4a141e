"""Compilation -> Report: the derivation proven anew, the emitted code against it, properties, and finite networks."""

import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor

from ntkc.checker.check import prove
from ntkc.diagnostics import ArchError
from ntkc.pipeline import Compilation
from ntkc.verify.fit import ALPHA, POWER
from ntkc.verify.properties import Property, properties
from ntkc.verify.reference import Agreement, agreements, emitted
from ntkc.verify.simulate import Exhausted, Simulated, simulate
from ntkc.verify.small import small
from ntkc.verify.translation.check import translation
from ntkc.verify.translation.claim import Claim

BUDGET = 20.0
"""Seconds of simulation, compilation included."""
APART = {"JAX_PLATFORMS": "cpu"}
"""The environment of the process that reads the code back: it must not reserve the accelerator's memory a second time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim; `status` is proven, checked, bounded, simulated, NOT CHECKED or FAILED."""

    claim: str
    status: str
    detail: str
    ok: bool
    wall: str = ""
    """Which part of the verification it belongs to."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all claims, and the finite networks that were drawn."""

    rows: tuple[Row, ...]
    simulated: tuple[Simulated, ...] = ()

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)


def verify(compilation: Compilation, seed: int = 0, budget: float = BUDGET, translate: bool = True) -> Report:
    """Proves the derivation anew, reads the code back (with `translate`) and checks its numbers, then simulates finite networks
    for `budget` seconds (0: not at all)."""
    few, simulated = small(compilation), list[Simulated]()
    with ThreadPoolExecutor(1) as meanwhile, ProcessPoolExecutor(1, env=APART) as apart:
        # XLA compiles while the interpreter proves, and another one reads the code back; networks are drawn on idle cores
        code = meanwhile.submit(emitted, few, seed)
        read = apart.submit(_wall, "translation", partial(_read, translation, compilation, seed)) if translate else None
        rows = _wall("derivation", lambda: _proofs(compilation, seed))
        agreed = _wall("reference", lambda: map(_agreed, agreements(few, seed, code.result)))
        rows += [*(read.result() if read else []), *agreed]
    rows += _wall("properties", lambda: map(_property, properties(few, seed)))
    if budget > 0:
        rows += _wall("simulation", lambda: _draws(few, budget, seed, simulated))
    return Report(tuple(rows), tuple(simulated))


def _wall(name: str, run: Callable[[], Iterable[Row]]) -> list[Row]:
    """The rows of one wall, or one that says how it broke down. What the user can cause stays an error."""
    try:
        return list(run())
    except ArchError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        return [Row(f"{name} comes to its end", "FAILED", f"{type(error).__name__}: {error} ({where})", False, name)]


def _draws(compilation: Compilation, budget: float, seed: int, found: list[Simulated]) -> Iterable[Row]:
    try:
        found += simulate(compilation, budget, seed)
    except Exhausted as error:
        return [Row("finite networks", "NOT CHECKED", str(error), True, "simulation")]
    return map(_simulated, found)


def _read(translation: Callable[..., list[Claim]], *arguments: Any) -> list[Row]:
    return [Row(found.claim, found.status, found.detail, found.ok, "translation") for found in translation(*arguments)]


def _property(found: Property) -> Row:
    return Row(
        found.claim,
        "checked" if found.ok else "FAILED",
        f"missed by {found.missed:.1e} of the largest entry",
        found.ok,
        "properties",
    )


def _simulated(found: Simulated) -> Row:
    fit, last = found.fit, found.means[-1]
    of = f" of {found.output}" if found.output else ""
    detail = (
        f"p = {fit.p_value:.2g}; false alarm {ALPHA:.0e}; a change by {100 * fit.detects:.1f} % is found with "
        f"probability {POWER}; widths {', '.join(str(m.width) for m in found.means)}, {sum(m.draws for m in found.means)} draws"
    )
    ok = fit.p_value >= ALPHA
    claim = f"finite networks to width {last.width} converge to the {found.kind}{of}"
    return Row(claim, "simulated" if ok else "FAILED", detail, ok, "simulation")


def _proofs(compilation: Compilation, seed: int) -> list[Row]:
    """The certificate of the derivation, proven anew: a row for each expectation, one for all moments that hold, and one for each
    claim that does not."""
    found = prove(compilation.certificate(), seed)
    rows = [
        Row(f.claim, f.status if f.ok else "FAILED", f.detail, f.ok, "derivation") for f in found if f.expectation or not f.ok
    ]
    moments = [f for f in found if f.ok and not f.expectation]
    unknown = [f for f in moments if f.status == "UNKNOWN"]
    exact = sum(f.status == "proven" for f in moments)
    if len(moments) > len(unknown):
        detail = f"{exact} by algebra, {len(moments) - len(unknown) - exact} at random points to 25 digits"
        rows.append(Row(f"{len(moments) - len(unknown)} equations follow by their rules", "proven", detail, True, "derivation"))
    return [*rows, *(Row(f.claim, "NOT CHECKED", f.detail, True, "derivation") for f in unknown)]


def _agreed(found: Agreement) -> Row:
    detail = f"relative gap {found.gap:.1e} over {found.pairs} pairs of samples"
    return Row(found.claim, "checked" if found.ok else "FAILED", detail, found.ok, "reference")
