"""What the code integrates over a batch against the reference, which takes another rule: in float64, at two small batches."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from inspect import getsource
from typing import Any

import jax
import numpy as np

from ntkc.backends.exact import number_of
from ntkc.backends.normalizations import ALONE, KINDS, parameters_of
from ntkc.backends.normalized import normalized
from ntkc.backends.stated import caller, tables_of
from ntkc.ir.normalization import QUADRATURE, Normalization
from ntkc.pipeline import Compilation
from ntkc.verify.translation.claim import Claim

Array = Any
VALUES, DIRECTIONS = (8, 6), 11
"""Of each channel of two batches, on two positions where there are any; and in how many directions they vary."""


def integrals(compilation: Compilation) -> Iterator[Claim]:
    """One for each function over batches that the code has; those of one text and rank are compared once."""
    recursion, module, call = compilation.recursion, compilation.module(), caller(compilation.recursion)
    defaults = {p.symbol.name: float(number_of(p.default)) for p in recursion.parameters}
    known: dict[tuple[int, str], Claim] = {}
    for m in recursion.maps:
        if not isinstance(m.geometry, Normalization):
            continue
        given = [defaults[name] for name in parameters_of(m.geometry, compilation.program.definitions)]
        for kind in KINDS:
            if emitted := getattr(module, f"{m.name}{kind}", None):
                label, at = f"emitted {m.name}{kind}", (len(m.grid), getsource(emitted).replace(m.name, ""))
                if at in known:
                    yield replace(known[at], claim=label)
                    continue
                run = partial(_emitted, emitted, given, len(m.grid) - 1)
                known[at] = _compared(label, run, kind, partial(normalized, m.geometry, kind, call=call))
                yield known[at]


def _compared(label: str, emitted: Callable[..., Array], kind: str, reference: Callable[..., Array]) -> Claim:
    """Within the first batch, and between both."""
    gaps, (n, m) = [], VALUES
    for same in (True, False) if kind != ALONE else (True,):
        tables = tables_of(kind, same, *_drawn(), n)
        wanted = np.asarray(reference(tables=tables, same=same, number=float), float)
        gaps.append(float(np.max(abs(emitted(tables, same) - wanted)) / np.max(abs(wanted))))
    found = " within a batch and ".join(f"{gap:.0e}" for gap in gaps) + (" between two" if len(gaps) > 1 else "")
    rule = "which integrates by another rule"
    detail = f"in float64 to {found} of the reference, {rule}, for {n} and {m} values; bound {QUADRATURE:.0e}"
    return Claim(label, "checked" if max(gaps) < QUADRATURE else "FAILED", detail)


def _emitted(function: Callable[..., Any], given: list[float], rank: int, tables: list[Array], same: bool) -> Array:
    """What the code gives for tables, which have axes for the samples and then for positions."""
    shaped = [t.reshape(*_places(t.shape[0], rank), *_places(t.shape[1], rank)) for t in tables]
    with jax.enable_x64(True):
        traced = jax.jit(lambda ts: function(*ts, *([same] if len(ts) > 1 else []), *given)).lower(shaped)
        found = np.asarray(traced.compile({"xla_backend_optimization_level": "0"})(shaped))
    return found.reshape(-1, tables[-1].shape[0]) if len(tables) > 1 else found.ravel()


def _places(n: int, rank: int) -> tuple[int, ...]:
    return (n // 2, 2, *(1,) * (rank - 1)) if rank else (n,)


@cache
def _drawn() -> tuple[Array, Array]:
    """Covariances and tangents of both batches at once; the second is close to the first."""
    source, (n, m) = np.random.default_rng(8), VALUES
    root, turn = (source.normal(size=(n + m, DIRECTIONS)) for _ in range(2))
    root[n:] = 0.9 * root[:m] + 0.4 * root[n:]
    covariance, tangent = (v @ v.T / DIRECTIONS + 0.1 for v in (root, root + turn / 2))
    return covariance, tangent
