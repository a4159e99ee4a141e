"""Compilation -> Simulation: finite networks of growing width, extrapolated to the limit and tested against the kernels.

For an output y of one channel, E y y' is the NNGP and the inner product of its gradients the NTK, both up to O(1/width)
(Yang 2019, 2020; Huang and Yau 2020 for the order of the NTK's correction).
"""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntkc.pipeline import Compilation
from ntkc.verify.fit import Fit, Means, fit
from ntkc.verify.samples import Kernels, Samples, by_name, given, in_single, kernels, kinds, samples_of
from ntkc.verify.small import small
from ntkc.verify.widths import at_width

WIDTHS = (32, 64, 128, 256)
SAMPLES, CHUNK, FEWEST, MOST = 3, 8, 24, 6000
ROUNDING = 1e-5
"""Of the finite networks, relative to the largest entry: what does not vary between draws is not known better."""
MEMORY = 2**30
"""Bytes that one chunk of draws may take."""


class Exhausted(Exception):
    """Too little time or memory for two widths; says before what it ended."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One kernel of one output: the means at each width, relative to the largest entry, and the fit through them."""

    kind: str
    output: str
    means: tuple[Means, ...]
    fit: Fit


@dataclass
class _Width:
    """Draws at one width, a chunk at a time."""

    width: int
    kernels: Kernels
    chunk: Callable[[jax.Array], Kernels]
    key: jax.Array
    found: list[Kernels] = field(default_factory=list)
    seconds: float = 0.0

    def draw(self) -> None:
        start = time.monotonic()
        self.key, own = jax.random.split(self.key)
        self.found.append(jax.tree.map(np.asarray, self.chunk(jax.random.split(own, CHUNK))))
        self.seconds += time.monotonic() - start

    @property
    def draws(self) -> Kernels:
        return {name: np.concatenate([np.asarray(part[name], float) for part in self.found]) for name in self.found[0]}


def simulate(compilation: Compilation, budget: float, seed: int = 0) -> tuple[Simulated, ...]:
    """All kernels of all outputs, in about `budget` seconds: as many widths as half of it compiles and draws a few of, the rest
    for equal shares of draws at each width. `Exhausted` where that is less than two widths."""
    start = time.monotonic()
    compilation = small(compilation)
    if unknown := [i.name for i in compilation.recursion.inputs if i.type.tokens and i.type.channels is None]:
        raise Exhausted(f"a finite network needs the size of the vocabulary of `{unknown[0]}`")
    widths = list[_Width]()
    try:
        for width in WIDTHS:
            begun = time.monotonic()
            widths.append(_first_draws(compilation, width, seed, start + budget))
            spent = time.monotonic() - begun
            if len(widths) > 1 and time.monotonic() - start + 2 * spent > budget / 2:
                break
    except Exhausted:
        if len(widths) < 2:
            raise
    while time.monotonic() - start < budget:
        waiting = [each for each in widths if len(each.found) * CHUNK < MOST]
        if not waiting:
            break
        min(waiting, key=lambda each: each.seconds).draw()
    return tuple(_fits(widths))


def _first_draws(compilation: Compilation, width: int, seed: int, end: float) -> _Width:
    """Compiled, with the fewest draws that a variance is estimated from; `Exhausted` at the first sign that `end` comes first."""
    if time.monotonic() > end:
        raise Exhausted(f"the budget was spent before width {width}")
    each = _at(at_width(compilation, width), width, seed)
    while len(each.found) * CHUNK < FEWEST:
        missing = FEWEST // CHUNK - len(each.found)
        if time.monotonic() + (missing * each.seconds / len(each.found) if each.found else 0) > end:
            raise Exhausted(f"the budget was spent before {FEWEST} networks of width {width} were drawn")
        each.draw()
    return each


