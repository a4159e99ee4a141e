"""Compilation -> Report: certificates of the derivation, and the emitted code against the reference backend."""

from dataclasses import dataclass
from typing import TypeAlias

import jax
import numpy as np

from ntkc.backends.reference import evaluate
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import VARIANCES, Series
from ntkc.ir.network import Type
from ntkc.ir.recursion import Dual
from ntkc.pipeline import Compilation
from ntkc.verify.certificate import check
from ntkc.verify.fit import ALPHA, POWER
from ntkc.verify.properties import Property, properties
from ntkc.verify.simulate import Simulated, simulate
from ntkc.verify.small import small
from ntkc.verify.translation.check import translation

TOLERANCE = 1e-9
Samples: TypeAlias = tuple[np.ndarray, ...]
"""Of each input, then of what comes with them."""
BUDGET = 0.0
"""Seconds of simulation: it is asked for, since it takes minutes for large networks."""


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
    rows += _code(compilation, seed)
    rows += [Row(found.claim, found.status, found.detail, found.ok) for found in translation(compilation, seed)]
    if compilation.recursion.givens or any(node.type.tokens for node in compilation.recursion.inputs):
        reason = "properties and finite networks of tokens, graphs and masks are not drawn here"
        return Report((*rows, Row("properties and simulation", "NOT CHECKED", reason, True)))
    rows += [_property(found) for found in properties(compilation, seed)]
    return Report((*rows, *(map(_simulated, simulate(compilation, budget, seed)) if budget > 0 else ())))


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


def _code(compilation: Compilation, seed: int) -> list[Row]:
    """Random pairs, a pair close together, and one sample with itself; on fewer positions where the file has many, since the
    derivation is the same for any number of them."""
    compilation = small(compilation)
    x1, x2 = samples_of(compilation, seed)
    rows = []
    for kind, values in sampled_kernels(compilation, x1, x2).items():
        worst = max(_gap(compilation, kind, name, v, x1, x2) for name, v in values.items())
        status = "checked" if worst < TOLERANCE else "FAILED"
        rows.append(Row(f"emitted {kind} against the reference", status, f"relative gap {worst:.1e}", worst < TOLERANCE))
    return rows


def sampled_kernels(compilation: Compilation, x1: Samples, x2: Samples) -> dict[str, dict[str, np.ndarray]]:
    """The emitted kernels between samples, by kind and output."""
    count = len(compilation.recursion.inputs)
    arrays = {g.name: (x1[i], x2[i]) for i, g in enumerate(compilation.recursion.givens, count)}
    masks = {name.removeprefix("mask_"): v for name, v in arrays.items() if v[0].ndim == 2}
    given = {name: v for name, v in arrays.items() if v[0].ndim == 3} | ({"mask": masks} if masks else {})
    refused = any(output.ntk is None for output in compilation.recursion.outputs)
    found: dict[str, dict[str, np.ndarray]] = {}
    for kind in ("nngp",) if refused else ("nngp", "ntk"):
        with jax.enable_x64(True):  # tokens have no type of their own
            code = getattr(compilation.kernel(x1[:count], x2[:count], get=kind, **given), kind)
        found[kind] = {name: np.asarray(v) for name, v in (code if isinstance(code, dict) else {"": code}).items()}
    return found


def samples_of(compilation: Compilation, seed: int) -> tuple[Samples, Samples]:
    """Two samples, and two more of which one is close to the first; sizes that the file leaves open are small."""
    source = np.random.default_rng(seed)
    types = [node.type for node in compilation.recursion.inputs]
    sizes = [(g.rank, g.input.type.positions[0] or 4) for g in compilation.recursion.givens]
    given = [np.abs(source.normal(size=(2, n, n))) if rank == 2 else np.arange(n) < [[n], [n - 1]] for rank, n in sizes]
    shapes = [(*(n or 4 for n in t.positions), *(() if t.tokens else (t.channels or 5,))) for t in types]

    def draw(type: Type, shape: tuple[int, ...]) -> np.ndarray:
        return source.integers(min(type.channels or 3, 3), size=shape) if type.tokens else source.normal(size=shape)

    x1 = tuple(draw(t, (2, *shape)) for t, shape in zip(types, shapes, strict=True))
    near = [x[0] if t.tokens else x[0] + 1e-2 * draw(t, shape) for x, t, shape in zip(x1, types, shapes, strict=True)]
    x2 = tuple(np.stack([draw(t, shape), y]) for t, y, shape in zip(types, near, shapes, strict=True))
    return (*x1, *given), (*x2, *given)


def _gap(
    compilation: Compilation,
    kind: str,
    name: str,
    code: np.ndarray,
    x1: tuple[np.ndarray, ...],
    x2: tuple[np.ndarray, ...],
) -> float:
    series = any(isinstance(d.law, Series) for d in compilation.recursion.duals)
    digits = 15 if series or any(compilation.recursion.grids) else 30
    reference = np.array(
        [
            [
                float(getattr(evaluate(compilation.recursion, [x[i] for x in x1], [y[j] for y in x2], digits), kind)[name])
                for j in range(2)
            ]
            for i in range(2)
        ]
    )
    return float(np.max(np.abs(code - reference)) / max(float(np.max(np.abs(reference))), 1e-300))
