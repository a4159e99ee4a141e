"""A value of the network in a random slice of channels, with its tangent (fact F2: the tangent kernel is the second moment of a
Gaussian tangent that the program is pushed along)."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Value:
    """Arrays (parts, slices, samples, positions): slices are channels, positions in row-major order. Raw input has its own
    channels as slices and no tangent. Of a concatenation each part has a share of the channels."""

    val: Array
    tan: Array
    grid: tuple[int, ...]
    shares: tuple[float, ...] = (1.0,)
    present: Array | None = None
    """(samples, positions), 1 where a position is present and 0, as the value, where not; None where all are."""

    @property
    def weights(self) -> Array:
        """Of each part and slice in a mean over channels."""
        shares: Array = np.asarray(self.shares).reshape(-1, 1, 1, 1)
        return np.asarray(shares / self.val.shape[1])

    def mean(self) -> Array:
        """E h, (samples, positions)."""
        return np.asarray((self.weights * self.val).sum((0, 1)))

    def square(self) -> Array:
        """E h^2, (samples, positions)."""
        return np.asarray((self.weights * self.val**2).sum((0, 1)))


@dataclass(frozen=True, slots=True)
class Reading:
    """What weights read of a value: rows are channels (times taps), scaled so that second moments are products of matrices;
    columns are samples x positions of the output."""

    val: Array
    tan: Array
    samples: int
    raw: bool = False
    """Whether the channels are those of raw input."""

    def alike(self, other: "Reading") -> bool:
        """Whether the same weights can read both."""
        return self.raw == other.raw and len(self.val) == len(other.val)

    def square(self, other: "Reading") -> Array:
        """S between the columns of both."""
        return np.asarray(self.val.T @ other.val)

    def tangent(self, other: "Reading") -> Array:
        """T between the columns of both."""
        return np.asarray(self.tan.T @ other.tan)


def reading(value: Value, taps: list[list[int | None]] | None = None, *, flat: bool = False, raw: bool = False) -> Reading:
    """Each position by itself, by windows, or flattened as one vector."""
    root = np.sqrt(value.weights)
    arrays = []
    for array in (value.val * root, value.tan * root):
        if flat:
            array = np.moveaxis(array, 3, 2)[..., None] / np.sqrt(array.shape[3])
        elif taps is not None:
            array = np.stack([tapped(array, tap) for tap in taps], 2)
        count = array.shape[-2] * array.shape[-1]
        arrays.append(np.ascontiguousarray(array).reshape(-1, count))
    return Reading(arrays[0], arrays[1], value.val.shape[2], raw)


def tapped(array: Array, tap: list[int | None]) -> Array:
    """The positions that one tap reads; None reads zero."""
    padded = np.concatenate([array, np.zeros_like(array[..., :1])], -1)
    return np.asarray(padded[..., [-1 if i is None else i for i in tap]])
