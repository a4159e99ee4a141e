"""What a layer is: its parameters, its rules for K and Theta, and its finite-width sample.

A layer is a frozen dataclass whose fields are its keyword arguments, each made by `number`, `size`, `choice` or `flag`, which
tell the compiler how to read and check what the user wrote. An instance is one use with its arguments resolved.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import sympy as sp

from ntkc.ir.argument import Argument as Argument
from ntkc.ir.argument import axes as axes
from ntkc.ir.argument import choice as choice
from ntkc.ir.argument import flag as flag
from ntkc.ir.argument import given as given
from ntkc.ir.argument import inherited as inherited
from ntkc.ir.argument import number as number
from ntkc.ir.argument import optional as optional
from ntkc.ir.argument import size as size
from ntkc.ir.argument import sizes as sizes
from ntkc.ir.geometry import BadGrid, Grid, Linear, Window
from ntkc.ir.geometry import linear_grid as linear_grid
from ntkc.ir.geometry import on_axes as on_axes
from ntkc.ir.mixing import MixingMatrix as MixingMatrix
from ntkc.ir.mixing import RandomLogits as RandomLogits
from ntkc.ir.sample import Sample


@dataclass(frozen=True, slots=True)
class Moments:
    """What a linear rule may use of its operand h on one side: E h^2 and E h there, as symbols of the recursion."""

    square: sp.Expr
    mean: sp.Expr


@dataclass(frozen=True, slots=True)
class Caution:
    """What a user of a valid layer should know."""

    code: str
    message: str
    label: str
    help: str


@dataclass(frozen=True)
class Layer(ABC):
    """Common to all layers: a name in the language and a sentence of documentation with its source."""

    name: ClassVar[str]

    def problem(self) -> str:
        """Why these arguments make no sense together, or nothing."""
        return ""

    def bounded(self) -> tuple[tuple[str, sp.Expr, sp.Interval], ...]:
        """Arguments, by name, that must lie in an interval whatever the hyperparameters are."""
        return ()

    def unclosed(self) -> str:
        """Why its expectation has no closed form, so that it can only be sampled, or nothing."""
        return ""

    def caution(self) -> Caution | None:
        """A warning about these arguments."""
        return None

    def grid(self, grid: Grid) -> Grid:
        """The output's index grid; BadGrid where the layer cannot stand on this one."""
        return grid


@dataclass(frozen=True)
class Weighted(Layer):
    """A layer with zero-mean Gaussian weights over channels: its output is Gaussian.

    `fan_in` is the nominal number of input channels, set by the compiler under the standard parameterization only.
    """

    def geometry(self, grid: Grid) -> Window | None:
        """Which positions of the operand are read with weights of their own; None for each its own position."""
        return None

    def counted(self, grid: Grid) -> int:
        """The number of taps, each with weights of its own."""
        return 1

    gaussian: ClassVar[bool] = True
    """Whether the output is Gaussian: it mixes infinitely many channels."""
    local: ClassVar[bool] = False
    """Whether every position has weights of its own."""
    reads_flat: ClassVar[bool] = False
    """Whether it takes a flattened value as one vector."""
    reads_tokens: ClassVar[bool] = False
    """Whether it takes tokens, whose second moment is 1 where they agree and 0 elsewhere, and nothing else."""

    @abstractmethod
    def moment(self, square: sp.Expr) -> sp.Expr:
        """K of the output from the second moment S of the operand, where both sides use the same weights."""

    @abstractmethod
    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        """Theta of the output from the second moment S and the tangent moment T of the operand."""

    @abstractmethod
    def sample(self) -> Sample:
        """The finite-width layer."""


