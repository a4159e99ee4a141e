"""Compilation -> Compilation: the same program on narrow images, long enough for its windows on the first axis alone.

An axis that is too short for a window has the window made one position wide, so that every layer still stands.
"""

import math
from dataclasses import replace

from ntkc.diagnostics import ArchError
from ntkc.ir.geometry import BadGrid, Grid, Pool, Window, on_axes
from ntkc.ir.layer import Positional, Weighted
from ntkc.ir.network import CarriedNode, FinalNode, InputNode, Network, Node, PositionalNode, VectorNode, WeightedNode
from ntkc.pipeline import Compilation

WIDEST = 3
"""Pools above it may be made narrow on every axis."""
PLACES = ("indices", "total")
"""Arguments of layers that speak of positions by number."""
ACROSS = 2
"""Positions on each axis but the first."""


class TooThin(Exception):
    """The program does not stand on such an image."""


def thin(compilation: Compilation, lengths: tuple[int, ...]) -> Compilation | None:
    """On the shortest image, of these lengths, on whose first axis no convolution and no pool up to `WIDEST` is made narrow."""
    for length in lengths:
        try:
            return compilation.of(_Cut(compilation.network, length).cut())
        except (TooThin, BadGrid, ArchError):
            continue
    return None


class _Cut:
    """The network's nodes in order, on their new grids."""

    def __init__(self, network: Network, length: int) -> None:
        self.network, self.length = network, length
        self.grids: list[Grid] = []

    def cut(self) -> Network:
        """The network on them."""
        nodes = []
        for index, node in enumerate(self.network.nodes):
            changed, grid = self._node(index, node)
            nodes.append(changed)
            self.grids.append(grid)
        return replace(self.network, nodes=tuple(nodes), grids=tuple(self.grids))

    def _node(self, index: int, node: Node) -> tuple[Node, Grid]:
        match node:
            case InputNode(type=type):
                positions = tuple(min(n or ACROSS, ACROSS if k else self.length) for k, n in enumerate(type.positions))
                return replace(node, type=replace(type, positions=positions)), positions
            case CarriedNode(loop=loop, slot=slot) | FinalNode(loop=loop, slot=slot):
                if self.network.loops[loop].scan:
                    raise TooThin
                return node, self.grids[self.network.loops[loop].slots[slot].initial]
            case WeightedNode(layer=weighted, operand=operand) if self.network.flat[operand]:
                before, now = (math.prod(n or 1 for n in grids[operand]) for grids in (self.network.grids, self.grids))
                return replace(node, layer=_reading(weighted, before, now)), ()
            case WeightedNode(layer=weighted, operand=operand) if self.grids[operand]:
                weighted = self._weighted(weighted, self.grids[operand])
                return replace(node, layer=weighted), weighted.grid(self.grids[operand])
            case PositionalNode(layer=positional, operand=operand):
                positional = self._positional(positional, self.network.grids[operand], self.grids[operand])
                return replace(node, layer=positional), positional.grid(self.grids[operand])
            case VectorNode(like=like):
                return node, self.grids[like]
        below = {self.grids[i] for i in self.network.operands(index)}
        if len(below) != 1:
            raise TooThin
        return node, below.pop()

    def _weighted(self, layer: Weighted, grid: Grid) -> Weighted:
        geometry = layer.geometry(grid)
        if geometry is None:
            return layer
        sizes = _fitting(geometry, grid)
        found = replace(layer, filter=sizes, taps=math.prod(sizes))  # type: ignore[call-arg]
        return _reading(found, math.prod(a.size for a in geometry.axes), math.prod(sizes))

    def _positional(self, layer: Positional, before: Grid, grid: Grid) -> Positional:
        if any(hasattr(layer, name) for name in PLACES) and before != grid:
            raise TooThin
        if hasattr(layer, "shape"):
            shape = zip(on_axes(layer.shape, before, "`shape`"), before, grid, strict=True)
            return replace(layer, shape=tuple(max(1, m * (now or 1) // (n or 1)) for m, n, now in shape))  # type: ignore[call-arg]
        geometry = layer.geometry(grid)
        return replace(layer, window=_fitting(geometry, grid)) if isinstance(geometry, Pool) else layer  # type: ignore[call-arg]


def _fitting(geometry: Window | Pool, grid: Grid) -> tuple[int, ...]:
    """The sizes of a window on each axis, 1 where the grid has not enough positions for it."""
    found = []
    for k, (axis, n) in enumerate(zip(geometry.axes, grid, strict=True)):
        short = axis.padding == "valid" and not axis.transposed and (axis.size - 1) * axis.dilation >= (n or 1)
        if short and k == 0 and (isinstance(geometry, Window) or axis.size <= WIDEST):
            raise TooThin
        found.append(1 if short else axis.size)
    return tuple(found)


def _reading(layer: Weighted, before: int, now: int) -> Weighted:
    """The layer, which read so many values of each channel and now reads fewer."""
    fan_in = getattr(layer, "fan_in", None)
    return layer if fan_in is None else replace(layer, fan_in=fan_in // before * now)  # type: ignore[call-arg]
