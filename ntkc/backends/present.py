"""Masks of the finite network: which positions of a value are present, and what reads across positions under them."""

from collections.abc import Iterator

from ntkc.ir.geometry import Pool, Select, Window, counts_present
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    FinalNode,
    InputNode,
    MapNode,
    MixingNode,
    Network,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.ir.recursion import given_symbol, mask_name


class Present:
    """The variable that holds the mask (n, T) of each value, or nothing where every position is present."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._names: dict[int, str] = {}

    def of(self, index: int) -> str:
        if not self.network.masked:
            return ""
        if index not in self._names:
            self._names[index] = self._name(index)
        return self._names[index]

    def _name(self, index: int) -> str:
        node = self.network.nodes[index]
        match node:
            case InputNode(name=name, type=type):
                return given_symbol(mask_name(name), "1").name[:-2] if type.maskable else ""
            case CarriedNode(loop=loop, slot=slot) | FinalNode(loop=loop, slot=slot) if not self.network.loops[loop].scan:
                return self.of(self.network.loops[loop].slots[slot].initial)
            case CarriedNode(loop=loop) | FinalNode(loop=loop):
                return self.of(self.network.walked(loop)[0])
            case VectorNode(like=like):
                return self.of(like)
            case CombineNode(row=row) if row is not None:
                return self.of(row)
        masks = list(dict.fromkeys(m for h in self.network.operands(index) if (m := self.of(h))))
        if not masks or not self.network.grids[index]:
            return ""
        return f"m{index}" if len(masks) > 1 or self._changed(index) is not None else masks[0]

    def _changed(self, index: int) -> str | None:
        """The mask after a layer that has other positions than its operand."""
        node = self.network.nodes[index]
        if not isinstance(node, WeightedNode | PositionalNode):
            return None
        grid, mask = self.network.grids[node.operand], self.of(node.operand)
        geometry = node.layer.geometry(grid)
        if isinstance(geometry, Window | Pool):
            (axis,) = geometry.axes
            spec = (axis.size, axis.stride, axis.dilation, axis.padding, axis.transposed)
            return f"_present_after({mask}, {spec!r}, 1)"
        if isinstance(geometry, Select):
            sample = node.layer.sample()
            arguments = "".join(f", {a!r}" for a in sample.arguments)
            return f"{sample.function.__name__}({mask}[..., None]{arguments})[..., 0]"
        return None

    def line(self, index: int, indent: str) -> Iterator[str]:
        """The definition of a value's mask, where it is a new one."""
        name = self.of(index)
        if name == f"m{index}":
            masks = list(dict.fromkeys(m for h in self.network.operands(index) if (m := self.of(h))))
            yield f"{indent}{name} = {self._changed(index) or ' * '.join(masks)}"

    def read(self, index: int, operand: int) -> str:
        """The operand as a layer reads it: absent positions are 0 where it reads several."""
        node, mask = self.network.nodes[index], self.of(operand)
        if not mask:
            return f"v{operand}"
        if isinstance(node, WeightedNode):
            return f"v{operand} * {mask}[..., None]" if node.layer.geometry(self.network.grids[operand]) else f"v{operand}"
        selects = isinstance(node, PositionalNode) and isinstance(node.layer.geometry(self.network.grids[operand]), Select)
        return f"v{operand} * {mask}[..., None]" if isinstance(node, PositionalNode) and not selects else f"v{operand}"

    def positional(self, index: int, node: PositionalNode, function: str, arguments: str) -> str | None:
        """The last present position, or an average over the present ones; None where nothing is special."""
        mask, geometry = self.of(node.operand), node.layer.geometry(self.network.grids[node.operand])
        if mask and geometry == Select((-1,)):
            return f"jnp.sum(v{node.operand} * _last_present({mask}, 1)[..., None], 1)"
        if mask and counts_present(geometry):
            share = f"1 - {function}(1 - {mask}[..., None]{arguments})"
            return f"{function}({self.read(index, node.operand)}{arguments}) * _ratio(1, {share})"
        return None

    def normed(self, node: MapNode) -> str:
        """The mask as the last argument of a norm whose statistics run over positions."""
        mask = self.of(node.operand)
        if not mask or not node.layer.takes_mask or not self.network.flat[node.operand]:
            return ""
        width = f"v{node.operand}.shape[-1] // {mask}.shape[1]"
        return f", {mask}[..., None]" if node.layer.everywhere else f", jnp.repeat({mask}, {width}, 1)"

    def attended(self, node: MixingNode) -> str:
        """The mask as the last argument of attention."""
        mask = self.of(node.operand)
        return f", {mask}" if mask else ""
