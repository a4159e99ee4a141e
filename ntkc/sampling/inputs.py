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
    given = [np.asarray(v) for v in ((x,) if alone else x.values() if isinstance(x, dict) else x)]
    if len(given) != len(nodes):
        raise ValueError(f"{name}: expected {len(nodes)} input arrays, got {len(given)}")
    for v, node in zip(given, nodes, strict=True):
        _check(f"{name}, input {node.name}", v, (*node.type.positions, node.type.channels))
    if len({len(v) for v in given}) != 1:
        raise ValueError(f"{name}: the inputs have different numbers of rows: {[len(v) for v in given]}")
    return [v.astype(float) for v in given], given[0].dtype


def _check(label: str, v: npt.NDArray[Any], sizes: tuple[int | None, ...]) -> None:
    if v.ndim != 1 + len(sizes) or any(k is not None and k != m for k, m in zip(sizes, v.shape[1:], strict=True)):
        expected = ", ".join(["n", *(str(k or "d") for k in sizes)])
        raise ValueError(f"{label}: expected an array of shape ({expected}), got {v.shape}")
    if not np.issubdtype(v.dtype, np.floating):
        raise TypeError(f"{label}: expected floating point numbers, got {v.dtype}; use x.astype('float32')")
    if v.size == 0:
        raise ValueError(f"{label}: is empty")
    if not np.isfinite(v).all():
        raise ValueError(f"{label}: contains NaN or infinite entries")


def hyperparameters(network: Network, given: Mapping[str, float]) -> dict[sp.Symbol, float]:
    """The defaults updated by the given ones, each inside its domain."""
    known = {p.symbol.name: p for p in network.parameters}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"no hyperparameter is named {name!r}; there are: {', '.join(known) or 'none'}")
        if known[name].domain.contains(sp.Float(float(value))) != sp.true:
            raise ValueError(f"{name} = {value} is outside its domain {known[name].domain}")
    return {p.symbol: float(given.get(name, p.default)) for name, p in known.items()}
