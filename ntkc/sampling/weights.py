"""Uses of random weights: Gaussian values whose covariance follows from what the same weights read, here and earlier."""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import sympy as sp

from ntkc.ir.layer import Mixing, Weighted
from ntkc.ir.sinusoids import BASE
from ntkc.sampling.formulas import SQUARE, TANGENT, Formulas
from ntkc.sampling.gaussian import Joint
from ntkc.sampling.value import Array, Reading

Key: TypeAlias = tuple[str, tuple[int, ...]]
"""Weights, and the turns of the loops in which they are made anew."""


class Untied(Exception):
    """The same weights cannot read two values of different kinds."""


@dataclass
class Uses:
    """Everything that one set of weights has read and drawn so far."""

    values: Joint
    tangents: Joint
    readings: list[Reading] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Covariance:
    """K and Theta of one use with all uses up to itself, itself last."""

    values: Array
    tangents: Array

    def own(self) -> tuple[Array, Array]:
        """Of the use with itself."""
        m = len(self.values)
        return self.values[:, -m:], self.tangents[:, -m:]


class Weights:
    """The sets of weights in use, by key."""

    def __init__(self, slices: int, rng: np.random.Generator, formulas: Formulas) -> None:
        self.slices, self.rng, self.formulas = slices, rng, formulas
        self.uses: dict[Key, Uses] = {}
        self.vectors: dict[tuple[Key, str], tuple[Array, Array]] = {}
        self.frequencies: tuple[np.ndarray, np.ndarray] | None = None

    def covariance(self, layer: Weighted | Mixing, key: Key, read: Reading, local: bool) -> Covariance:
        """By the layer's own rule for K and Theta, of what this use and those before it read."""
        past = self._of(key).readings
        if not all(read.alike(r) for r in past):
            raise Untied
        constant, factor, _ = self.formulas.linear(layer.moment(SQUARE))
        shift, by_square, by_tangent = self.formulas.linear(layer.tangent(SQUARE, TANGENT))
        squares = np.concatenate([read.square(r) for r in (*past, read)], 1)
        tangents = np.concatenate([read.tangent(r) for r in (*past, read)], 1)
        mask = np.concatenate([_matching(read, r) for r in (*past, read)], 1) if local else 1.0
        return Covariance((factor * squares + constant) * mask, (by_square * squares + by_tangent * tangents + shift) * mask)

    def draw(self, key: Key, read: Reading, found: Covariance) -> tuple[Array, Array]:
        """(slices, samples x positions) values and tangents, given what the same weights have drawn before."""
        uses, m = self._of(key), len(found.values)
        uses.readings.append(read)
        values = uses.values.extend(found.values[:, :-m], found.values[:, -m:])
        return values, uses.tangents.extend(found.tangents[:, :-m], found.tangents[:, -m:])

    def vector(self, key: Key, part: str, variances: tuple[float, float], shape: tuple[int, ...]) -> tuple[Array, Array]:
        """A trained vector over channels, the same at every use: independent in each slice, as is its tangent."""
        if (key, part) not in self.vectors:
            value, tangent = (np.sqrt(v) * self.rng.standard_normal(shape) for v in variances)
            self.vectors[key, part] = value, tangent
        if self.vectors[key, part][0].shape != shape:
            raise Untied
        return self.vectors[key, part]

    def sinusoids(self, positions: int) -> Array:
        """(slices, positions): each slice has a frequency of its own, and is a sine or a cosine."""
        if self.frequencies is None:
            phase = np.asarray(np.pi / 2 * self.rng.integers(2, size=self.slices))
            self.frequencies = np.asarray(BASE ** -self.rng.random(self.slices)), phase
        frequency, phase = self.frequencies
        return np.asarray(np.sin(frequency[:, None] * np.arange(positions) + phase[:, None]))

    def _of(self, key: Key) -> Uses:
        if key not in self.uses:
            self.uses[key] = Uses(Joint(self.slices, self.rng), Joint(self.slices, self.rng))
        return self.uses[key]


def _matching(left: Reading, right: Reading) -> Array:
    """1 where the positions agree: columns are samples x positions."""
    rows, columns = (np.arange(r.val.shape[1]) % (r.val.shape[1] // r.samples) for r in (left, right))
    return np.asarray(rows[:, None] == columns, float)


def gains(rule: sp.Expr, formulas: Formulas) -> tuple[float, float]:
    """Variances of the tangents of a norm's gains and shifts."""
    shift, gain, _ = formulas.linear(rule)
    return gain, shift
