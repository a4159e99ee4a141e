"""Files of samples -> what a kernel is called with: an .npy file of one input, or an .npz file of all inputs by name."""

import zlib
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
_NPY, _ZIP = b"\x93NUMPY", b"PK"  # how the files begin
_DAMAGED = (ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, BadZipFile, zlib.error)  # of NumPy and zipfile


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
    arrays = _arrays(path, nodes[0].name)
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


def _arrays(path: Path, alone: str) -> dict[str, Array]:
    """Those of an .npz file, or that of an .npy file by the name of the input that it is."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY))
            if not start.startswith((_NPY, _ZIP)):
                raise _unreadable(path, "is no .npy or .npz file" if start else "is empty")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            found = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {alone: loaded}
    except OSError as error:
        raise InputError("unreadable-samples", f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}") from error
    except MemoryError as error:
        raise InputError("unreadable-samples", f"`{path}` holds more than fits into memory: {error}") from error
    except _DAMAGED as error:
        pickled = "pickle" in str(error)  # NumPy would advise to load it all the same, which runs what the file says
        raise _unreadable(path, "holds Python objects, not numbers" if pickled else f"is damaged: {error}") from error
    if strange := [name for name, v in found.items() if not isinstance(v, np.ndarray)]:
        raise _unreadable(path, f"holds `{strange[0]}`, which is no array")
    return found


def _unreadable(path: Path, what: str) -> InputError:
    cure = "write samples with `numpy.save(path, x)`, or several arrays with `numpy.savez(path, x=x)`"
    return InputError("unreadable-samples", f"`{path}` {what}; {cure}")


def call_options(sides: list[Samples]) -> dict[str, Any]:
    """Adjacencies and masks as keyword arguments: of x1, or pairs of x1 and x2."""

    def both(each: list[Array | None]) -> Any:
        return each[0] if len(each) == 1 else tuple(each)

    found: dict[str, Any] = {name: both([side.adjacencies[name] for side in sides]) for name in sides[0].adjacencies}
    if masked := dict.fromkeys(name for side in sides for name in side.masks):
        found["mask"] = {name: both([side.masks.get(name) for side in sides]) for name in masked}
    return found
