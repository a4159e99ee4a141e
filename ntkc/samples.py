"""Files of samples -> what a kernel is called with: an .npy file of one input, or an .npz file of all inputs by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ntkc.diagnostics import did_you_mean
from ntkc.files import InputError
from ntkc.ir.network import InputNode, Network
from ntkc.ir.recursion import GivenArray, mask_name

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Samples:
    """One side of a kernel: an array for each input, adjacencies and masks by name."""

    inputs: tuple[Array, ...]
    adjacencies: Mapping[str, Array] = field(default_factory=dict)
    masks: Mapping[str, Array] = field(default_factory=dict)

    def row(self, index: int, givens: Iterable[GivenArray]) -> list[Array]:
        """One sample as the reference takes it: its inputs, then what comes with them."""
        found = [v[index] for v in self.inputs]
        for given in givens:
            v = self.adjacencies.get(given.name, self.masks.get(given.name.removeprefix("mask_")))
            whole = v is None or v.ndim == given.rank
            found.append(np.ones(len(found[0])) if v is None else v if whole else v[index])
        return found


def read_samples(path: Path, network: Network) -> Samples:
    """Everything that `path` holds, each name known to the network."""
    nodes = [node for node in network.nodes if isinstance(node, InputNode)]
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {nodes[0].name: np.asarray(loaded)}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError("unreadable-samples", f"{path} is not a readable .npy or .npz file: {error}") from error
    needed = [*(n.name for n in nodes), *(n.adjacency for n in nodes if n.adjacency)]
    masks = {mask_name(n.name): n.name for n in nodes if n.type.maskable}
    for name in arrays:
        if name not in needed and name not in masks:
            label = did_you_mean(name, [*needed, *masks]) or f"it takes {', '.join((*needed, *masks))}"
            raise InputError("unknown-array", f"{path}: this network takes no array `{name}`; {label}")
    if missing := [name for name in needed if name not in arrays]:
        cure = f"write them with `numpy.savez(path, {', '.join(f'{name}=...' for name in needed)})`"
        raise InputError("missing-array", f"{path} has no array `{missing[0]}`, which this network takes; {cure}")
    return Samples(
        tuple(arrays[n.name] for n in nodes),
        {n.adjacency: arrays[n.adjacency] for n in nodes if n.adjacency},
        {name: arrays[key] for key, name in masks.items() if key in arrays},
    )


def call_options(sides: list[Samples]) -> dict[str, Any]:
    """Adjacencies and masks as keyword arguments: of x1, or pairs of x1 and x2."""

    def both(each: list[Array | None]) -> Any:
        return each[0] if len(each) == 1 else tuple(each)

    found: dict[str, Any] = {name: both([side.adjacencies[name] for side in sides]) for name in sides[0].adjacencies}
    if masked := dict.fromkeys(name for side in sides for name in side.masks):
        found["mask"] = {name: both([side.masks.get(name) for side in sides]) for name in masked}
    return found
