"""Compilation -> Simulation: finite networks of growing width, extrapolated to the limit and tested against the kernels.

For an output y of one channel, E y y' is the NNGP and the inner product of its gradients the NTK, both up to O(1/width)
(Yang 2019, 2020; Huang and Yau 2020 for the order of the NTK's correction).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ntkc.pipeline import Compilation
from ntkc.verify.fit import Fit, Means, fit
from ntkc.verify.small import small
from ntkc.verify.widths import at_width

WIDTHS = (64, 128, 256)
SAMPLES, CHUNK, FEWEST, MOST = 3, 8, 24, 6000
Values = dict[tuple[str, str], np.ndarray]
"""By kind (nngp, ntk) and name of the output; entries of the upper triangle, after an axis of draws where there is one."""


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
    kernels: Values
    chunk: Callable[[jax.Array], Values]
    key: jax.Array
    found: list[Values] = field(default_factory=list)
    seconds: float = 0.0

    def draw(self) -> None:
        start = time.monotonic()
        self.key, own = jax.random.split(self.key)
        self.found.append(jax.tree.map(np.asarray, self.chunk(jax.random.split(own, CHUNK))))
        self.seconds += time.monotonic() - start

    @property
    def draws(self) -> Values:
        return {name: np.concatenate([np.asarray(part[name], float) for part in self.found]) for name in self.found[0]}


def simulate(compilation: Compilation, budget: float, seed: int = 0) -> tuple[Simulated, ...]:
    """All kernels of all outputs, in about `budget` seconds: half of it at most for compiling, the rest for equal shares of
    draws at each width, of which a few are made in any case."""
    start = time.monotonic()
    compilation = small(compilation)
    widths = list[_Width]()
    for width in WIDTHS:
        if len(widths) > 1 and time.monotonic() - start > budget / 2:
            break
        widths.append(_at(at_width(compilation, width), width, seed))
    for each in widths:
        for _ in range(FEWEST // CHUNK):
            each.draw()
    while time.monotonic() - start < budget:
        waiting = [each for each in widths if len(each.found) * CHUNK < MOST]
        if not waiting:
            break
        min(waiting, key=lambda each: each.seconds).draw()
    return tuple(_fits(widths))


def _at(compilation: Compilation, width: int, seed: int) -> _Width:
    xs = _inputs(compilation, seed)
    keys = jax.random.split(jax.random.key(seed), CHUNK)
    traced = jax.jit(lambda keys: jax.lax.map(_one(compilation, xs, width), keys)).lower(keys)
    chunk = traced.compile({"xla_backend_optimization_level": "1"})  # a run of seconds repays no more
    return _Width(width, _kernels(compilation, xs), chunk, jax.random.key(seed + width))


def _inputs(compilation: Compilation, seed: int) -> list[jax.Array]:
    source = np.random.default_rng([seed, 1])
    types = [node.type for node in compilation.recursion.inputs]
    shapes = [(*(n or 4 for n in t.positions), t.channels or 5) for t in types]
    return [jnp.asarray(source.normal(size=(SAMPLES, *shape)), "float32") for shape in shapes]


def _kernels(compilation: Compilation, xs: list[jax.Array]) -> Values:
    """x2 is given, so that the diagonal, too, is of two passes (dropout)."""
    kinds = ("nngp",) if any(output.ntk is None for output in compilation.recursion.outputs) else ("nngp", "ntk")
    found = compilation.kernel(tuple(xs), tuple(xs), get=kinds)
    return {(kind, name): _entries(np.asarray(v, float)) for kind in kinds for name, v in _named(getattr(found, kind)).items()}


def _named(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"": value}


def _entries(matrix: Any) -> Any:
    return matrix[..., *np.triu_indices(SAMPLES)]


def _one(compilation: Compilation, xs: list[jax.Array], width: int) -> Callable[[jax.Array], Values]:
    """Of a key: y y' averaged over output channels and positions, and J J' of the first channel averaged over positions."""
    module = compilation.module()
    tangents = all(output.ntk is not None for output in compilation.recursion.outputs)

    def outputs(weights: Any) -> dict[str, Any]:
        found = _named(module._forward(weights, xs, module.PARAMS, width))
        return {name: y.reshape(SAMPLES, -1, y.shape[-1]) for name, y in found.items()}

    def one(key: jax.Array) -> Values:
        made = module._Weights({}, key, width)
        outputs(made)
        every = outputs(module._Weights(made.arrays, None, width))
        found = {("nngp", n): jnp.einsum("ipc,jpc->ij", y, y) / (y.shape[1] * y.shape[2]) for n, y in every.items()}
        if tangents:
            rows = jax.jacrev(lambda arrays: {n: y[..., 0] for n, y in outputs(module._Weights(arrays, None, width)).items()})
            found |= {("ntk", name): _gram(arrays) for name, arrays in rows(made.arrays).items()}
        return {name: _entries(v) for name, v in found.items()}

    return one


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
            means.append(Means(each.width, len(sample), kernel, sample.mean(0), sample.var(0, ddof=1) / len(sample)))
        yield Simulated(kind, name, tuple(means), fit(means, tests))
