"""What each node makes of the slices of its operands."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import sympy as sp

from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.ir.geometry import Given, Select
from ntkc.ir.layer import Mixing, Moments, Weighted
from ntkc.ir.network import (
    CombineNode,
    ConcatNode,
    JointNode,
    Law,
    MapNode,
    MixingNode,
    Network,
    NonlinearNode,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.sampling.attention import mixed, random_heads
from ntkc.sampling.formulas import SQUARE, TANGENT, Formulas
from ntkc.sampling.masks import averaged, last_present, mean_of_present, share_of_both
from ntkc.sampling.tails import Tails
from ntkc.sampling.value import Array, Reading, Value, reading, tapped
from ntkc.sampling.weights import Key, Untied, Weights, gains

LARGEST = 6000
"""Columns of a covariance: more take gigabytes and minutes."""


class Rules:
    """The rules of MATH's slice Monte Carlo, with the values found so far."""

    def __init__(
        self, network: Network, batches: tuple[int, ...], slices: int, rng: np.random.Generator, formulas: Formulas
    ) -> None:
        self.network, self.batches, self.slices = network, batches, slices
        self.rng, self.formulas = rng, formulas
        self.weights = Weights(slices, rng, formulas)
        self.tails = Tails()
        self.values: dict[int, Value] = {}
        self.givens: dict[str, Array] = {}
        """Adjacencies (samples, positions, positions), by name."""
        self.last: dict[int, tuple[Array, Array]] = {}
        """K and Theta of outputs, where a layer with weights gives them."""
        self.outputs = {node for _, node in network.outputs}

    def output(self, index: int) -> tuple[Array, Array]:
        """(samples, samples): of the last layer's covariance, else of the value's second moments; means over positions."""
        value = self.values[index]
        share = share_of_both(value.present)
        if index in self.last:
            square, tangent = (_diagonal(own, value.present, value.val.shape[2]) for own in self.last[index])
            return square / share, tangent / share
        read = reading(value, flat=True)
        return read.square(read) / share, read.tangent(read) / share

    # --- weights --------------------------------------------------------------------------------------------------------

    def weighted(self, index: int, node: WeightedNode, turns: tuple[int, ...]) -> Value:
        value, raw = self.values[node.operand], self.network.laws[node.operand] in (Law.DATA, Law.TOKENS)
        try:
            if not node.layer.gaussian:
                return self._channelwise(node, value, turns)
            flat = self.network.flat[node.operand]
            window = None if flat else node.layer.geometry(value.grid)
            grid = () if flat else node.layer.grid(value.grid) if value.grid else ()
            taps = None if window is None else self.formulas.taps(window, value.grid)
            read = reading(value, taps, flat=flat, raw=raw)
            return self._drawn(index, node.layer, (node.weight, turns), read, _known(grid), local=node.layer.local)
        except Untied:
            message = "the same weights are used on values of different kinds"
            label = "their channels are not those of the first use"
            raise ArchError([Diagnostic("shape-mismatch", message, node.origin.span, label)]) from None

    def mixing(self, index: int, node: MixingNode, turns: tuple[int, ...]) -> Value:
        value, law = self.values[node.operand], node.layer.random_logits()
        if law is None:
            value = mixed(value, node.layer.coefficients(), self.formulas)
        else:
            value = random_heads(value, law, self.formulas, self.slices, self.rng)
        return self._drawn(index, node.layer, (node.weight, turns), reading(value), value.grid)

    def _drawn(
        self, index: int, layer: Weighted | Mixing, key: Key, read: Reading, grid: tuple[int, ...], local: bool = False
    ) -> Value:
        if (columns := read.val.shape[1]) > LARGEST:
            cure = "give fewer rows at a time"
            raise ValueError(f"`{layer.name}` draws {columns} samples x positions jointly, {LARGEST} at most: {cure}")
        found = self.weights.covariance(layer, key, read, local)
        if index in self.outputs:
            self.last[index] = found.own()
        val, tan = (a.reshape(1, self.slices, read.samples, -1) for a in self.weights.draw(key, read, found))
        return Value(val, tan, grid)

    def _channelwise(self, node: WeightedNode, value: Value, turns: tuple[int, ...]) -> Value:
        """Weights that do not mix channels: y = sum of w h at the taps + b, with w and b of their own in each slice."""
        layer, key = node.layer, (node.weight, turns)
        constant, factor, _ = self.formulas.linear(layer.moment(SQUARE))
        shift, by_square, _ = self.formulas.linear(layer.tangent(SQUARE, TANGENT))
        window = layer.geometry(value.grid)
        assert window is not None
        column = (*value.val.shape[:2], 1, 1)
        val, tan = self.weights.vector(key, "b", (constant, shift), column)
        for k, tap in enumerate(self.formulas.taps(window, value.grid)):
            w, moving = self.weights.vector(key, f"W{k}", (factor, by_square), column)
            h, forward = (tapped(a, tap) for a in (value.val, value.tan))
            val, tan = val + w * h, tan + moving * h + w * forward
        return Value(val, tan, _known(layer.grid(value.grid)), value.shares)

    def vector(self, node: VectorNode, turns: tuple[int, ...]) -> Value:
        like = self.values[node.like]
        if node.layer.fixed:
            val = self.formulas.number(node.layer.amplitude()) * self.weights.sinusoids(like.val.shape[3])[None, :, None]
            val = np.broadcast_to(val, like.val.shape)
            return Value(val, np.zeros_like(val), like.grid, like.shares)
        variances = self.formulas.number(node.layer.variance()), self.formulas.number(node.layer.tangent())
        shape = (*like.val.shape[:2], 1, like.val.shape[3])
        arrays = self.weights.vector((node.weight, turns), "E", variances, shape)
        val, tan = (np.broadcast_to(a, like.val.shape) for a in arrays)
        return Value(val, tan, like.grid, like.shares)

    # --- no weights -----------------------------------------------------------------------------------------------------

    def mapped(self, index: int, node: MapNode, turns: tuple[int, ...]) -> Value:
        """(h - center) factor; the tangent is not centered, since the statistics are deterministic in the limit."""
        value, layer = self.values[node.operand], node.layer
        over = bool(self.network.flat[node.operand] and value.grid)
        square, mean = (mean_of_present(m, value.present) if over else m for m in (value.square(), value.mean()))
        center = mean if layer.centers else 0 * mean
        factor = self._factor(layer.factor(Moments(SQUARE, TANGENT)), square, center)
        val, tan = (value.val - center) * factor, value.tan * factor
        keep = 1 / self.formulas.number(layer.coincident())
        if keep < 1:
            mask = (self.rng.random(val.shape) < keep) / keep
            val, tan = val * mask, tan * mask
        gain, shift = gains(layer.trained(SQUARE), self.formulas)
        if gain or shift:
            column, key = (*val.shape[:2], 1, 1), (f"gain{index}", turns)
            moving = [self.weights.vector(key, part, (0.0, v), column)[1] for part, v in (("gain", gain), ("shift", shift))]
            tan = tan + moving[0] * val + moving[1]
        return Value(val, tan, value.grid, value.shares)

    def _factor(self, rule: sp.Expr, square: Array, mean: Array) -> Array:
        """Of each sample and position; `TANGENT` stands for the mean."""
        rule = rule.subs(self.formulas.params)
        function = sp.lambdify([SQUARE, TANGENT], rule, "numpy")
        return np.broadcast_to(np.asarray(function(square, mean), float), square.shape)

    def positional(self, node: PositionalNode) -> Value:
        value = self.values[node.operand]
        geometry = node.layer.geometry(value.grid)
        if isinstance(geometry, Given):
            given = self.givens[geometry.name]
            val, tan = (np.einsum("btp,gnbp->gnbt", given, v) for v in (value.val, value.tan))
            return Value(val, tan, value.grid, value.shares)
        if value.present is not None and geometry == Select((-1,)):
            return last_present(value)
        matrix = self.formulas.matrix(geometry, value.grid)
        grid = _known(node.layer.grid(value.grid))
        found = Value(value.val @ matrix.T, value.tan @ matrix.T, grid, value.shares)
        return averaged(found, value.present, geometry, matrix)

    def joint(self, node: JointNode) -> Value:
        """The finite layer on slices as channels, x1 and x2 each for itself."""
        value, layer = self.values[node.operand], node.layer
        flat = self.network.flat[node.operand]
        values: list[Array] = []
        tangents: list[Array] = []
        for rows in _batches(self.batches):
            layouts = [_channels_last(a[:, :, rows], value.grid, flat) for a in (value.val, value.tan)]
            val, tan = self.formulas.layered(layer.sample())((layouts[0],), (layouts[1],))
            grid = value.grid if flat else val.shape[1:-1]
            values.append(_channels_first(val, value.val.shape[:2], flat))
            tangents.append(_channels_first(tan, value.val.shape[:2], flat))
        return Value(np.concatenate(values, 2), np.concatenate(tangents, 2), tuple(grid), value.shares)

    def concat(self, node: ConcatNode) -> Value:
        parts = [self.values[i] for _, i in node.parts]
        shares = tuple(self.formulas.number(k) * s for (k, _), v in zip(node.parts, parts, strict=True) for s in v.shares)
        return Value(np.concatenate([v.val for v in parts]), np.concatenate([v.tan for v in parts]), parts[0].grid, shares)

    def zero(self) -> Value:
        """What a scan starts from."""
        nothing = np.zeros((1, self.slices, sum(self.batches), 1))
        return Value(nothing, nothing, ())

    def combine(self, node: CombineNode) -> Value:
        if not node.terms:
            return self.zero()
        terms = [(self.formulas.number(k), self.values[i]) for k, i in node.terms]
        val, tan = sum(k * v.val for k, v in terms), sum(k * v.tan for k, v in terms)
        return Value(np.asarray(val), np.asarray(tan), terms[0][1].grid, _shares([v for _, v in terms]))

    def nonlinear(self, node: NonlinearNode) -> Value:
        values = [self.values[i] for i in node.operands]
        arrays = np.broadcast_arrays(*(v.val for v in values)), np.broadcast_arrays(*(v.tan for v in values))
        val, tan = self.formulas.pushed(node)(tuple(arrays[0]), tuple(arrays[1]))
        gaussian = self.network.laws[node.operands[0]] is Law.GAUSSIAN
        self.tails.check(node, values[0], val, gaussian, self.formulas)
        return Value(val, tan, values[0].grid, _shares(values))


