"""Sequences of different lengths: what must hold for a padded one to have the kernels that it has alone.

Absent positions come after the others, or after `reverse` before them. A value's position is there where the sequence reaches as
far as what that position reads; what depends on the padded length itself is found here.
"""

from dataclasses import dataclass, field, replace
from math import lcm

from ntkc.diagnostics import Diagnostic
from ntkc.ir.geometry import Axis, Geometry, Given, GlobalPool, Matrix, Pool, Select, Start, Window
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    FinalNode,
    InputNode,
    JointNode,
    Network,
    Node,
    PositionalNode,
    VectorNode,
    WeightedNode,
)


@dataclass(frozen=True, slots=True)
class Padded:
    """`reach[p]`: how many positions of the sequence must be there for position p, nothing where none has moved; `stride`: how
    many of them lie between two positions."""

    reach: tuple[int, ...] | None
    backwards: bool = False
    stride: int = 1


@dataclass
class Padding:
    """What a network with masks asks of the lengths of its sequences, and what has no meaning under them."""

    network: Network
    problems: list[Diagnostic] = field(default_factory=list)
    least: int = 1
    multiple: int = 1
    """By which the lengths of two sequences must differ, that strides meet both alike."""
    from_first: bool = False
    _found: dict[int, Padded | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.from_first = any(map(self.network.begins, range(len(self.network.nodes))))  # first states of scans
        for index, node in enumerate(self.network.nodes):
            found = self._found[index] = self._of(index, node)
            if found is not None and found.reach is not None:
                self.least = max(self.least, min(found.reach))

    def _of(self, index: int, node: Node) -> Padded | None:
        match node:
            case InputNode(type=type):
                if not type.maskable:
                    return None
                (size,) = type.positions
                return Padded(None if size is None else tuple(range(1, size + 1)))
            case CarriedNode(loop=loop, slot=slot) | FinalNode(loop=loop, slot=slot):
                scan, start = self.network.loops[loop].scan, self.network.loops[loop].slots[slot].initial
                return self._found[self.network.walked(loop)[0] if scan else start]
            case VectorNode(like=like):
                return self._numbered(node, self._found[like])
            case JointNode(layer=layer, operand=h) if self._found[h] is not None:
                help = "normalize over channels or pool over windows instead, or give sequences of one length in a call"
                self._refuse(node, f"not supported yet: `{layer.name}` under a mask", code="not-supported-yet", help=help)
                return None
            case WeightedNode(layer=weighted, operand=h) if self._found[h]:
                if self.network.flat[h]:
                    label = "padding changes its fan-in, which counts all positions of the padded sequence"
                    help = "pool over the positions instead, by `global_avg_pool`, or give sequences of one length in a call"
                    self._refuse(node, f"`{weighted.name}` of a flattened value has no meaning under a mask", label, help)
                    return None
                apart = weighted.local or self._of_step(node.home)
                found = self._numbered(node, self._found[h]) if apart else self._found[h]
                return found and self._moved(node, weighted.geometry(self.network.grids[h]), found)
            case PositionalNode(layer=positional, operand=h) if self._found[h]:
                return self._moved(node, positional.geometry(self.network.grids[h]), self._found[h])
            case CombineNode(row=row) if row is not None:
                self.from_first = self.from_first or self._found[row] is not None
                return self._found[row]
        return None if isinstance(node, WeightedNode | PositionalNode) else self._joined(index, node)

    def _of_step(self, home: int | None) -> bool:
        """Whether the weights made there are others at each step of a scan."""
        while home is not None and not self.network.loops[home].scan:
            home = self.network.loops[home].parent
        return home is not None

    def _numbered(self, node: WeightedNode | PositionalNode | VectorNode, found: Padded | None) -> Padded | None:
        """What has weights or vectors of its own for each position: they go by its number, counted from the first."""
        if found is not None and found.backwards:
            self._miscounted(node, found)
            return None
        self.from_first = self.from_first or found is not None
        return found

    def _joined(self, index: int, node: Node) -> Padded | None:
        """Of several operands, or of the one that a node leaves in place."""
        several = [found for h in self.network.operands(index) if (found := self._found[h]) is not None]
        if not several:
            return None
        if len({found.backwards for found in several}) > 1:
            label, help = "padding stands after the one and before the other", "walk one of them backwards and reverse it again"
            self._refuse(node, "a sequence and a reversed one are combined", label=label, help=help)
            return None
        known = [found.reach for found in several if found.reach is not None]
        reach = tuple(map(max, *known)) if len(known) > 1 else known[0] if known else None
        return Padded(reach, several[0].backwards, lcm(*(found.stride for found in several)))

    def _moved(self, node: WeightedNode | PositionalNode, geometry: Geometry | None, found: Padded | None) -> Padded | None:
        assert found is not None
        match geometry:
            case Window(axes=(axis,)) | Pool(axes=(axis,)):
                return self._windowed(node, axis, found)
            case Select(axes=(chosen,)) if isinstance(node, PositionalNode):
                return self._selected(node, chosen, found)
            case Matrix():
                name = node.layer.name
                label = "a padded sequence would come out as another one than the short one"
                help = "pool over windows instead" if name != "concat" else "pool each sequence, and concatenate along channels"
                self._refuse(
                    node, f"a mask has no meaning after `{name}`{' over time' * (name == 'concat')}", label=label, help=help
                )
                return None
            case GlobalPool() | Start():
                return None
            case Given() if found.backwards:
                self._miscounted(node, found)
                return None
        return found

    def _windowed(self, node: WeightedNode | PositionalNode, axis: Axis, found: Padded) -> Padded | None:
        name, reach = node.layer.name, (axis.size - 1) * axis.dilation + 1
        if axis.padding == "circular" or (axis.transposed and axis.padding == "valid"):
            wraps = axis.padding == "circular"
            label = "it would wrap around at the padded length" if wraps else "its output is longer than the sequence"
            help = "write `padding=same`" if axis.transposed else "write `padding=same` or `padding=valid`"
            self._refuse(node, f"`{name}` with `padding={axis.padding}` has no meaning under a mask", label=label, help=help)
            return None
        if axis.stride > 1 and not axis.transposed:
            if found.backwards:
                self._miscounted(node, found)
                return None
            self.from_first = True
            if axis.padding == "same" and len({max(reach - r, 0) // 2 for r in range(1, axis.stride + 1)}) > 1:
                self.multiple = lcm(self.multiple, found.stride * axis.stride)
        if found.reach is None:
            return found
        if axis.transposed:
            return replace(found, reach=tuple(found.reach[p // axis.stride] for p in range(len(found.reach) * axis.stride)))
        ahead = reach - 1 if axis.padding == "valid" else 0
        return replace(found, reach=found.reach[ahead :: axis.stride], stride=found.stride * axis.stride)

    def _selected(self, node: PositionalNode, chosen: tuple[int, ...] | int, found: Padded) -> Padded | None:
        assert found.reach is not None
        if chosen == -1:
            return None
        if not isinstance(chosen, int) and chosen == tuple(reversed(range(len(found.reach)))):
            return replace(found, backwards=not found.backwards)
        if found.backwards or node.layer.from_end:
            self._miscounted(node, found)
            return None
        self.from_first = True
        if isinstance(chosen, int):
            self.least = max(self.least, 1 if node.layer.steps else found.reach[chosen])
            return None
        step = chosen[1] - chosen[0] if len(chosen) > 1 else 1
        return replace(found, reach=tuple(found.reach[p] for p in chosen), stride=found.stride * step)

    def _miscounted(self, node: WeightedNode | PositionalNode | VectorNode, found: Padded) -> None:
        """Refuses what counts positions from an end where padding stands."""
        label = "padding stands where it begins" if found.backwards else "the end is that of the padded sequence"
        help = "do it before `reverse`" if found.backwards else "count from the first, or take the `last` one"
        self._refuse(node, f"`{node.layer.name}` would count padded positions", label=label, help=help)

    def _refuse(self, node: Node, message: str, label: str = "", help: str = "", code: str = "no-mask") -> None:
        found = Diagnostic(code, message, node.origin.span, label, help)
        self.problems += [] if found in self.problems else [found]
