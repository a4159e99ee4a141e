"""Which positions are present: sequences of different lengths come padded, with a mask for each sample.

What reads across positions reads absent ones as 0, and means leave them out. Where a value stands at an absent position it is
never read, so it needs no mask of its own.
"""

import sympy as sp

from ntkc.deriving.memory import FIRST, SECOND, Memory, ends
from ntkc.ir.geometry import Geometry, GlobalPool, Pool, Select, Start, Window, counts_present
from ntkc.ir.intrinsics import ratio
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    ItemNode,
    Network,
    NonlinearNode,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.ir.recursion import GivenArray, flat_mean, given_symbol, last_present, mask_name


def mask_arrays(network: Network) -> tuple[GivenArray, ...]:
    """The masks that a network takes: of inputs with one axis of positions."""
    inputs = [node for node in network.nodes if isinstance(node, InputNode)]
    return tuple(GivenArray(mask_name(node.name), node, 1) for node in inputs if network.masked and node.type.maskable)


class Masks(Memory):
    """1 where a position of a value is present and 0 where not, at x or at x'."""

    def present(self, p: int, side: str) -> sp.Expr | None:
        """None where every position is."""
        if not self.network.masked or not self.network.grids[p]:
            return None
        key = ("M", p, p, side)
        if key not in self._memo:
            value = self._presence(p, side)
            known = value is None or value.is_Symbol
            self._memo[key] = sp.S.One if value is None else value if known else self._record(key, value, "mask", ())
        found = self._memo[key]
        return None if found == 1 else found

    def _presence(self, p: int, side: str) -> sp.Expr | None:
        match self.network.nodes[p]:
            case InputNode() as node:
                return given_symbol(mask_name(node.name), side) if node.type.maskable else None
            case WeightedNode(layer=layer, operand=h):
                return self._moved_mask(layer.geometry(self.network.grids[h]), h, side)
            case PositionalNode(layer=layer, operand=h):
                return self._moved_mask(layer.geometry(self.network.grids[h]), h, side)
            case CombineNode(row=row) if row is not None:
                return self.present(row, side)
            case CombineNode() | NonlinearNode() | ConcatNode():
                masks = [self.present(h, side) for h in self.network.operands(p)]
                return sp.Mul(*{m for m in masks if m is not None}) if any(m is not None for m in masks) else None
            case CarriedNode(loop=loop) | FinalNode(loop=loop) if self.network.loops[loop].scan:
                return self.present(min(self._walked(p, loop, set())), side)
            case CarriedNode(loop=loop, slot=slot) | FinalNode(loop=loop, slot=slot):
                return self.present(self.network.loops[loop].slots[slot].initial, side)
            case VectorNode(like=h):
                return self.present(h, side)
        (h,) = self.network.operands(p)
        return self.present(h, side)

    def _walked(self, p: int, loop: int, seen: set[int]) -> set[int]:
        """The sequences whose items a value of a scan is made of."""
        node = self.network.nodes[p]
        if isinstance(node, ItemNode) and node.loop == loop:
            return set() if self.network.begins(node.operand) else {node.operand}
        if p in seen:
            return set()
        seen.add(p)
        operands = self.network.operands(p)
        if isinstance(node, CarriedNode | FinalNode) and node.loop == loop:
            operands = (self.network.loops[loop].slots[node.slot].following,)
        return {i for h in operands for i in self._walked(h, loop, seen)}

    def _moved_mask(self, geometry: Geometry | None, h: int, side: str) -> sp.Expr | None:
        mask = self.present(h, side)
        if mask is None or geometry is None:
            return mask
        if isinstance(geometry, Window | Pool):
            stem = "window" if isinstance(geometry, Window) else "pool"
            return sp.Function(f"{self._map(geometry, stem, h)}_present")(mask)
        if isinstance(geometry, Select):
            return sp.Function(f"{self._map(geometry, 'select', h)}_left")(mask)
        return None if isinstance(geometry, GlobalPool | Start) else mask

    # --- what reads ----------------------------------------------------------------------------------------------------

    def masked(self, moment: sp.Expr, p: int, q: int, side: str) -> sp.Expr:
        """A moment of p and q where both are present, 0 elsewhere."""
        factors = {self.present(p, ends(side)[0]), self.present(q, ends(side)[1])} - {None}
        return sp.Mul(moment, *factors)

    def masked_end(self, moment: sp.Expr, p: int, end: str, side: str) -> sp.Expr:
        """The same on one side of a table."""
        mask = self.present(p, side or (FIRST if end == "left" else SECOND))
        return moment if mask is None else moment * mask

    def rescaled(self, node: PositionalNode, index: int, name: str, side: str) -> sp.Expr:
        """What makes an average one over present positions, where it leaves the edges out; 1 elsewhere."""
        mask, geometry = self.present(node.operand, side), node.layer.geometry(self.network.grid(node.operand))
        if mask is None or not counts_present(geometry):
            return sp.S.One
        key = ("R", index, index, side)
        if key not in self._memo:
            value = ratio(sp.S.One, 1 - sp.Function(f"{name}_left")(1 - mask))
            self._memo[key] = self._record(key, value, "mask", ())
        return self._memo[key]

    def last_of(self, p: int, side: str) -> sp.Expr | None:
        """1 at the last present position, if the value has a mask."""
        mask = self.present(p, side)
        if mask is None:
            return None
        key = ("L", p, p, side)
        if key not in self._memo:
            self._memo[key] = self._record(key, last_present(mask), "mask", ())
        return self._memo[key]

    def averaged(self, moment: sp.Expr, p: int, side: str) -> sp.Expr:
        """The mean of a moment of p with itself over matching positions, those present on both sides."""
        masks = {self.present(p, end) for end in ends(side)} - {None}
        return _mean_where(sp.Mul(*masks), moment) if masks else flat_mean(moment)

    def mean_of_present(self, moment: sp.Expr, p: int, end: str) -> sp.Expr:
        """The mean over the positions of p that are present on one side."""
        mask = self.present(p, end)
        return flat_mean(moment) if mask is None else _mean_where(mask, moment)


def _mean_where(mask: sp.Expr, moment: sp.Expr) -> sp.Expr:
    return flat_mean(moment * mask) * ratio(sp.S.One, flat_mean(mask))