def _shares(values: Sequence[Value]) -> tuple[float, ...]:
    return max((v.shares for v in values), key=len)


def _known(grid: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(int(n or 0) for n in grid)


def _batches(sizes: tuple[int, ...]) -> list[slice]:
    ends = np.cumsum((0, *sizes))
    return [slice(a, b) for a, b in pairwise(ends)]


def _diagonal(table: Array, mask: Array | None, samples: int) -> Array:
    """The mean over matching positions of a table (samples x positions) squared, 0 where one is absent."""
    positions = len(table) // samples
    mask = np.ones((samples, positions)) if mask is None else mask
    table = table.reshape(samples, positions, samples, positions)
    return np.asarray(np.einsum("bpcp,bp,cp->bc", table, mask, mask) / positions)


def _channels_last(array: Array, grid: tuple[int, ...], flat: bool) -> Array:
    """(parts, slices, samples, positions) -> (samples, positions..., channels); flattened, positions are channels, too."""
    moved = np.moveaxis(array, (2, 3), (0, 1))
    return moved.reshape(len(moved), *(() if flat else grid), -1)


def _channels_first(array: Array, channels: tuple[int, ...], flat: bool) -> Array:
    samples = len(array)
    moved = array.reshape(samples, -1, *channels)
    return np.moveaxis(moved, (0, 1), (2, 3))
