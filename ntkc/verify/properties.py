"""Compilation -> Properties: what every kernel satisfies, and what this network's architecture adds, on the shared samples."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ntkc.ir.network import WeightedNode
from ntkc.pipeline import Compilation
from ntkc.verify.invariance import circular, homogeneity, unordered
from ntkc.verify.samples import Kernels, Samples, in_single, joint, kernels, samples_of
from ntkc.verify.small import small

FACTOR = 3.0
TOLERANCE = 1e-9
"""Of the largest entry; rounding of a few thousand operations in float64 stays far below."""

SINGLE = 2.0**-23
"""The same of a batch in float32, whose two halves are computed apart and rounded; all else is mirrored, to the last bit."""


@dataclass(frozen=True, slots=True)
class Property:
    """A claim, and by how much of the largest entry it is missed."""

    claim: str
    missed: float
    tolerance: float = TOLERANCE

    @property
    def ok(self) -> bool:
        return self.missed <= self.tolerance


def properties(compilation: Compilation, seed: int = 0) -> list[Property]:
    """Symmetry and semidefiniteness of each kernel; of NTK - NNGP, scaling and invariances where they are theorems."""
    compilation = small(compilation)
    x = samples_of(compilation, seed)
    found = joint(compilation, x)  # the two sides are computed separately, so that symmetry is a claim
    rows = [row for key, k in found.items() for row in _of_one(_label(key), k)]
    single, room = kernels(compilation, in_single(x)), SINGLE if compilation.recursion.batches else 0.0
    rows += [
        Property(f"{_label(key)} of one set of samples is symmetric in float32", _apart(k.T, k), room)
        for key, k in single.items()
    ]
    for name, node in compilation.network.outputs:
        if ("ntk", name) in found and _ends_in_ntk_layer(compilation, node):
            nngp, ntk = found["nngp", name], found["ntk", name]
            rows.append(Property(f"ntk - nngp {name}".strip() + " is positive semidefinite", _negative(ntk - nngp, ntk)))
    rows += _scaled(compilation, x, found)
    for claim, changed in _changes(compilation, x):
        rows += [Property(f"{_label(key)} {claim}", _apart(k, found[key])) for key, k in kernels(compilation, changed, x).items()]
    return rows


def _label(key: tuple[str, str]) -> str:
    return " ".join(key).strip()


def _apart(k: np.ndarray, other: np.ndarray) -> float:
    return float(np.max(np.abs(k - other)) / max(float(np.max(np.abs(other))), 1e-300))


def _of_one(label: str, k: np.ndarray) -> list[Property]:
    return [Property(f"{label} is symmetric", _apart(k.T, k)), Property(f"{label} is positive semidefinite", _negative(k, k))]


def _negative(matrix: np.ndarray, scale: np.ndarray) -> float:
    """How far the least eigenvalue lies below 0."""
    least = float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    return max(-least, 0.0) / max(float(np.max(np.abs(scale))), 1e-300)


def _ends_in_ntk_layer(compilation: Compilation, node: int) -> bool:
    """Then NTK - NNGP = W_std^2 times the tangent kernel of what is below (summed over taps), which is a Gram matrix."""
    last = compilation.network.nodes[node]
    return isinstance(last, WeightedNode) and getattr(last.layer, "parameterization", None) == "ntk"


def _scaled(compilation: Compilation, x: Samples, found: Kernels) -> Iterator[Property]:
    """Where the network is homogeneous, by its layers and functions or as the compiler found, x alone may be scaled."""
    collapse = compilation.program.collapse
    degree = homogeneity(compilation.network) if collapse is None else float(collapse.degree)
    if degree is None:
        return
    count = len(compilation.recursion.inputs)
    scaled = (*(FACTOR * v for v in x[:count]), *x[count:])
    for key, k in kernels(compilation, scaled, x).items():
        yield Property(f"{_label(key)} grows with |x| |x'| to the power {degree:g}", _apart(k / FACTOR**degree, found[key]))


def _changes(compilation: Compilation, x: Samples) -> Iterator[tuple[str, Samples]]:
    """What the kernels must not see."""
    network, inputs, givens = compilation.network, compilation.recursion.inputs, compilation.recursion.givens
    own, more = x[: len(inputs)], x[len(inputs) :]
    if circular(network):
        axes = tuple(range(1, 1 + len(inputs[0].type.positions)))
        yield "does not change when x is shifted around", (np.roll(own[0], 1, axes),)
    if unordered(network):
        order = np.random.default_rng(0).permutation(own[0].shape[1])
        moved = [v[:, order][:, :, order] if g.rank == 2 else v[:, order] for v, g in zip(more, givens, strict=True)]
        yield "does not change when the positions of x are renumbered", (own[0][:, order], *moved)
    masks = {g.input.name: v for v, g in zip(more, givens, strict=True) if g.rank == 1}
    if masks:
        filled = [_filled(v, masks.get(node.name)) for v, node in zip(own, inputs, strict=True)]
        yield "does not change with what stands at absent positions", (*filled, *more)


def _filled(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Something else where the mask is false."""
    return x if mask is None else np.where(mask.reshape(*mask.shape, *(1,) * (x.ndim - 2)), x, np.roll(x, 1, 1))
