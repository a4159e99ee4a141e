"""Compilation -> Report: certificates of the derivation, and the emitted code against the reference backend."""

import math
from dataclasses import dataclass, replace

import jax
import numpy as np

from ntkc.backends.reference import evaluate
from ntkc.diagnostics import ArchError
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import VARIANCES, Series
from ntkc.ir import syntax as ast
from ntkc.ir.network import InputNode, Type
from ntkc.ir.recursion import Dual
from ntkc.pipeline import Compilation, compile_syntax
from ntkc.verify.certificate import check

TOLERANCE = 1e-9
LARGEST = 30


@dataclass(frozen=True, slots=True)
class Row:
    """One claim; `status` is proven, checked, bounded or FAILED."""

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


def verify(compilation: Compilation, seed: int = 0) -> Report:
    """Re-checks everything that does not need a finite network."""
    rows = [row for dual in compilation.recursion.duals for row in _dual(dual, seed)]
    return Report((*rows, *_code(compilation, seed)))


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
    compilation = _small(compilation)
    x1, x2 = _samples(compilation, seed)
    count = len(compilation.recursion.inputs)
    arrays = {g.name: (x1[i], x2[i]) for i, g in enumerate(compilation.recursion.givens, count)}
    masks = {name.removeprefix("mask_"): v for name, v in arrays.items() if v[0].ndim == 2}
    given = {name: v for name, v in arrays.items() if v[0].ndim == 3} | ({"mask": masks} if masks else {})
    refused = any(output.ntk is None for output in compilation.recursion.outputs)
    rows = []
    for kind in ("nngp",) if refused else ("nngp", "ntk"):
        with jax.enable_x64(True):  # tokens have no type of their own
            code = getattr(compilation.kernel(x1[:count], x2[:count], get=kind, **given), kind)
        values = code if isinstance(code, dict) else {"": code}
        worst = max(_gap(compilation, kind, name, np.asarray(v), x1, x2) for name, v in values.items())
        status = "checked" if worst < TOLERANCE else "FAILED"
        rows.append(Row(f"emitted {kind} against the reference", status, f"relative gap {worst:.1e}", worst < TOLERANCE))
    return rows


def _small(compilation: Compilation) -> Compilation:
    """The same program with at most so many positions on each axis that the reference takes seconds."""
    inputs = [n for n in compilation.network.nodes if isinstance(n, InputNode)]
    if math.prod(max((n or 4) for n in (1, *i.type.positions)) ** len(i.type.positions) for i in inputs) <= LARGEST:
        return compilation
    for most in (4, 5, 6, 8, 12, 16):
        try:
            return compile_syntax(
                compilation.source,
                _capped(compilation.syntax, most),
                compilation.network.name,
                compilation.overrides,
                masked=compilation.network.masked,
            )
        except ArchError:
            continue
    return compilation


def _capped(file: ast.File, most: int) -> ast.File:
    """The file with the positions of its inputs capped."""

    def size(expr: ast.Expr) -> ast.Expr:
        number = expr.text if isinstance(expr, ast.Number) else ""
        return replace(expr, text=str(min(int(number), most))) if number.isdigit() else expr  # type: ignore[arg-type]

    def statement(s: ast.Statement) -> ast.Statement:
        if not isinstance(s, ast.Input):
            return s
        *positions, channels = s.type.sizes
        return replace(s, type=replace(s.type, sizes=(*map(size, positions), channels)))

    items = (replace(i, body=tuple(map(statement, i.body))) if isinstance(i, ast.Arch) else i for i in file.items)
    return replace(file, items=tuple(items))


def _samples(compilation: Compilation, seed: int) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
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
