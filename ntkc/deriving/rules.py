"""The rules for S[p, q] = E p q', T[p, q] (tangents) and m[p] = E p, memoised and demanded backwards from the outputs.

Facts F1 and F2: Yang 2019 (Tensor Programs I, NETSOR master theorem) and 2020 (Tensor Programs II). Each result becomes one
named equation with its rule and premises.
"""

import sympy as sp

from ntkc.deriving.batches import Batches, joint_of
from ntkc.deriving.loops import Loops
from ntkc.deriving.memory import CROSS, Finding, Underivable, ends, tied
from ntkc.gaussian.product import Monomial, monomials
from ntkc.gaussian.slope import Discontinuous
from ntkc.gaussian.terms import NotClosed
from ntkc.ir.network import (
    CombineNode,
    ConcatNode,
    InputNode,
    ItemNode,
    Law,
    MapNode,
    MixingNode,
    NonlinearNode,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.ir.recursion import own


class Rules(Loops, Batches):
    """Which rule applies to a pair of nodes."""

    def _recall(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        key = (kind, p, q, side)
        if key in self._memo:
            return self._memo[key]
        if kind == "m" and (self.network.laws[p] is Law.GAUSSIAN or isinstance(self.network.nodes[p], WeightedNode)):
            return sp.S.Zero
        scanned = (self.network.scanned(p) or self.network.scanned(q)) and (kind == "m" or self.sources[p] & self.sources[q])
        if scanned and not self._follows(p, q):
            self._memo[key] = self._scanned(kind, p, q, side)
            return self._memo[key]
        if (loop := self._loop_of(p, q)) is not None and (kind == "m" or self.sources[p] & self.sources[q]):
            return self._state(key, loop)
        try:
            value, rule, premises = (
                self._second(p, q, side) if kind == "S" else self._tangent(p, q) if kind == "T" else self._mean(p, side)
            )
        except Discontinuous:
            raise
        except NotClosed as error:
            raise Underivable(p, str(error)) from error
        if key not in self._memo:  # a loop's state may have demanded it on the way
            self._memo[key] = self._record(key, value, rule, premises)
        return self._memo[key]

    def _follows(self, p: int, q: int) -> bool:
        """Whether one of the two stands after the scan of the other; then it has to be taken apart first."""
        loop = self._scan_of(p, q)
        after = [i for i in (p, q) if self._after(i, loop)]
        for i in after:
            if not isinstance(self.network.nodes[i], CombineNode | PositionalNode | MapNode | ConcatNode | ItemNode):
                raise Underivable(i, "this value is correlated with a scan before it through weights that both use")
        return bool(after)

    def _second(self, p: int, q: int, side: str) -> Finding:
        first, second = ends(side)
        if side != CROSS and self._pooled(p, q):
            return own(self.second(p, q, CROSS)), "positions", ("the same between x and x'",)
        if not self.sources[p] & self.sources[q]:
            means = self.mean(p, first), self.mean(q, second)
            product = means[0] * means[1]
            if product != 0 and any(map(self._constant, means)):
                product += self._blank(p, q, side)
            return product, "independence", (f"v{p} and v{q} share no weights",)
        if (linear := self._bilinear(p, q, side, tangent=False)) is not None:
            return linear
        match self.network.nodes[p], self.network.nodes[q]:
            case InputNode(), InputNode():
                return self._data(p, q, side), "data", ()
            case WeightedNode(layer=layer, operand=x), WeightedNode(operand=y):
                value = layer.moment(self._read(p, q, self.second(x, y, side), side))
                return self._fresh(p, value, side), layer.name, (tied(p, q),)
            case MixingNode(layer=layer, operand=x), MixingNode(operand=y):
                return layer.moment(self._mixed(p, q, self.second(x, y, side))), layer.name, (tied(p, q),)
            case VectorNode(layer=layer), VectorNode():
                return self._vector(p, q, layer.variance(), side), layer.name, (tied(p, q),)
        if (normalized := self._normalized(p, q, tangent=False)) is not None:
            return normalized
        self._refuse_history(p, q)
        return self._expected(p, q, side), "Gaussian expectation", ("its arguments are jointly Gaussian (F1)",)

    def _tangent(self, p: int, q: int) -> Finding:
        if not self.sources[p] & self.sources[q]:
            return sp.S.Zero, "independence", (f"v{p} and v{q} share no weights",)
        if (linear := self._bilinear(p, q, CROSS, tangent=True)) is not None:
            return linear
        match self.network.nodes[p], self.network.nodes[q]:
            case InputNode(), InputNode():
                return sp.S.Zero, "data", ("the input is not trained",)
            case WeightedNode(layer=layer, operand=x), WeightedNode(operand=y):
                moments = (self._read(p, q, value, CROSS) for value in (self.second(x, y, CROSS), self.tangent(x, y)))
                return self._fresh(p, layer.tangent(*moments), CROSS), layer.name, (tied(p, q),)
            case MixingNode(layer=layer, operand=x), MixingNode(operand=y):
                moments = (self._mixed(p, q, value) for value in (self.second(x, y, CROSS), self.tangent(x, y)))
                return layer.tangent(*moments), layer.name, (tied(p, q),)
            case VectorNode(layer=layer), VectorNode():
                return self._vector(p, q, layer.tangent(), CROSS), layer.name, (tied(p, q),)
        if (normalized := self._normalized(p, q, tangent=True)) is not None:
            return normalized
        self._refuse_history(p, q)
        return self._chained(p, q), "chain rule (F2)", ("gradient independence: the readout is fresh",)

    def _bilinear(self, p: int, q: int, side: str, tangent: bool) -> Finding | None:
        """Sums and maps are taken out on either side; on the right by symmetry."""

        def moment(i: int, j: int) -> sp.Expr:
            return self._inside(i, j, side, tangent)

        left, right = self.network.nodes[p], self.network.nodes[q]
        if isinstance(left, CombineNode):
            return sp.Add(*(k * moment(i, q) for k, i in left.terms)), "linearity", ()
        if isinstance(right, CombineNode):
            return sp.Add(*(k * moment(p, j) for k, j in right.terms)), "linearity", ()
        if isinstance(left, ItemNode):
            return moment(left.operand, q), "scan", ()
        if isinstance(right, ItemNode):
            return moment(p, right.operand), "scan", ()
        if isinstance(left, PositionalNode) and isinstance(right, PositionalNode):
            inside = moment(left.operand, right.operand)
            return self._both(p, q, inside, side), left.layer.name, ("its coefficients are fixed",)
        if isinstance(left, PositionalNode):
            return self._moved(p, moment(left.operand, q), "left"), left.layer.name, ("its coefficients are fixed",)
        if isinstance(right, PositionalNode):
            return self._moved(q, moment(p, right.operand), "right"), right.layer.name, ("its coefficients are fixed",)
        if isinstance(left, ConcatNode) and isinstance(right, ConcatNode):
            if [k for k, _ in left.parts] != [k for k, _ in right.parts]:
                raise Underivable(p, "two concatenations divide the channels differently")
            pairs = zip(left.parts, right.parts, strict=True)
            return sp.Add(*(k * moment(i, j) for (k, i), (_, j) in pairs)), "concat", ("channels are exchangeable",)
        if isinstance(left, MapNode):
            return self._normed(left, p, q, side, tangent)
        if isinstance(right, MapNode):
            here, there = ends(side)
            shift = 0 if tangent else self._shift(right, p, there, here)
            return (moment(p, right.operand) - shift) * self._factor(right, there), right.layer.name, ()
        if isinstance(left, ConcatNode) or isinstance(right, ConcatNode):
            raise Underivable(max(p, q), "one set of weights reads a concatenation and another value: their channels differ")
        return None

    def _mean(self, p: int, side: str) -> Finding:
        if joint_of(self.network, p) is not None:
            return self._normalized_mean(p, side)
        match self.network.nodes[p]:
            case ItemNode(operand=h):
                return self.mean(h, side), "scan", ()
            case CombineNode(terms=terms):
                return sp.Add(*(k * self.mean(i, side) for k, i in terms)), "linearity", ()
            case VectorNode(layer=layer):
                return self._encoded_mean(p, side), layer.name, ()
            case PositionalNode(operand=h) as node:
                return self._moved(p, self.mean(h, side), "left", side), node.layer.name, ()
            case ConcatNode(parts=parts):
                return sp.Add(*(k * self.mean(i, side) for k, i in parts)), "concat", ()
            case MapNode(layer=layer, operand=h) as node:
                value = (self.mean(h, side) - self._center(node, side)) * self._factor(node, side)
                return value, layer.name, ()
            case NonlinearNode(function=function, symbols=symbols, operands=operands):
                where = dict(zip(symbols, operands, strict=True))
                left = [(m, where) for m in monomials(function, symbols)]
                value = self._product(p, left, [(Monomial(sp.S.One, ()), {})], side)
                return value, "Gaussian expectation", ()
        raise Underivable(p, "the mean over channels of raw input is not part of the language yet")
