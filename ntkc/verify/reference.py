"""Compilation -> Agreements: the emitted code against the reference backend, on shared samples."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ntkc.backends.reference import evaluate
from ntkc.gaussian.series import Series
from ntkc.pipeline import Compilation
from ntkc.verify.samples import Kernels, Samples, diagonals, halves, in_single, kernels, kinds, samples_of

TOLERANCE, TOLERANCE32 = 1e-9, 5e-5
"""In float64, and in float32, which goes other ways through the emitted code."""
PAIRS = ((0, 3), (1, 2), (0, 2), (1, 3))
"""Of samples; the first is close together."""
SECONDS = 6.0
"""No further pair is begun after so long."""
Numbers: TypeAlias = dict[tuple[int, int], dict[tuple[str, str], float]]
"""By pair of samples, then kind and output."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest difference over all outputs, relative to the largest entry."""

    claim: str
    gap: float
    tolerance: float
    pairs: int

    @property
    def ok(self) -> bool:
        return self.gap < self.tolerance


@dataclass(frozen=True, slots=True)
class Emitted:
    """What the emitted code gives: between samples in float64 (of a batch, of its halves as two batches), of samples with
    themselves in float32 and, of a batch, in float64; and its diagonal."""

    between: Kernels
    alone: Kernels
    diagonal: Kernels
    whole: Kernels | None = None


def emitted(compilation: Compilation, seed: int) -> Emitted:
    """On the shared samples. Most of its time goes into XLA, which leaves the interpreter to others."""
    x = samples_of(compilation, seed)
    single, batches = in_single(x), compilation.recursion.batches
    compilation.module()
    with ThreadPoolExecutor(2) as pool:  # XLA compiles one program on little more than one core
        between = pool.submit(kernels, compilation, *(halves(x) if batches else (x, x)))
        alone, diagonal = pool.submit(kernels, compilation, single), pool.submit(diagonals, compilation, single)
        whole = pool.submit(kernels, compilation, x) if batches else None
        return Emitted(between.result(), alone.result(), diagonal.result(), whole.result() if whole else None)


def agreements(compilation: Compilation, seed: int, code: Callable[[], Emitted]) -> list[Agreement]:
    """Of `kernel` between samples in float64, of `kernel` of samples with themselves in float32, and of `diagonal`. What the code
    gives is asked for last, since XLA may still be compiling it."""
    x = samples_of(compilation, seed)
    if compilation.recursion.batches:
        return list(_of_batches(compilation, x, code))
    reference, compiled = _reference(compilation, x), code()
    between, alone, diagonal = compiled.between, compiled.alone, compiled.diagonal
    pairs = [pair for pair in reference if pair[0] != pair[1]]
    rows = []
    for kind in kinds(compilation):
        keys = [(kind, output.name) for output in compilation.recursion.outputs]
        for claim, found, where, tolerance in (
            (f"emitted {kind} against the reference", between, pairs, TOLERANCE),
            (f"emitted {kind} in float32 against the reference", alone, list(reference), TOLERANCE32),
        ):
            gap = max(_gap({p: reference[p][key] for p in where}, found[key]) for key in keys)
            rows.append(Agreement(claim, gap, tolerance, len(where)))
        gap = max(_relative(diagonal[key] - np.diagonal(alone[key]), alone[key]) for key in keys)
        rows.append(Agreement(f"emitted diagonal of the {kind}", gap, TOLERANCE32, len(x[0])))
    return rows


def _of_batches(compilation: Compilation, x: Samples, code: Callable[[], Emitted]) -> Iterator[Agreement]:
    """Of one batch with itself, in float64 and float32, and of its halves as two batches."""
    within, across = (evaluate(compilation.recursion, a, b, 15) for a, b in ((x, x), halves(x)))
    found = code()
    assert found.whole is not None
    for kind in kinds(compilation):
        whole, apart = (
            {(kind, name): v.astype(float) for name, v in getattr(values, kind).items()} for values in (within, across)
        )
        for claim, got, exact, tolerance in (
            (f"emitted {kind} of a batch against the reference", found.whole, whole, TOLERANCE),
            (f"emitted {kind} between two batches against the reference", found.between, apart, TOLERANCE),
            (f"emitted {kind} of a batch in float32 against the reference", found.alone, whole, TOLERANCE32),
            (f"emitted diagonal of the {kind}", found.diagonal, {key: np.diagonal(v) for key, v in whole.items()}, TOLERANCE32),
        ):
            gap = max(_relative(got[key] - v, v) for key, v in exact.items())
            yield Agreement(claim, gap, tolerance, max(v.size for v in exact.values()))


def _reference(compilation: Compilation, x: Samples) -> Numbers:
    """Of one sample with itself, then of pairs until time is up."""
    series = any(isinstance(d.law, Series) for d in compilation.recursion.duals)
    digits = 15 if series or any(compilation.recursion.grids) else 30
    found, start = Numbers(), time.monotonic()
    for i, j in ((0, 0), *PAIRS):
        if len(found) > 1 and time.monotonic() - start > SECONDS:
            break
        first = [v[i] for v in x]
        values = evaluate(compilation.recursion, first, first if i == j else [v[j] for v in x], digits)
        found[i, j] = {(k, n): float(v) for k in ("nngp", "ntk") for n, v in getattr(values, k).items()}
    return found


def _gap(reference: dict[tuple[int, int], float], code: np.ndarray) -> float:
    right = np.array(list(reference.values()))
    return _relative(np.array([code[pair] for pair in reference]) - right, right)


def _relative(difference: np.ndarray, scale: np.ndarray) -> float:
    return float(np.max(np.abs(difference)) / max(float(np.max(np.abs(scale))), 1e-300))