def _at(compilation: Compilation, width: int, seed: int) -> _Width:
    samples = samples_of(compilation, seed)
    whole = compilation.recursion.batches  # whose entries depend on all samples
    xs = _inputs(compilation, tuple(v if whole else v[:SAMPLES] for v in samples))
    keys = jax.random.split(jax.random.key(seed), CHUNK)
    traced = jax.jit(lambda keys: jax.lax.map(_one(compilation, xs, width), keys)).lower(keys)
    chunk = traced.compile({"xla_backend_optimization_level": "1"})  # a run of seconds repays no more
    analysis = chunk.memory_analysis()
    if analysis is not None and analysis.temp_size_in_bytes > MEMORY:
        raise Exhausted(f"networks of width {width} take more than {MEMORY >> 20} MiB")
    passes = (
        (samples,) if whole or _drops(compilation.module()) else (samples, samples)
    )  # one pass, since its masks are drawn, or two
    known = {key: _entries(v[:SAMPLES, :SAMPLES]) for key, v in kernels(compilation, *passes).items()}
    return _Width(width, known, chunk, jax.random.key(seed + width))


def _inputs(compilation: Compilation, x: Samples) -> tuple[jax.Array, ...]:
    """As the finite network reads them, in float32."""
    count = len(compilation.recursion.inputs)
    single = in_single(x)
    found: tuple[jax.Array, ...] = compilation.module()._inputs("x", single[:count], given(compilation, single))
    return tuple(v.astype("float32") if v.dtype == "float64" else v for v in found)


def _entries(matrix: Any) -> Any:
    return matrix[..., *np.triu_indices(SAMPLES)]


def _one(compilation: Compilation, xs: tuple[jax.Array, ...], width: int) -> Callable[[jax.Array], Kernels]:
    """Of a key: y y' averaged over output channels and positions, and J J' of the first channel averaged over positions."""
    module = compilation.module()

    def outputs(weights: Any, masks: jax.Array) -> dict[str, Any]:
        with _dropping(module, masks):
            found = by_name(module._forward(weights, xs, module.PARAMS, width))
        return {name: y.reshape(len(y), -1, y.shape[-1]) for name, y in found.items()}

    def one(key: jax.Array) -> Kernels:
        key, masks = jax.random.split(key)
        made = module._Weights({}, key, width)
        outputs(made, masks)
        every = outputs(module._Weights(made.arrays, None, width), masks)
        found = {("nngp", n): jnp.einsum("ipc,jpc->ij", y, y) / (y.shape[1] * y.shape[2]) for n, y in every.items()}
        if "ntk" in kinds(compilation):
            again = partial(outputs, masks=masks)
            rows = jax.jacrev(lambda arrays: {n: y[..., 0] for n, y in again(module._Weights(arrays, None, width)).items()})
            found |= {("ntk", name): _gram(arrays) for name, arrays in rows(made.arrays).items()}
        return {name: _entries(v) for name, v in found.items()}

    return one


def _drops(module: ModuleType) -> bool:
    return hasattr(module, "_dropout")


@contextmanager
def _dropping(module: ModuleType, key: jax.Array) -> Iterator[None]:
    """Dropout as while training, with masks from this key: the emitted finite network is the mean one."""
    if not _drops(module):
        yield
        return
    kept, count = module._dropout, itertools.count()

    def dropout(h: Any, keep: Any) -> Any:
        return jnp.where(jax.random.bernoulli(jax.random.fold_in(key, next(count)), keep, h.shape), h / keep, 0)

    module._dropout = dropout  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module._dropout = kept  # type: ignore[attr-defined]


def _gram(gradients: dict[str, Any]) -> Any:
    """The mean over positions of inner products of gradients."""
    flat = [g.reshape(*g.shape[:2], -1) for g in gradients.values()]
    return sum(jnp.einsum("ipw,jpw->ij", g, g) for g in flat) / flat[0].shape[1]


def _fits(widths: list[_Width]) -> Iterator[Simulated]:
    tests = sum(v.size for v in widths[0].kernels.values())
    every = [(each, each.draws) for each in widths]
    for kind, name in widths[0].kernels:
        means = []
        for each, draws in every:
            scale = np.max(np.abs(each.kernels[kind, name]))
            sample, kernel = draws[kind, name] / scale, each.kernels[kind, name] / scale
            variance = np.maximum(sample.var(0, ddof=1) / len(sample), ROUNDING**2)
            means.append(Means(each.width, len(sample), kernel, sample.mean(0), variance))
        yield Simulated(kind, name, tuple(means), fit(means, tests))
