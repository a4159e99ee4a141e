"""One replicate: the network in slices, node after node, loops turn after turn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, assert_never

import numpy as np

from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    ItemNode,
    JointNode,
    MapNode,
    MixingNode,
    Network,
    Node,
    NonlinearNode,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.sampling.formulas import Formulas
from ntkc.sampling.masks import hidden, present
from ntkc.sampling.rules import Rules
from ntkc.sampling.value import Array, Value

Kernels: TypeAlias = dict[str, tuple[Array, Array]]


class Run(Rules):
    """`inputs` are arrays (samples of x1 and then of x2, positions..., d); `batches` says how many samples each has."""

    def __init__(
        self,
        network: Network,
        inputs: Sequence[Array],
        givens: Mapping[str, Array],
        masks: Mapping[str, Array],
        batches: tuple[int, ...],
        slices: int,
        rng: np.random.Generator,
        formulas: Formulas,
    ) -> None:
        super().__init__(network, batches, slices, rng, formulas)
        self.inputs = inputs
        self.givens = dict(givens)
        self.masks = masks
        self.turns: dict[int, int] = {}
        self.kept: dict[tuple[int, int], list[Value]] = {}

    def kernels(self) -> Kernels:
        """NNGP and NTK of each output between all samples, means over its positions."""
        given = iter(self.inputs)
        for index, node in enumerate(self.network.nodes):
            if isinstance(node, InputNode):
                self.values[index] = hidden(_raw(next(given)), self.masks.get(node.name))
        self._body(None)
        return {name: self.output(node) for name, node in self.network.outputs}

    def _body(self, place: int | None) -> None:
        opened: set[int] = set()
        for index, node in enumerate(self.network.nodes):
            if node.origin.loop == place:
                self._node(index, node)
                continue
            inner = node.origin.loop
            while inner is not None and self.network.loops[inner].parent != place:
                inner = self.network.loops[inner].parent
            if inner is not None and inner not in opened:
                opened.add(inner)
                self._loop(inner)

    def _loop(self, index: int) -> None:
        loop = self.network.loops[index]
        carried = [self.network.carried(index, slot) for slot in range(len(loop.slots))]
        for slot, (node, place) in enumerate(zip(carried, loop.slots, strict=True)):
            self.values[node] = self.zero() if place.initial < 0 else self.values[place.initial]
            self.kept[index, slot] = []
        mask = self._walked(index) if loop.scan else None
        for turn in range(loop.count):
            self.turns[index] = turn
            self._body(index)
            following = [self.values[place.following] for place in loop.slots]
            if mask is not None:  # before its first item a state is 0; after its last one nothing reads it
                following = [replace(hidden(v, mask[:, turn : turn + 1]), present=None) for v in following]
            for slot, (node, value) in enumerate(zip(carried, following, strict=True)):
                self.values[node] = value
                if loop.scan:
                    self.kept[index, slot].append(value)

    def _walked(self, loop: int) -> Array | None:
        """The mask of the sequence that a scan goes over."""
        return self.values[self.network.walked(loop)[0]].present

    def _node(self, index: int, node: Node) -> None:
        self._compute(index, node)
        if not isinstance(node, InputNode | CarriedNode | ItemNode | FinalNode):
            self.values[index] = hidden(self.values[index], present(index, self.network, self.values))

    def _compute(self, index: int, node: Node) -> None:
        match node:
            case InputNode() | CarriedNode():
                return
            case ItemNode(loop=loop, operand=operand):
                self.values[index] = self._item(self.values[operand], self.turns[loop])
            case FinalNode(loop=loop, slot=slot):
                scan = self.network.loops[loop].scan
                self.values[index] = self._sequence(loop, slot) if scan else self.values[self.network.carried(loop, slot)]
            case WeightedNode():
                self.values[index] = self.weighted(index, node, self._turns(node.home))
            case MixingNode():
                self.values[index] = self.mixing(index, node, self._turns(node.home))
            case VectorNode():
                self.values[index] = self.vector(node, self._turns(node.home))
            case MapNode():
                self.values[index] = self.mapped(index, node, self._turns(node.origin.loop))
            case PositionalNode():
                self.values[index] = self.positional(node)
            case JointNode():
                self.values[index] = self.joint(node)
            case ConcatNode():
                self.values[index] = self.concat(node)
            case CombineNode():
                self.values[index] = self.combine(node)
            case NonlinearNode():
                self.values[index] = self.nonlinear(node)
            case _:
                assert_never(node)

    def _turns(self, place: int | None) -> tuple[int, ...]:
        """Turns of the loops around a place, which make its weights others."""
        found: list[int] = []
        while place is not None:
            found.append(self.turns[place])
            place = self.network.loops[place].parent
        return tuple(found)

    def _item(self, value: Value, step: int) -> Value:
        return Value(value.val[..., step : step + 1], value.tan[..., step : step + 1], (), value.shares)

    def _sequence(self, loop: int, slot: int) -> Value:
        steps = self.kept[loop, slot]
        val, tan = (np.concatenate(arrays, -1) for arrays in ([s.val for s in steps], [s.tan for s in steps]))
        return hidden(Value(val, tan, (len(steps),), steps[0].shares), self._walked(loop))


def _raw(x: Array) -> Value:
    """Raw input: its d channels are the slices."""
    samples, *grid, d = x.shape
    val = np.moveaxis(np.asarray(x, float).reshape(samples, -1, d), 2, 0)[None]
    return Value(val, np.zeros_like(val), tuple(grid))
