"""The rules over positions: windows, fixed linear maps, attention, norms."""

import sympy as sp

from ntkc.deriving.batches import joint_of
from ntkc.deriving.masks import Masks
from ntkc.deriving.memory import CROSS, FIRST, SECOND, Finding, Underivable, ends
from ntkc.ir.geometry import Geometry, Given, GlobalPool, Linear, Pool, Select, Start
from ntkc.ir.layer import Moments
from ntkc.ir.network import Law, MapNode, MixingNode, PositionalNode, VectorNode, WeightedNode
from ntkc.ir.recursion import SAME, flat_mean, given_symbol, matching, own_table, zeros
from ntkc.ir.sinusoids import Sinusoids

STEMS: dict[type[Geometry], str] = {GlobalPool: "global_pool", Pool: "pool", Select: "select", Start: "start", Given: "aggregate"}
ENDS = {"left": FIRST, "right": SECOND}


class Positions(Masks):
    """What stands between a layer's scalar rule and the tables over positions it acts on."""

    def _pooled(self, p: int, q: int) -> bool:
        """Whether a moment of x with itself needs pairs of different positions of what stands before."""
        nodes = [self.network.nodes[i] for i in (p, q)]
        if all(isinstance(n, PositionalNode) for n in nodes) and self._selects_alike(p, q):
            return False
        apart = any(isinstance(n, PositionalNode | MixingNode) for n in nodes) or any(
            joint_of(self.network, i) is not None for i in (p, q)
        )
        return apart and bool(self.sources[p] & self.sources[q])

    def _geometry(self, node: PositionalNode) -> Linear:
        return node.layer.geometry(self.network.grid(node.operand))

    def _selects_alike(self, p: int, q: int) -> bool:
        """Whether two nodes take the same positions of the same grid."""
        left, right = self.network.nodes[p], self.network.nodes[q]
        assert isinstance(left, PositionalNode)
        assert isinstance(right, PositionalNode)
        geometry = self._geometry(left)
        same = geometry == self._geometry(right) and self.network.grids[left.operand] == self.network.grids[right.operand]
        return same and isinstance(geometry, Select) and not self._ends(p)

    def _ends(self, p: int) -> bool:
        """Whether a node takes the last position that is present, which depends on the sample."""
        node = self.network.nodes[p]
        last = isinstance(node, PositionalNode) and self._geometry(node) == Select((-1,))
        return last and self.present(self.network.operands(p)[0], FIRST) is not None

    def _read(self, p: int, q: int, moment: sp.Expr, side: str) -> sp.Expr:
        """What two uses of the same weights read, from a moment of their operands."""
        left, right = (self.network.nodes[i] for i in (p, q))
        assert isinstance(left, WeightedNode)
        assert isinstance(right, WeightedNode)
        grids = [self.network.grids[n.operand] for n in (left, right)]
        if (not grids[0] and not grids[1]) or moment == 0:
            return moment
        moment = self._spread(moment, left.operand, right.operand, side)
        if self._over_positions(left):
            return flat_mean(moment)
        windows = [n.layer.geometry(self.network.grid(n.operand)) for n in (left, right)]
        if windows[0] != windows[1] or (windows[0] and grids[0] != grids[1]):
            raise Underivable(p, "the same weights are used on two different index grids")
        if windows[0] is None:
            return moment
        read = self.masked(moment, left.operand, right.operand, side)
        return sp.Function(self._map(windows[0], "window", left.operand))(read)

    def _spread(self, moment: sp.Expr, p: int, q: int, side: str) -> sp.Expr:
        """A moment that is one number for all positions, as a table: what reads across positions sees where they end."""
        return moment + self._blank(p, q, side) if self._constant(moment) else moment

    def _constant(self, moment: sp.Expr) -> bool:
        """Whether it depends on hyperparameters alone."""
        return bool(moment != 0 and moment.free_symbols <= {parameter.symbol for parameter in self.network.parameters})

    def _blank(self, p: int, q: int, side: str) -> sp.Expr:
        """A table of zeros."""
        grid = self.network.grids[p] + (self.network.grids[q] if side == CROSS else ())
        if self.network.batches:
            raise Underivable(p, "its moments are constant, which beside `batch_norm` is not derived", sampled=True)
        if None in grid:
            raise Underivable(p, "its moments are constant, so its number of positions must be in the input's type")
        return zeros(self._data(*self._any_input(), side), *map(sp.Integer, grid)) if grid else sp.S.Zero

    def _vector(self, p: int, q: int, variance: sp.Expr, side: str) -> sp.Expr:
        if variance == 0:
            return variance
        if self.network.laws[p] is not Law.GAUSSIAN:
            return self._encoded(p, q, side)
        if side != CROSS or not self.network.grids[p]:
            return variance
        return matching(variance + self._blank(p, p, side))

    def _encoded(self, p: int, q: int, side: str) -> sp.Expr:
        """E e_p e_q' of sinusoids times their amplitudes; those of one layer are those of another."""
        left, right = self.network.nodes[p], self.network.nodes[q]
        assert isinstance(left, VectorNode)
        assert isinstance(right, VectorNode)
        scale = left.layer.amplitude() * right.layer.amplitude()
        if side != CROSS:
            return scale / 2
        sizes = [int(self.network.grids[i][0] or 0) for i in (p, q)]
        name = self._map(Sinusoids(*sizes), "encoding", p)
        return scale * sp.Function(name)(self._data(*self._any_input(), side))

    def _encoded_mean(self, p: int, side: str) -> sp.Expr:
        node = self.network.nodes[p]
        assert isinstance(node, VectorNode)
        size = int(self.network.grids[p][0] or 0)
        name = self._map(Sinusoids(size, size), "encoding", p)
        return node.layer.amplitude() * sp.Function(f"{name}_alone")(self._data(*self._any_input(), side))

    def _fresh(self, p: int, value: sp.Expr, side: str) -> sp.Expr:
        """Weights made inside a scan are others at each step: only matching positions are correlated."""
        node = self.network.nodes[p]
        assert isinstance(node, WeightedNode)
        local = node.layer.local and bool(self.network.grid(p))
        scan = node.home is not None and self.network.loops[node.home].scan
        return matching(value) if (scan or local) and side == CROSS else value

    def _both(self, p: int, q: int, moment: sp.Expr, side: str) -> sp.Expr:
        left, right = self.network.nodes[p], self.network.nodes[q]
        assert isinstance(left, PositionalNode)
        assert isinstance(right, PositionalNode)
        if moment == 0:
            return moment
        if self._selects_alike(p, q):
            moment = self._spread(moment, left.operand, right.operand, side)
            return sp.Function(self._map(self._geometry(left), "select", left.operand))(moment)
        return self._moved(q, self._moved(p, moment, "left"), "right")

    def _moved(self, p: int, moment: sp.Expr, end: str, side: str = "") -> sp.Expr:
        """The map of node p on one side of a table, or of a moment at one side."""
        node = self.network.nodes[p]
        assert isinstance(node, PositionalNode)
        geometry = self._geometry(node)
        if moment == 0:
            return moment
        if side:
            moment = self._spread(moment, node.operand, node.operand, side)
        side = side or ENDS[end]
        if self._ends(p):
            geometry, moment = GlobalPool(average=False), moment * self.last_of(node.operand, side)
        elif not isinstance(geometry, Select):
            moment = self.masked_end(moment, node.operand, end, side)
        name = self._map(geometry, STEMS.get(type(geometry), "resample"), node.operand)
        given = [given_symbol(geometry.name, side)] if isinstance(geometry, Given) else []
        return sp.Function(f"{name}_{end}")(*given, moment) * self.rescaled(node, p, name, side)

    def _mixed(self, p: int, q: int, moment: sp.Expr) -> sp.Expr:
        """A(x) moment A(x')^T."""
        if moment == 0:
            return moment
        for index, side, end in ((p, FIRST, "left"), (q, SECOND, "right")):
            node = self.network.nodes[index]
            assert isinstance(node, MixingNode)
            name = self._map(node.layer.coefficients(), "attention", node.operand)
            moment = sp.Function(f"{name}_{end}")(self._attention(index, side), moment)
        return moment

    def _attention(self, index: int, side: str) -> sp.Expr:
        """The mixing matrix at x or x', a table over pairs of its positions."""
        node = self.network.nodes[index]
        assert isinstance(node, MixingNode)
        key = ("A", index, index, side)
        if key not in self._memo:
            name = self._map(node.layer.coefficients(), "attention", node.operand)
            table = own_table(self.second(node.operand, node.operand, CROSS))
            mask = self.present(node.operand, side)
            value = sp.Function(name)(table, *(() if mask is None else (mask,)))
            self._memo[key] = self._record(key, value, "attention", ("logits are deterministic",))
        return self._memo[key]

    # --- norms ----------------------------------------------------------------------------------------------------------

    def _factor(self, node: MapNode, side: str) -> sp.Expr:
        h = node.operand
        square, center = self.second(h, h, side), self._center(node, side)
        if self._over_positions(node) and square.free_symbols:
            square = self.mean_of_present(square, h, side)
        found = node.layer.factor(Moments(square, center))
        if self.network.batches and found.has(flat_mean):
            reason = "statistics over the positions of each sample, in a network that normalizes over the batch"
            raise Underivable(self.network.nodes.index(node), reason, sampled=True)
        return found

    def _center(self, node: MapNode, side: str) -> sp.Expr:
        """What a norm subtracts: the mean over channels, and over positions where they are channels."""
        center = self.mean(node.operand, side) if node.layer.centers else sp.S.Zero
        return self.mean_of_present(center, node.operand, side) if center != 0 and self._over_positions(node) else center

    def _over_positions(self, node: MapNode | WeightedNode) -> bool:
        return self.network.flat[node.operand] and bool(self.network.grid(node.operand))

    def _shift(self, node: MapNode, other: int, here: str, there: str) -> sp.Expr:
        """E h y' - E (h - center) y'."""
        center = self._center(node, here)
        return center * self.mean(other, there) if center != 0 else center

    def _shift_both(self, node: MapNode, first: str, second: str) -> sp.Expr:
        """E h h' - E (h - center)(h' - center')."""
        left, right = self._center(node, first), self._center(node, second)
        if left == 0:
            return left
        return left * self.mean(node.operand, second) + self.mean(node.operand, first) * right - left * right

    def _normed(self, left: MapNode, p: int, q: int, side: str, tangent: bool) -> Finding:
        """A moment of y = (h - center) factor, with itself or with another value."""
        premises = ("its statistics are deterministic",)
        first, second = ends(side)
        if p != q:
            inside = self._inside(left.operand, q, side, tangent) - (0 if tangent else self._shift(left, q, first, second))
            return inside * self._factor(left, first), left.layer.name, premises
        factors = self._factor(left, first) * self._factor(left, second)
        inside = self._inside(left.operand, left.operand, side, tangent)
        inside -= 0 if tangent else self._shift_both(left, first, second)
        weight = left.layer.coincident() if side != CROSS else 1 + (left.layer.coincident() - 1) * SAME
        trained = left.layer.trained(self.second(p, p, CROSS)) if tangent else sp.S.Zero
        loop = left.origin.loop
        if trained != 0 and loop is not None and self.network.loops[loop].scan:  # gains and shifts of their own at each step
            trained = matching(trained)
        return inside * factors * weight + trained, left.layer.name, premises

    def _inside(self, p: int, q: int, side: str, tangent: bool) -> sp.Expr:
        return self.tangent(p, q) if tangent else self.second(p, q, side)
