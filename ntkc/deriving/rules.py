"""The rules for S[p, q] = E p q', T[p, q] (tangents) and m[p] = E p, memoised and demanded backwards from the outputs.

Facts F1 and F2: Yang 2019 (Tensor Programs I, NETSOR master theorem) and 2020 (Tensor Programs II). Each result becomes one
named equation with its rule and premises.
"""

from dataclasses import dataclass, field

import sympy as sp

from ntkc.deriving.sources import Sources, sources
from ntkc.gaussian.moments import A, B, C, mean
from ntkc.gaussian.names import Names
from ntkc.gaussian.price import Expectation, expectation
from ntkc.gaussian.product import Factors, Monomial, expect, monomials
from ntkc.gaussian.series import Series, series
from ntkc.gaussian.slope import Discontinuous, slope
from ntkc.gaussian.terms import NotClosed, Z
from ntkc.ir.geometry import Geometry, GlobalPool, Grid, Linear, Pool, Select, Shift
from ntkc.ir.layer import MixingMatrix, Moments
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    ItemNode,
    Law,
    MapNode,
    MixingNode,
    Network,
    NonlinearNode,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.ir.recursion import SAME, Data, Dual, Equation, State, flat_mean, matching, own, own_table, zeros

CROSS, FIRST, SECOND = "12", "1", "2"
SUFFIX = {CROSS: "", FIRST: "_1", SECOND: "_2"}


class Underivable(Exception):
    """No rule applies; names the node that is at fault."""

    def __init__(self, node: int, reason: str) -> None:
        self.node, self.reason = node, reason
        super().__init__(reason)


@dataclass
class Scope:
    """Equations of one loop body, or of the top level."""

    equations: list[Equation] = field(default_factory=list)
    states: list[State] = field(default_factory=list)