@dataclass(frozen=True)
class Map(Layer):
    """A layer y = (h - shift) * factor whose shift and factor are deterministic functions of h's own moments."""

    centers: ClassVar[bool] = False
    """Whether the mean over channels is subtracted."""
    keeps_gaussian: ClassVar[bool] = True

    def misfit(self, names: tuple[str, ...]) -> str:
        """Why the layer cannot act on a value with spatial axes of these names, or nothing."""
        return ""

    flattens: ClassVar[bool] = False
    """Whether positions become channels."""
    takes_mask: ClassVar[bool] = False
    """Whether the finite-width layer has statistics over positions, and takes the mask of those that are present last."""

    @property
    def everywhere(self) -> bool:
        """Whether the statistics are over all positions, too."""
        return False

    @abstractmethod
    def factor(self, own: Moments) -> sp.Expr:
        """What h is multiplied by, from its moments at the same input."""

    def trained(self, square: sp.Expr) -> sp.Expr:
        """What trained gains and shifts add to the tangent moment of the output, of second moment S, with itself."""
        return sp.S.Zero

    def coincident(self) -> sp.Expr:
        """What multiplies S and T of y with itself where both sides are the same sample in the same pass."""
        return sp.S.One

    @abstractmethod
    def sample(self) -> Sample:
        """The finite-width layer."""


@dataclass(frozen=True)
class Flatten(Map):
    """Positions become channels. The index grid is kept, so that what acts on each channel acts at each position; the layer
    with weights that comes next sums over it."""

    name = "flatten"
    flattens = True

    def factor(self, own: Moments) -> sp.Expr:
        return sp.S.One

    def sample(self) -> Sample:
        return Sample(_flatten)


@dataclass(frozen=True)
class Unflatten(Flatten):
    """Before and after a norm over all positions: statistics are taken as of a flattened value, which keeps its shape."""

    flattens = False

    def sample(self) -> Sample:
        return Sample(_identity)


def _flatten(h: Any) -> Any:
    return h.reshape(h.shape[0], -1)


def _identity(h: Any) -> Any:
    return h


@dataclass(frozen=True)
class Positional(Layer):
    """A linear map over positions with fixed coefficients."""

    identity_on_vectors: ClassVar[bool] = False
    steps: ClassVar[bool] = False
    """Whether it takes the item that a scan has come to."""

    @property
    def from_end(self) -> bool:
        """Whether it counts positions from the last one."""
        return False

    @abstractmethod
    def geometry(self, grid: Grid) -> Linear:
        """The coefficients on that grid."""

    def grid(self, grid: Grid) -> Grid:
        if not grid:
            raise BadGrid("this value has no positions")
        return linear_grid(self.geometry(grid), grid)

    @abstractmethod
    def sample(self) -> Sample:
        """The finite-width layer."""


@dataclass(frozen=True)
class Vector(Layer):
    """A vector for each position, added to the value: trained Gaussian ones, or fixed sinusoids of that amplitude."""

    @property
    def fixed(self) -> bool:
        """Whether the vectors are sinusoids."""
        return False

    def amplitude(self) -> sp.Expr:
        """What sinusoids are multiplied by."""
        return sp.S.Zero

    @abstractmethod
    def variance(self) -> sp.Expr:
        """Of each coordinate."""

    @abstractmethod
    def tangent(self) -> sp.Expr:
        """What the trained vector adds to the tangent kernel."""

    @abstractmethod
    def sample(self) -> Sample:
        """The finite-width vectors."""


@dataclass(frozen=True)
class Joint(Layer):
    """A function of all samples and positions of one channel, the same for every channel. The sampled limit hands it slices as
    channels."""

    needs_positions: ClassVar[bool] = False
    least: ClassVar[int] = 1
    """How many values of a channel it must see, or the tangent kernel is infinite."""

    def unclosed_of(self, gaussian: bool, positions: bool) -> str:
        """Why nothing can be derived of it for a value that is Gaussian, or not, and has positions, or not; or nothing."""
        return ""

    @abstractmethod
    def sample(self) -> Sample:
        """The finite-width layer."""


@dataclass(frozen=True)
class Mixing(Layer):
    """Attention: positions are mixed by coefficients A(x) that are deterministic in the limit, then by random matrices."""

    def random_logits(self) -> RandomLogits | None:
        """Where the coefficients stay random in the limit: the law of their logits."""
        return None

    @abstractmethod
    def coefficients(self) -> MixingMatrix:
        """A(x) from the operand's second moments between its positions."""

    @abstractmethod
    def moment(self, square: sp.Expr) -> sp.Expr:
        """K of the output from A S A'."""

    @abstractmethod
    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        """Theta of the output from A S A' and A T A'."""

    @abstractmethod
    def sample(self) -> Sample:
        """The finite-width layer."""
