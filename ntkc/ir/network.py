"""What was meant: a tensor program in single-assignment form, with weight identities, and loops kept as loops.

Every value is a vector over channels (whose number goes to infinity) at each position of an index grid. Nodes refer to their
operands by index into `Network.nodes`; an operand always stands before its user.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

import sympy as sp

from ntkc.diagnostics import Diagnostic
from ntkc.ir.geometry import Grid, Start
from ntkc.ir.layer import Joint, Map, Mixing, Positional, Vector, Weighted
from ntkc.source import Span


class Law(Enum):
    """What is known of one coordinate of a value in the limit (MATH: `data`, `G`, `X`)."""

    DATA = "raw input"
    TOKENS = "tokens"
    GAUSSIAN = "Gaussian"
    FUNCTION = "a function of Gaussian values"
    NORMALIZED = "a Gaussian value normalized over the batch"


@dataclass(frozen=True, slots=True)
class Type:
    """Sizes of the position axes (none for a vector) and of the raw channel axis, None where known only at run time. `tokens`
    are integers below `channels`, with no channel axis of their own."""

    positions: tuple[int | None, ...] = ()
    channels: int | None = None
    tokens: bool = False

    @property
    def maskable(self) -> bool:
        """Whether samples may come padded, with a mask: along the one axis of positions."""
        return len(self.positions) == 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """A hyperparameter: its symbol (with the sign its domain grants), default, domain, and the name that the user knows it by."""

    symbol: sp.Symbol
    default: sp.Expr
    domain: sp.Interval
    span: Span = field(compare=False, repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node comes from and the loop (index into `Network.loops`) whose body it stands in."""

    span: Span = field(compare=False, repr=False)
    loop: int | None = None


@dataclass(frozen=True, slots=True)
class InputNode:
    """`adjacency` names the matrix that comes with each sample of a graph."""

    name: str
    type: Type
    origin: Origin
    adjacency: str = ""


@dataclass(frozen=True, slots=True)
class WeightedNode:
    """A layer with random weights. Equal `weight` means the same weights, fresh at each turn of the loop `home` in which they
    were made (None: outside of all loops)."""

    layer: Weighted
    weight: str
    home: int | None
    operand: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class MapNode:
    """A layer that is linear in its operand, with coefficients that are deterministic in the limit."""

    layer: Map
    operand: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class PositionalNode:
    """A linear map over positions with fixed coefficients."""

    layer: Positional
    operand: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class JointNode:
    """A function of all samples and positions of each channel."""

    layer: Joint
    operand: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class MixingNode:
    """A linear map over positions whose coefficients follow from the operand's own second moments."""

    layer: Mixing
    weight: str
    home: int | None
    operand: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class ConcatNode:
    """Channels side by side: each operand with its share of them."""

    parts: tuple[tuple[sp.Expr, int], ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class CombineNode:
    """Sum of coefficient times value; where it puts the steps of a scan in a row, `row` is the sequence that these walked."""

    terms: tuple[tuple[sp.Expr, int], ...]
    origin: Origin
    row: int | None = None


@dataclass(frozen=True, slots=True)
class NonlinearNode:
    """One scalar function, coordinatewise; `symbols` stand in `function` for the Gaussian operands."""

    function: sp.Expr
    symbols: tuple[sp.Symbol, ...]
    operands: tuple[int, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class CarriedNode:
    """The value of a loop's slot at the start of a turn."""

    loop: int
    slot: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class FinalNode:
    """The value of a loop's slot after the last turn."""

    loop: int
    slot: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class ItemNode:
    """The value of a sequence at the position that a scan has come to."""

    loop: int
    operand: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class VectorNode:
    """A trained Gaussian vector for each position; as wide as `like`, to which it is added."""

    layer: Vector
    weight: str
    home: int | None
    like: int
    origin: Origin


Node: TypeAlias = (
    InputNode
    | VectorNode
    | ItemNode
    | WeightedNode
    | MapNode
    | PositionalNode
    | JointNode
    | MixingNode
    | ConcatNode
    | CombineNode
    | NonlinearNode
    | CarriedNode
    | FinalNode
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A name carried from turn to turn: its value before the loop and at the end of a turn."""

    name: str
    initial: int
    following: int


@dataclass(frozen=True, slots=True)
class Loop:
    """`repeat count`; its body is the nodes whose origin names it.

    A `scan` is a loop over the positions of a sequence. Its body's nodes have those positions as their index grid: a carried
    value is the following one a position earlier, and zero at the first.
    """

    count: int
    slots: tuple[Slot, ...]
    parent: int | None
    span: Span = field(compare=False, repr=False)
    scan: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    name: str
    nodes: tuple[Node, ...]
    loops: tuple[Loop, ...]
    laws: tuple[Law, ...]
    grids: tuple[Grid, ...]
    """The index grid of each value's positions."""
    widths: tuple[int | None, ...]
    """Nominal numbers of channels, where given."""
    flat: tuple[bool, ...]
    """Whether a value's positions have become channels (`flatten`)."""
    parameters: tuple[Parameter, ...]
    outputs: tuple[tuple[str, int], ...]
    masked: bool = False
    """Whether inputs with one axis of positions come with a mask."""
    functions: tuple[tuple[sp.Expr, str], ...] = ()
    """Names for scalar functions of the symbol `gaussian.terms.Z`, for messages and for the emitted code."""
    sampled: Span | None = field(default=None, compare=False)
    """Where the file says that expectations are sampled; its nonlinearities may stand on values that are not Gaussian."""
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False)
    batches: bool = False
    """Whether a sample is a whole batch, whose samples are the first axis of every grid, which no layer but a joint one sees."""

    def grid(self, index: int) -> Grid:
        """The positions of a value that layers see."""
        return self.grids[index][int(self.batches) :]

    def operands(self, index: int) -> tuple[int, ...]:
        """The nodes that a node reads, not following loops."""
        match self.nodes[index]:
            case WeightedNode(operand=operand) | MapNode(operand=operand) | JointNode(operand=operand):
                return (operand,)
            case PositionalNode(operand=operand) | MixingNode(operand=operand) | ItemNode(operand=operand):
                return (operand,)
            case ConcatNode(parts=parts):
                return tuple(operand for _, operand in parts)
            case CombineNode(terms=terms):
                return tuple(operand for _, operand in terms)
            case NonlinearNode(operands=operands):
                return operands
            case _:
                return ()

    def inside(self, place: int | None, loop: int) -> bool:
        """Whether a place (a loop, or None for the top level) is a loop or lies within it."""
        while place is not None and place != loop:
            place = self.loops[place].parent
        return place == loop

    def begins(self, index: int) -> bool:
        """Whether a node puts the first state of a scan at its first step."""
        node = self.nodes[index]
        return isinstance(node, PositionalNode) and isinstance(node.layer.geometry(self.grids[node.operand]), Start)

    def walked(self, loop: int) -> tuple[int, ...]:
        """The sequences that a scan goes over, without those that hold its first states."""
        items = (n.operand for n in self.nodes if isinstance(n, ItemNode) and n.loop == loop)
        return tuple(i for i in items if not self.begins(i))

    def scanned(self, index: int) -> bool:
        """Whether a node stands for what a scan carries, inside of it or after it."""
        node = self.nodes[index]
        return isinstance(node, CarriedNode | FinalNode) and self.loops[node.loop].scan

    def carried(self, loop: int, slot: int) -> int:
        """The node of a loop's slot at the start of a turn."""
        return next(i for i, n in enumerate(self.nodes) if isinstance(n, CarriedNode) and (n.loop, n.slot) == (loop, slot))