class Rules:
    """`second`, `tangent` and `mean` give an expression in the symbols of the equations recorded on the way."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.sources: Sources = sources(network)
        self.names = Names(dict(network.functions))
        self.scopes: dict[int | None, Scope] = {None: Scope(), **{i: Scope() for i in range(len(network.loops))}}
        self.duals: dict[tuple[sp.Expr, sp.Expr], Dual] = {}
        self.data: dict[tuple[int, int], Data] = {}
        self._memo: dict[tuple[str, int, int, str], sp.Expr] = {}
        self._labels: dict[str, tuple[str, int, int, str]] = {}
        self.maps: dict[tuple[Geometry | MixingMatrix, Grid], str] = {}
        self.slow: set[int] = set()
        """Scans with moments between different steps of what is carried and what is not."""
        self._splits: dict[sp.Expr, tuple[sp.Expr, sp.Expr]] = {}

    # --- second moments -------------------------------------------------------------------------------------------------

    def second(self, p: int, q: int, side: str) -> sp.Expr:
        """E of p at the first and q at the second place of the side (x and x', x and x, or x' and x')."""
        if side != CROSS and p < q:
            p, q = q, p
        return self._recall("S", p, q, side)

    def _second(self, p: int, q: int, side: str) -> tuple[sp.Expr, str, tuple[str, ...]]:
        first, second = _ends(side)
        if side != CROSS and self._pooled(p, q):
            return own(self.second(p, q, CROSS)), "positions", ("the same between x and x'",)
        if not self.sources[p] & self.sources[q]:
            product = self.mean(p, first) * self.mean(q, second)
            return product, "independence", (f"v{p} and v{q} share no weights",)
        if (linear := self._bilinear(p, q, side, tangent=False)) is not None:
            return linear
        match self.network.nodes[p], self.network.nodes[q]:
            case InputNode(), InputNode():
                return self._data(p, q, side), "data", ()
            case WeightedNode(layer=layer, operand=x), WeightedNode(operand=y):
                value = layer.moment(self._read(p, q, self.second(x, y, side)))
                return self._fresh(p, value, side), layer.name, (_tied(p, q),)
            case MixingNode(layer=layer, operand=x), MixingNode(operand=y):
                return layer.moment(self._mixed(p, q, self.second(x, y, side))), layer.name, (_tied(p, q),)
            case VectorNode(layer=layer), VectorNode():
                return self._vector(p, layer.variance(), side), layer.name, (_tied(p, q),)
        self._refuse_history(p, q)
        return self._expected(p, q, side), "Gaussian expectation", ("its arguments are jointly Gaussian (F1)",)

    def _bilinear(self, p: int, q: int, side: str, tangent: bool) -> tuple[sp.Expr, str, tuple[str, ...]] | None:
        """Sums and maps are taken out on either side; on the right by symmetry."""

        def moment(i: int, j: int) -> sp.Expr:
            return self.tangent(i, j) if tangent else self.second(i, j, side)

        first, second = _ends(side)
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
            return self._both(left, right, inside), left.layer.name, ("its coefficients are fixed",)
        if isinstance(left, PositionalNode):
            return self._moved(left, moment(left.operand, q), "left"), left.layer.name, ("its coefficients are fixed",)
        if isinstance(right, PositionalNode):
            return self._moved(right, moment(p, right.operand), "right"), right.layer.name, ("its coefficients are fixed",)
        if isinstance(left, ConcatNode) and isinstance(right, ConcatNode):
            if [k for k, _ in left.parts] != [k for k, _ in right.parts]:
                raise Underivable(p, "two concatenations divide the channels differently")
            pairs = zip(left.parts, right.parts, strict=True)
            return sp.Add(*(k * moment(i, j) for (k, i), (_, j) in pairs)), "concat", ("channels are exchangeable",)
        if isinstance(left, MapNode) and p == q:
            h = left.operand
            factors = self._factor(left, first) * self._factor(left, second)
            inside = moment(h, h) - (0 if tangent else self._shift_both(left, first, second))
            weight = left.layer.coincident() if side != CROSS else 1 + (left.layer.coincident() - 1) * SAME
            trained = left.layer.trained(self.second(p, p, CROSS)) if tangent else sp.S.Zero
            return inside * factors * weight + trained, left.layer.name, ("its statistics are deterministic",)
        if isinstance(left, MapNode):
            inside = moment(left.operand, q) - (0 if tangent else self._shift(left, q, first, second))
            return inside * self._factor(left, first), left.layer.name, ("its statistics are deterministic",)
        if isinstance(right, MapNode):
            shift = 0 if tangent else self._shift(right, p, second, first)
            return (moment(p, right.operand) - shift) * self._factor(right, second), right.layer.name, ()
        return None

    def _factor(self, node: MapNode, side: str) -> sp.Expr:
        h = node.operand
        square, center = self.second(h, h, side), self._center(node, side)
        over = flat_mean if self._over_positions(node) and square.free_symbols else lambda moment: moment
        return node.layer.factor(Moments(over(square), center))

    def _center(self, node: MapNode, side: str) -> sp.Expr:
        """What a norm subtracts: the mean over channels, and over positions where they are channels."""
        center = self.mean(node.operand, side) if node.layer.centers else sp.S.Zero
        return flat_mean(center) if center != 0 and self._over_positions(node) else center

    def _over_positions(self, node: MapNode) -> bool:
        return self.network.flat[node.operand] and bool(self.network.grids[node.operand])

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

    # --- positions ------------------------------------------------------------------------------------------------------

    def _pooled(self, p: int, q: int) -> bool:
        """Whether a moment of x with itself needs pairs of different positions of what stands before."""
        nodes = [self.network.nodes[i] for i in (p, q)]
        geometries = [self._geometry(n) for n in nodes if isinstance(n, PositionalNode)]
        if len(geometries) == 2 and isinstance(geometries[0], Select) and geometries[0] == geometries[1]:
            return False
        return any(isinstance(n, PositionalNode | MixingNode) for n in nodes) and bool(self.sources[p] & self.sources[q])

    def _geometry(self, node: PositionalNode) -> Linear:
        return node.layer.geometry(self.network.grids[node.operand])

    def _map(self, geometry: Geometry | MixingMatrix, stem: str, operand: int) -> str:
        return self.maps.setdefault((geometry, self.network.grids[operand]), f"{stem}{len(self.maps)}")

    def _read(self, p: int, q: int, moment: sp.Expr) -> sp.Expr:
        """What two uses of the same weights read, from a moment of their operands."""
        left, right = (self.network.nodes[i] for i in (p, q))
        assert isinstance(left, WeightedNode)
        assert isinstance(right, WeightedNode)
        grids = [self.network.grids[n.operand] for n in (left, right)]
        if (not grids[0] and not grids[1]) or not moment.free_symbols:
            return moment
        if self.network.flat[left.operand]:
            return flat_mean(moment)
        windows = [n.layer.geometry(grid) for n, grid in zip((left, right), grids, strict=True)]
        if windows[0] != windows[1] or (windows[0] and grids[0] != grids[1]):
            raise Underivable(p, "the same weights are used on two different index grids")
        return moment if windows[0] is None else sp.Function(self._map(windows[0], "window", left.operand))(moment)

    def _vector(self, p: int, variance: sp.Expr, side: str) -> sp.Expr:
        grid = self.network.grids[p]
        if side != CROSS or not grid:
            return variance
        start = self._data(*self._any_input(), side)
        return matching(variance + zeros(start, *map(sp.Integer, grid + grid)))

    def _fresh(self, p: int, value: sp.Expr, side: str) -> sp.Expr:
        """Weights made inside a scan are others at each step: only matching positions are correlated."""
        node = self.network.nodes[p]
        assert isinstance(node, WeightedNode)
        local = node.layer.local and bool(self.network.grids[p])
        scan = node.home is not None and self.network.loops[node.home].scan
        return matching(value) if (scan or local) and side == CROSS else value

    def _both(self, left: PositionalNode, right: PositionalNode, moment: sp.Expr) -> sp.Expr:
        geometry = self._geometry(left)
        if moment == 0:
            return moment
        if isinstance(geometry, Select) and geometry == self._geometry(right):
            return sp.Function(self._map(geometry, "select", left.operand))(moment)
        return self._moved(right, self._moved(left, moment, "left"), "right")

    def _moved(self, node: PositionalNode, moment: sp.Expr, end: str) -> sp.Expr:
        """A map on one side of a table; a Select of one side of x with itself may stay on matching positions."""
        stem = {GlobalPool: "global_pool", Pool: "pool", Select: "select"}.get(type(self._geometry(node)), "resample")
        name = self._map(self._geometry(node), stem, node.operand)
        return moment if moment == 0 else sp.Function(f"{name}_{end}")(moment)

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
            self._memo[key] = self._record(key, sp.Function(name)(table), "attention", ("logits are deterministic",))
        return self._memo[key]

    def _data(self, p: int, q: int, side: str) -> sp.Expr:
        if (p, q) not in self.data and (q, p) not in self.data:
            names = [self.network.nodes[i].name for i in dict.fromkeys((p, q))]  # type: ignore[union-attr]
            stem = "C_" + "_".join(names) if len(self._inputs()) > 1 else "C"
            symbols = (
                sp.Symbol(stem, real=True),
                *(sp.Symbol(f"{stem}_{i}", nonnegative=p == q, real=True) for i in (1, 2)),
            )
            self.data[p, q] = Data(self.network.nodes[p], self.network.nodes[q], symbols)  # type: ignore[arg-type]
            if p != q:
                swapped = sp.Symbol(f"{stem}_t", real=True), *symbols[1:]
                self.data[q, p] = Data(self.network.nodes[q], self.network.nodes[p], swapped)  # type: ignore[arg-type]
        return self.data[p, q].symbols[(CROSS, FIRST, SECOND).index(side)]

    def _inputs(self) -> list[InputNode]:
        return [node for node in self.network.nodes if isinstance(node, InputNode)]

    # --- tangents -------------------------------------------------------------------------------------------------------

    def tangent(self, p: int, q: int) -> sp.Expr:
        """Inner product of the derivatives by all trained weights, between x and x'."""
        return self._recall("T", p, q, CROSS)

    def _tangent(self, p: int, q: int) -> tuple[sp.Expr, str, tuple[str, ...]]:
        if not self.sources[p] & self.sources[q]:
            return sp.S.Zero, "independence", (f"v{p} and v{q} share no weights",)
        if (linear := self._bilinear(p, q, CROSS, tangent=True)) is not None:
            return linear
        match self.network.nodes[p], self.network.nodes[q]:
            case InputNode(), InputNode():
                return sp.S.Zero, "data", ("the input is not trained",)
            case WeightedNode(layer=layer, operand=x), WeightedNode(operand=y):
                moments = (self._read(p, q, value) for value in (self.second(x, y, CROSS), self.tangent(x, y)))
                return self._fresh(p, layer.tangent(*moments), CROSS), layer.name, (_tied(p, q),)
            case MixingNode(layer=layer, operand=x), MixingNode(operand=y):
                moments = (self._mixed(p, q, value) for value in (self.second(x, y, CROSS), self.tangent(x, y)))
                return layer.tangent(*moments), layer.name, (_tied(p, q),)
            case VectorNode(layer=layer), VectorNode():
                return self._vector(p, layer.variance(), CROSS), layer.name, (_tied(p, q),)
        self._refuse_history(p, q)
        return self._chained(p, q), "chain rule (F2)", ("gradient independence: the readout is fresh",)

    def _refuse_history(self, p: int, q: int) -> None:
        """Two Gaussian values that no rule takes apart: one is the history of a loop through the other's weights."""
        if self.network.laws[p] is Law.GAUSSIAN and self.network.laws[q] is Law.GAUSSIAN:
            raise Underivable(max(p, q), "the value carried by this loop is correlated with the weights used inside it")

    def _chained(self, p: int, q: int) -> sp.Expr:
        total: sp.Expr = sp.S.Zero
        for left, u in self._slopes(p):
            for right, v in self._slopes(q):
                if self.sources[u] & self.sources[v]:
                    total += self._product(p, left, right, CROSS) * self.tangent(u, v)
        return total

    def _slopes(self, p: int) -> list[tuple[list[tuple[Monomial, dict[sp.Symbol, int]]], int]]:
        """(partial derivative as monomials, argument) for each Gaussian argument."""
        function, where = self._function(p)
        found = []
        for symbol, argument in where.items():
            derivative = slope(function, symbol)
            if len(where) == 1:
                self.names.derived(function.subs(symbol, Z), derivative.subs(symbol, Z))
            found.append(([(m, where) for m in monomials(derivative, tuple(where))], argument))
        return found

    # --- nonlinearities -------------------------------------------------------------------------------------------------

    def _expected(self, p: int, q: int, side: str) -> sp.Expr:
        left, right = ([(m, where) for m in monomials(f, tuple(where))] for f, where in map(self._function, (p, q)))
        return self._product(p, left, right, side)

    def _function(self, p: int) -> tuple[sp.Expr, dict[sp.Symbol, int]]:
        """A value as a function of Gaussian nodes; a Gaussian one is the identity of itself."""
        node = self.network.nodes[p]
        if isinstance(node, NonlinearNode):
            return node.function, dict(zip(node.symbols, node.operands, strict=True))
        if self.network.laws[p] is Law.GAUSSIAN:
            return Z, {Z: p}
        raise Underivable(p, "the value carried by this loop is correlated with the weights used inside it")

    def _product(
        self,
        p: int,
        left: list[tuple[Monomial, dict[sp.Symbol, int]]],
        right: list[tuple[Monomial, dict[sp.Symbol, int]]],
        side: str,
    ) -> sp.Expr:
        ends = _ends(side)
        total: sp.Expr = sp.S.Zero
        for f, at_f in left:
            for g, at_g in right:
                factors: Factors = {}
                for end, monomial, where in ((ends[0], f, at_f), (ends[1], g, at_g)):
                    for symbol, function in monomial.factors:
                        variable = (where[symbol], end)
                        other = factors.get(variable, sp.S.One)
                        factors[variable] = other * function
                        self._splits[other * function] = other, function
                try:
                    total += f.coefficient * g.coefficient * expect(factors, self)
                except NotClosed as error:
                    raise Underivable(p, str(error)) from error
        return total

    # the interface of gaussian.product.Gaussians; a variable is (node, side)

    def independent(self, u: tuple[int, str], v: tuple[int, str]) -> bool:
        return not self.sources[u[0]] & self.sources[v[0]]

    def covariance(self, u: tuple[int, str], v: tuple[int, str]) -> sp.Expr:
        if u[1] == v[1]:
            return self.second(u[0], v[0], u[1])
        return self.second(u[0], v[0], CROSS) if u[1] == FIRST else self.second(v[0], u[0], CROSS)

    def single(self, f: sp.Expr, variance: sp.Expr) -> sp.Expr:
        try:
            return mean(f, Z).subs(A, variance)
        except NotClosed:  # E f(u) g(u) of two factors, each of which may have an expectation with itself
            left, right = self._splits.get(f, (sp.S.One, f))
            return self.pair(left, right, sp.S.Zero if left == 1 else variance, variance, variance)

    def pair(self, f: sp.Expr, g: sp.Expr, c: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        dual = self._dual(f, g)
        if isinstance(dual.law, Expectation) and dual.law.value.is_polynomial(C) and dual.law.value.count_ops() < 10:
            return dual.law.value.subs({C: c, A: a, B: b}, simultaneous=True)
        return sp.Function(dual.name)(c, a, b)

    def _dual(self, f: sp.Expr, g: sp.Expr) -> Dual:
        if (f, g) not in self.duals:
            names = dict.fromkeys((self.names.of(f), self.names.of(g)))
            law: Expectation | Series
            try:
                law = expectation(f, g)
            except NotClosed:
                law = series(f, g)
            self.duals[f, g] = Dual("dual_" + "_".join(names), law)
        return self.duals[f, g]

    # --- means ----------------------------------------------------------------------------------------------------------

    def mean(self, p: int, side: str) -> sp.Expr:
        """E of one coordinate at x (side 1) or x' (side 2)."""
        return self._recall("m", p, p, side)

    def _mean(self, p: int, side: str) -> tuple[sp.Expr, str, tuple[str, ...]]:
        match self.network.nodes[p]:
            case ItemNode(operand=h):
                return self.mean(h, side), "scan", ()
            case CombineNode(terms=terms):
                return sp.Add(*(k * self.mean(i, side) for k, i in terms)), "linearity", ()
            case PositionalNode(operand=h) as node:
                return self._moved(node, self.mean(h, side), "left"), node.layer.name, ()
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

    def variances(self) -> list[int]:
        """Nodes whose second moment between x and x' has been asked for."""
        return sorted({p for kind, p, q, side in self._memo if kind == "S" and p == q and side == CROSS})

    def has_own(self, p: int) -> bool:
        """Whether E p^2 of x alone is known or cheap: it is not where it takes a table over pairs of positions."""
        mixes = any(isinstance(n, PositionalNode | MixingNode) for n in self.network.nodes)
        return ("S", p, p, FIRST) in self._memo or not mixes

    # --- memory, loops --------------------------------------------------------------------------------------------------

    def _recall(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        key = (kind, p, q, side)
        if key in self._memo:
            return self._memo[key]
        if kind == "m" and (self.network.laws[p] is Law.GAUSSIAN or isinstance(self.network.nodes[p], WeightedNode)):
            return sp.S.Zero
        if (self.network.scanned(p) or self.network.scanned(q)) and (kind == "m" or self.sources[p] & self.sources[q]):
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

    def _record(self, key: tuple[str, int, int, str], value: sp.Expr, rule: str, premises: tuple[str, ...]) -> sp.Expr:
        if value.is_Symbol or value.is_number or rule in ("data", "independence"):
            return value
        kind, p, q, side = key
        scope = self._deeper(p, q)
        symbol = self._symbol(key)
        span = self.network.nodes[max(p, q)].origin.span
        self.scopes[scope].equations.append(Equation(symbol, value, rule, premises, (kind, p, q, side), span))
        return symbol

    def _symbol(self, key: tuple[str, int, int, str], ending: str = "") -> sp.Symbol:
        """A symbol of its own for each quantity: two under one name would be a wrong number without a trace."""
        name = self._label(key, ending)
        assert self._labels.setdefault(name, key) == key, f"{name} names both {key} and {self._labels[name]}"
        return sp.Symbol(name, real=True)

    def _label(self, key: tuple[str, int, int, str], ending: str) -> str:
        kind, p, q, side = key
        gaussian = all(self.network.laws[i] is Law.GAUSSIAN for i in (p, q))
        stem = {"S": "K" if gaussian else "S", "T": "Theta" if gaussian else "T"}.get(kind, kind)
        return f"{stem}{p}{'' if p == q else f'x{q}'}{ending}{SUFFIX[side] if kind != 'T' else ''}"

    def _loop_of(self, p: int, q: int) -> int | None:
        """The loop whose slot one of the two is, if the pair is one of its states."""
        ends = (i for i in (p, q) if not self.network.scanned(i))
        loops = [n.loop for n in map(self.network.nodes.__getitem__, ends) if isinstance(n, CarriedNode | FinalNode)]
        if not loops:
            return None
        loop = max(loops)
        for index in (p, q):
            node = self.network.nodes[index]
            slot_of_it = isinstance(node, CarriedNode | FinalNode) and node.loop == loop
            if not slot_of_it and (self.network.inside(node.origin.loop, loop) or self._after(index, loop)):
                return None
        return loop

    # --- scans ----------------------------------------------------------------------------------------------------------

    def _scanned(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        """A moment of what a scan carries: the table of the scan's values, moved by one position on the sides carried."""
        nodes = [self.network.nodes[i] for i in (p, q)]
        loop = max(n.loop for n in nodes if isinstance(n, CarriedNode | FinalNode) and self.network.loops[n.loop].scan)
        bases = [self._base(i, loop) for i in (p, q)]
        moved = [isinstance(n, CarriedNode) and n.loop == loop for n in nodes]
        if kind != "m" and side != CROSS and moved[0] != moved[1]:
            return own(self.second(p, q, CROSS))
        symbol, result = self._table(kind, bases[0], bases[1], side, loop)
        if not any(moved):
            inside = any(self.network.inside(n.origin.loop, loop) for n in nodes)
            return symbol if inside else result
        name = self._map(Shift(), "shift", p if moved[0] else q)
        if side != CROSS:
            return sp.Function(f"{name}_left")(symbol)
        if moved[0] != moved[1]:
            self.slow.add(loop)
        for end in [e for e, m in zip(("left", "right"), moved, strict=True) if m]:
            symbol = sp.Function(f"{name}_{end}")(symbol)
        return symbol

    def _base(self, index: int, loop: int) -> int:
        node = self.network.nodes[index]
        if isinstance(node, CarriedNode | FinalNode) and node.loop == loop:
            return self.network.loops[loop].slots[node.slot].following
        return index

    def _table(self, kind: str, p: int, q: int, side: str, loop: int) -> tuple[sp.Symbol, sp.Symbol]:
        """A moment of values of a scan, as found in the turn before, and after the last turn.

        Each turn computes the whole table from the one before. A cell (t, r) that reads (t - 1, r - 1) is right after max(t, r)
        turns; where cells also read (t - 1, r) or (t, r - 1), after t + r - 1.
        """
        if side != CROSS and p < q:
            p, q = q, p
        key = f"scan{kind}", p, q, side
        if key not in self._memo:
            symbol, result = (self._symbol((kind, p, q, side), ending) for ending in ("_before", "_end"))
            self._memo[key] = symbol
            after = self._moment(kind, (p, q), side)
            sizes = [self.network.grids[i][0] for i in ((p, q) if side == CROSS else (p,))]
            start = self._data(*self._any_input(), side)
            initial = zeros(start, *map(sp.Integer, sizes))
            self.scopes[loop].states.append(State(symbol, initial, after, result, (kind, p, q, side)))
        symbol = self._memo[key]
        return symbol, self._symbol((kind, p, q, side), "_end")

    def _any_input(self) -> tuple[int, int]:
        first = next(i for i, n in enumerate(self.network.nodes) if isinstance(n, InputNode))
        return first, first

    def _after(self, index: int, loop: int) -> bool:
        """Whether a node stands after a loop: then it is taken apart first."""
        finals = [i for i, n in enumerate(self.network.nodes) if isinstance(n, FinalNode) and n.loop == loop]
        return bool(finals) and index > max(finals)

    def _deeper(self, p: int, q: int) -> int | None:
        places = [self.network.nodes[i].origin.loop for i in (p, q)]
        return max(places, key=lambda place: -1 if place is None else place)

    def _state(self, key: tuple[str, int, int, str], loop: int) -> sp.Expr:
        """A loop's state: S, T or m of its carried values, or of one with a value from before the loop."""
        kind, p, q, side = key
        ends = [self._ends_of(i, loop) for i in (p, q)]
        inside, before, following = (((ends[0][i], ends[1][i])) for i in range(3))
        symbol = self._symbol((kind, inside[0], inside[1], side))
        result = self._symbol((kind, inside[0], inside[1], side), "_end")
        state_key = (kind, inside[0], inside[1], side)
        if state_key not in self._memo:
            for i, j in {inside, inside[::-1]} if side != CROSS else {inside}:
                self._memo[kind, i, j, side] = symbol
            initial = self._moment(kind, before, side)
            after = self._moment(kind, following, side)
            self.scopes[loop].states.append(State(symbol, initial, after, result, state_key))
        current = any(self._is_carried(i, loop) for i in (p, q))
        return symbol if current else self._memo.setdefault(key, result)

    def _is_carried(self, index: int, loop: int) -> bool:
        node = self.network.nodes[index]
        return isinstance(node, CarriedNode) and node.loop == loop

    def _moment(self, kind: str, pair: tuple[int, int], side: str) -> sp.Expr:
        if kind == "S":
            return self.second(pair[0], pair[1], side)
        return self.tangent(pair[0], pair[1]) if kind == "T" else self.mean(pair[0], side)

    def _ends_of(self, index: int, loop: int) -> tuple[int, int, int]:
        """(inside, before, at the end of a turn) of a slot; three times itself for a value from before the loop."""
        node = self.network.nodes[index]
        if not (isinstance(node, CarriedNode | FinalNode) and node.loop == loop):
            return index, index, index
        slot = self.network.loops[loop].slots[node.slot]
        return self.network.carried(loop, node.slot), slot.initial, slot.following


def _tied(p: int, q: int) -> str:
    return f"v{p} and v{q} use the same weights"


def _ends(side: str) -> tuple[str, str]:
    return (FIRST, SECOND) if side == CROSS else (side, side)
