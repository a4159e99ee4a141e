"""Compilation -> Samples: one draw of inputs, graphs and masks that every wall uses, and the emitted kernels of it."""

from functools import partial
from typing import Any, TypeAlias

import jax
import numpy as np

from ntkc.ir.network import Type
from ntkc.pipeline import Compilation

Samples: TypeAlias = tuple[np.ndarray, ...]
"""Of each input, then of what comes with them; rows are samples."""
Kernels: TypeAlias = dict[tuple[str, str], np.ndarray]
"""By kind (nngp, ntk) and name of the output."""
BATCH = 8
"""Samples of a batch; its halves are batches, too."""


def samples_of(compilation: Compilation, seed: int) -> Samples:
    """Four samples, the last one close to the first; sizes that the file leaves open are small. More for a batch."""
    if compilation.recursion.batches:
        source, types = np.random.default_rng(seed), [node.type for node in compilation.recursion.inputs]
        shapes = [(BATCH, *(n or 2 for n in type.positions)) for type in types]
        draws = zip(types, shapes, strict=True)
        return tuple(_draw(source, t, shape if t.tokens else (*shape, t.channels or 5)) for t, shape in draws)
    x1, x2 = _pairs(compilation, seed)
    return tuple(np.concatenate(both) for both in zip(x1, x2, strict=True))


def kernels(compilation: Compilation, x1: Samples, x2: Samples | None = None) -> Kernels:
    """The emitted kernels between samples, or of samples with themselves; the NNGP alone where there is no NTK."""
    count = len(compilation.recursion.inputs)
    with jax.enable_x64(True):  # tokens have no type of their own
        found = compilation.module().kernel(
            x1[:count], None if x2 is None else x2[:count], get=kinds(compilation), **given(compilation, x1, x2)
        )
        return _named(compilation, found)


def joint(compilation: Compilation, x: Samples) -> Kernels:
    """The kernels of samples with themselves where the two sides are computed separately; of a batch, those of its halves as
    batches, in one matrix."""
    if not compilation.recursion.batches:
        return kernels(compilation, x, x)
    both = halves(x)
    blocks = [[kernels(compilation, a, None if a is b else b) for b in both] for a in both]
    return {key: np.block([[block[key] for block in row] for row in blocks]) for key in blocks[0][0]}


def halves(x: Samples) -> tuple[Samples, Samples]:
    """A batch as two batches."""
    return tuple(v[: BATCH // 2] for v in x), tuple(v[BATCH // 2 :] for v in x)


def in_single(x: Samples) -> Samples:
    """The same in float32; what is no data of float64 stays as it is."""
    return tuple(v.astype("float32") if v.dtype == float else v for v in x)


def diagonals(compilation: Compilation, x: Samples) -> Kernels:
    """The emitted kernels of each sample with itself."""
    count = len(compilation.recursion.inputs)
    with jax.enable_x64(True):
        found = compilation.module().diagonal(x[:count], get=kinds(compilation), **given(compilation, x))
        return _named(compilation, found)


def kinds(compilation: Compilation) -> tuple[str, ...]:
    """What there is of every output."""
    return ("nngp",) if any(output.ntk is None for output in compilation.recursion.outputs) else ("nngp", "ntk")


def _named(compilation: Compilation, found: Any) -> Kernels:
    return {(kind, n): np.asarray(v) for kind in kinds(compilation) for n, v in by_name(getattr(found, kind)).items()}


def by_name(value: Any) -> dict[str, Any]:
    """Several outputs come by name, one does not."""
    return value if isinstance(value, dict) else {"": value}


def given(compilation: Compilation, x1: Samples, x2: Samples | None = None) -> dict[str, Any]:
    """The keyword arguments for what comes with samples: adjacencies by name, masks by input."""
    count = len(compilation.recursion.inputs)
    arrays = {g.name: x1[i] if x2 is None else (x1[i], x2[i]) for i, g in enumerate(compilation.recursion.givens, count)}
    masks = {g.name: arrays.pop(g.name) for g in compilation.recursion.givens if g.rank == 1}
    named = {name.removeprefix("mask_"): v for name, v in masks.items()}
    return arrays | ({"mask": named} if named else {})


def _pairs(compilation: Compilation, seed: int) -> tuple[Samples, Samples]:
    """Two samples, and two more of which one is close to the first."""
    source = np.random.default_rng(seed)
    types = [node.type for node in compilation.recursion.inputs]
    sizes = [(g.rank, g.input.type.positions[0] or 4) for g in compilation.recursion.givens]
    given = [np.abs(source.normal(size=(2, n, n))) if rank == 2 else np.arange(n) < [[n], [n - 1]] for rank, n in sizes]
    shapes = [(*(n or 4 for n in t.positions), *(() if t.tokens else (t.channels or 5,))) for t in types]

    draw = partial(_draw, source)
    x1 = tuple(draw(t, (2, *shape)) for t, shape in zip(types, shapes, strict=True))
    near = [x[0] if t.tokens else x[0] + 1e-2 * draw(t, shape) for x, t, shape in zip(x1, types, shapes, strict=True)]
    x2 = tuple(np.stack([draw(t, shape), y]) for t, y, shape in zip(types, near, shapes, strict=True))
    return (*x1, *given), (*x2, *given)


def _draw(source: np.random.Generator, type: Type, shape: tuple[int, ...]) -> np.ndarray:
    return source.integers(min(type.channels or 3, 3), size=shape) if type.tokens else source.normal(size=shape)
