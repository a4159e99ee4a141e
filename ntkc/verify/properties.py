"""Compilation -> Properties: what every kernel satisfies, and what this network's scaling adds, on random samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ntkc.ir.geometry import GlobalPool
from ntkc.ir.network import CombineNode, InputNode, MapNode, Network, Node, NonlinearNode, PositionalNode, WeightedNode
from ntkc.pipeline import Compilation
from ntkc.verify.small import small

ROWS, FACTOR = 6, 3.0
TOLERANCE = 1e-9
"""Of the largest entry; rounding of a few thousand operations in float64 stays far below."""


@dataclass(frozen=True, slots=True)
class Property:
    """A claim, and by how much of the largest entry it is missed."""

    claim: str
    missed: float

    @property
    def ok(self) -> bool:
        return self.missed < TOLERANCE


def properties(compilation: Compilation, seed: int = 0) -> list[Property]:
    """Symmetry and semidefiniteness of each kernel; of NTK - NNGP and scaling where they are theorems."""
    compilation = small(compilation)
    source = np.random.default_rng([seed, 2])
    types = [node.type for node in compilation.recursion.inputs]
    xs = tuple(source.normal(size=(ROWS, *(n or 4 for n in t.positions), t.channels or 5)) for t in types)
    kinds = ("nngp",) if any(output.ntk is None for output in compilation.recursion.outputs) else ("nngp", "ntk")
    found = _named(compilation, xs, kinds)
    rows = [row for (kind, name), k in found.items() for row in _of_one(f"{kind} {name}".strip(), k)]
    for name, node in compilation.network.outputs:
        if ("ntk", name) in found and _ends_in_ntk_layer(compilation, node):
            nngp, ntk = found["nngp", name], found["ntk", name]
            rows.append(Property(f"ntk - nngp {name}".strip() + " is positive semidefinite", _negative(ntk - nngp, ntk)))
    if (collapse := compilation.program.collapse) is not None:
        scaled = _named(compilation, tuple(FACTOR * x for x in xs), kinds)
        power = FACTOR ** (2 * collapse.degree)
        for (kind, name), k in found.items():
            gap = float(np.max(np.abs(scaled[kind, name] / power - k)) / np.max(np.abs(k)))
            rows.append(Property(f"{kind} {name}".strip() + f" grows with |x| |x'| to the power {collapse.degree}", gap))
    return rows + _shifts(compilation, xs, kinds, found)


def _named(
    compilation: Compilation, xs: tuple[np.ndarray, ...], kinds: tuple[str, ...], others: tuple[np.ndarray, ...] | None = None
) -> dict[tuple[str, str], Any]:
    """x2 is given, so that the two sides are computed separately and symmetry is a claim."""
    kernel = compilation.kernel(xs, xs if others is None else others, get=kinds)
    values = {kind: getattr(kernel, kind) for kind in kinds}
    every = {kind: v if isinstance(v, dict) else {"": v} for kind, v in values.items()}
    return {(kind, name): np.asarray(k) for kind, named in every.items() for name, k in named.items()}


def _of_one(label: str, k: np.ndarray) -> list[Property]:
    gap = float(np.max(np.abs(k - k.T)) / np.max(np.abs(k)))
    return [Property(f"{label} is symmetric", gap), Property(f"{label} is positive semidefinite", _negative(k, k))]


def _negative(matrix: np.ndarray, scale: np.ndarray) -> float:
    """How far the least eigenvalue lies below 0."""
    least = float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    return max(-least, 0.0) / float(np.max(np.abs(scale)))


def _ends_in_ntk_layer(compilation: Compilation, node: int) -> bool:
    """Then NTK - NNGP = W_std^2 times the tangent kernel of what is below (summed over taps), which is a Gram matrix."""
    last = compilation.network.nodes[node]
    return isinstance(last, WeightedNode) and getattr(last.layer, "parameterization", None) == "ntk"


def _shifts(
    compilation: Compilation, xs: tuple[np.ndarray, ...], kinds: tuple[str, ...], found: dict[tuple[str, str], Any]
) -> list[Property]:
    """Where every layer treats positions alike on a circle and all are averaged or summed at the end, x alone may be turned."""
    if not _turns(compilation.network):
        return []
    turned = tuple(np.roll(x, 1, axis=tuple(range(1, x.ndim - 1))) for x in xs)
    rows = []
    for (kind, name), k in _named(compilation, turned, kinds, xs).items():
        gap = float(np.max(np.abs(k - found[kind, name])) / np.max(np.abs(k)))
        rows.append(Property(f"{kind} {name}".strip() + " does not change when x is shifted around", gap))
    return rows


def _turns(network: Network) -> bool:
    placed = [n for n in network.nodes if isinstance(n, InputNode) and n.type.positions]
    pooled = not any(network.grids[output] for _, output in network.outputs)
    return (
        len(placed) == 1
        and pooled
        and not network.loops
        and all(_circular(network, i, node) for i, node in enumerate(network.nodes))
    )


def _circular(network: Network, index: int, node: Node) -> bool:
    match node:
        case InputNode() | NonlinearNode() | CombineNode() | MapNode():
            return True
        case PositionalNode(layer=layer, operand=operand):
            return isinstance(layer.geometry(network.grids[operand]), GlobalPool)
        case WeightedNode(layer=layer, operand=operand):
            window = layer.geometry(network.grids[operand])
            alike = window is None or all(a.padding == "circular" and a.stride == 1 and not a.transposed for a in window.axes)
            return alike and not layer.local and not network.flat[operand]
    return False
