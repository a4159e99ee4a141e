"""What users hand to the sampled limit, as its runs read it; the emitted module has checked it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import sympy as sp

from ntkc.ir.network import InputNode, Network
from ntkc.sampling.value import Array


@dataclass(frozen=True, slots=True)
class Side:
    """x1 or x2: an array for each input, and by name what comes with it: adjacencies, transposed, and masks."""

    inputs: tuple[jax.Array, ...]
    givens: Mapping[str, jax.Array]

    @staticmethod
    def of(arrays: Sequence[jax.Array], inputs: Sequence[Any], givens: Sequence[str]) -> "Side":
        """What `_inputs` of an emitted module returns."""
        return Side(tuple(arrays[: len(inputs)]), dict(zip(givens, arrays[len(inputs) :], strict=True)))

    @property
    def dtype(self) -> npt.DTypeLike:
        """The type of the kernels."""
        return next((v.dtype for v in self.inputs if v.dtype.kind == "f"), np.dtype("float32"))


def numbers(network: Network, inputs: Sequence[npt.NDArray[Any]]) -> list[Array]:
    """Those of x1 and then of x2; tokens as raw input, whose <x, x'> / d is 1 where they agree and 0 elsewhere."""
    nodes = [node for node in network.nodes if isinstance(node, InputNode)]
    return [
        _one_hot(v, node.type.channels) if node.type.tokens else v.astype(float) for v, node in zip(inputs, nodes, strict=True)
    ]


def _one_hot(v: npt.NDArray[Any], vocabulary: int | None) -> Array:
    size = vocabulary or int(v.max()) + 1
    return np.asarray(np.eye(size)[v] * np.sqrt(size))


def hyperparameters(network: Network, given: Mapping[str, float]) -> dict[sp.Symbol, float]:
    """The defaults updated by the given ones, each inside its domain."""
    known = {p.name: p for p in network.parameters}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"no hyperparameter is named {name!r}; there are: {', '.join(known) or 'none'}")
        if known[name].domain.contains(sp.Float(float(value))) != sp.true:
            raise ValueError(f"{name} = {value} is outside its domain {known[name].domain}")
    return {p.symbol: float(given.get(name, p.default)) for name, p in known.items()}
