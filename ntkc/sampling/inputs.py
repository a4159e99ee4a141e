"""What users hand to the sampled limit, checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from ntkc.ir.network import InputNode, Network
from ntkc.sampling.value import Array


def checked(name: str, x: Any, network: Network) -> tuple[list[Array], npt.DTypeLike]:
    """(one array (n, positions..., d) for each input, the type that was given), or an error that says what was expected."""
    nodes = [node for node in network.nodes if isinstance(node, InputNode)]
    alone = len(nodes) == 1 and not isinstance(x, tuple | list | dict)
    if isinstance(x, dict) and set(x) != {node.name for node in nodes}:
        raise ValueError(f"{name}: expected the inputs {', '.join(node.name for node in nodes)}, got {', '.join(map(str, x))}")
    given = [np.asarray(v) for v in ((x,) if alone else [x[node.name] for node in nodes] if isinstance(x, dict) else x)]
    if len(given) != len(nodes):
        raise ValueError(f"{name}: expected {len(nodes)} input arrays, got {len(given)}")
    for v, node in zip(given, nodes, strict=True):
        tokens = node.type.tokens
        sizes = node.type.positions if tokens else (*node.type.positions, node.type.channels)
        _check(f"{name}, input {node.name}", v, sizes, np.integer if tokens else np.floating)
    if len({len(v) for v in given}) != 1:
        raise ValueError(f"{name}: the inputs have different numbers of rows: {[len(v) for v in given]}")
    dtype = next((v.dtype for v in given if v.dtype.kind == "f"), np.dtype("float32"))
    return [
        _one_hot(name, v, n.type.channels) if n.type.tokens else v.astype(float) for v, n in zip(given, nodes, strict=True)
    ], dtype


def _one_hot(name: str, v: npt.NDArray[Any], vocabulary: int | None) -> Array:
    """Tokens as raw input: <x, x'> / d is 1 where they agree and 0 elsewhere."""
    size = vocabulary or int(v.max()) + 1
    if v.min() < 0 or v.max() >= size:
        raise ValueError(f"{name}: tokens must be at least 0 and below {size}")
    return np.asarray(np.eye(size)[v] * np.sqrt(size))


def adjacencies(network: Network, given: Mapping[str, Any], sizes: tuple[int, ...]) -> dict[str, Array]:
    """(samples of x1 and x2, positions, positions) transposed, by name; each is one matrix, one per sample, or a pair of such."""
    found = {}
    for node in network.nodes:
        if isinstance(node, InputNode) and node.adjacency:
            if node.adjacency not in given:
                raise TypeError(f"this network needs {node.adjacency}, the adjacency of its graphs")
            each = given[node.adjacency]
            each = each if isinstance(each, tuple | list) and len(sizes) == 2 else (each,) * len(sizes)
            found[node.adjacency] = np.concatenate(
                [_adjacency(node.adjacency, a, n, node) for a, n in zip(each, sizes, strict=True)]
            )
    return found


def _adjacency(name: str, given: Any, n: int, node: InputNode) -> Array:
    v = np.asarray(given.todense() if hasattr(given, "todense") else given, dtype=float)
    count = node.type.positions[0] or v.shape[-1]
    if v.shape not in ((count, count), (n, count, count)):
        raise ValueError(f"{name}: expected an array of shape ({count}, {count}) or ({n}, {count}, {count}); got {v.shape}")
    return np.broadcast_to(np.swapaxes(v, -1, -2), (n, count, count))


def _check(label: str, v: npt.NDArray[Any], sizes: tuple[int | None, ...], kind: type) -> None:
    if v.ndim != 1 + len(sizes) or any(k is not None and k != m for k, m in zip(sizes, v.shape[1:], strict=True)):
        expected = ", ".join(["n", *(str(k or "d") for k in sizes)])
        raise ValueError(f"{label}: expected an array of shape ({expected}), got {v.shape}")
    if kind is np.integer and not np.issubdtype(v.dtype, np.integer):
        raise TypeError(f"{label}: expected integers, the tokens, got {v.dtype}")
    if not np.issubdtype(v.dtype, kind):
        raise TypeError(f"{label}: expected floating point numbers, got {v.dtype}; use x.astype('float32')")
    if v.size == 0:
        raise ValueError(f"{label}: is empty")
    if not np.isfinite(v).all():
        raise ValueError(f"{label}: contains NaN or infinite entries")


def hyperparameters(network: Network, given: Mapping[str, float]) -> dict[sp.Symbol, float]:
    """The defaults updated by the given ones, each inside its domain."""
    known = {p.name: p for p in network.parameters}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"no hyperparameter is named {name!r}; there are: {', '.join(known) or 'none'}")
        if known[name].domain.contains(sp.Float(float(value))) != sp.true:
            raise ValueError(f"{name} = {value} is outside its domain {known[name].domain}")
    return {p.symbol: float(given.get(name, p.default)) for name, p in known.items()}
