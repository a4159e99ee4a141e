"""The network under construction. A value in the program is a SymPy expression in the symbols of the nodes it reads, so that
elementwise arithmetic, however it is written, gathers itself; it becomes a node where a layer, a loop or an output needs one.
"""

from dataclasses import replace

import sympy as sp
from sympy.core.function import Application

from ntkc.ir.geometry import BadGrid, Given, Grid, Select
from ntkc.ir.layer import Joint, Layer, Map, Mixing, Positional, Unflatten, Vector, Weighted
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    ItemNode,
    JointNode,
    Law,
    MapNode,
    MixingNode,
    NonlinearNode,
    PositionalNode,
    Type,
    VectorNode,
    WeightedNode,
)
from ntkc.layers.join import Begin, axis_names
from ntkc.resolving.needs import Needs
from ntkc.resolving.nodes import Place
from ntkc.resolving.numbers import is_linear
from ntkc.resolving.problem import SAMPLE_IT, fail
from ntkc.source import Span


class Builder(Needs):
    """What layers, functions and loops make of values. Where expectations are sampled, nonlinearities may stand on any value."""

    def input(self, name: str, type: Type, span: Span, adjacency: str = "") -> sp.Expr:
        law = Law.TOKENS if type.tokens else Law.DATA
        return self._add(InputNode(name, type, self._origin(span), adjacency), law, Place(type.positions), type.channels)

    def weighted(self, layer: Weighted, weight: str, home: int | None, value: sp.Expr, span: Span) -> sp.Expr:
        operand = self.materialize(value, span)
        place = self.places[operand]
        self._need_numbers(operand, span, layer)
        if place.flat and not layer.reads_flat:
            fail(
                "no-positions", f"`{layer.name}` needs positions", span, "this value is flattened: its positions are channels now"
            )
        if place.scan is not None:
            self._grid(layer, (), span)
            grid = place.grid
        else:
            grid = () if place.flat else self._grid(layer, place.grid, span)
        self.need_same_fan_in(weight, operand, span)
        key = (sp.Symbol(weight), sp.Symbol(f"v{operand}"), self.loop)
        if key not in self._uses:  # the same weights at the same value are the same node
            width: int | None = getattr(layer, "width", None)
            node = WeightedNode(layer, weight, home, operand, self._origin(span))
            law = Law.GAUSSIAN if layer.gaussian else Law.FUNCTION
            width = width if layer.gaussian else self.widths[operand]
            self._uses[key] = self._symbols[self._add(node, law, Place(grid, scan=place.scan), width)]
        return self.symbol(self._uses[key])

    def _grid(self, layer: Layer, grid: Grid, span: Span) -> Grid:
        try:
            return layer.grid(grid)
        except BadGrid as error:
            fail("bad-positions", f"`{layer.name}` cannot be applied here", span, str(error))

    def mapped(self, layer: Map, value: sp.Expr, span: Span) -> sp.Expr:
        operand = self.materialize(value, span)
        law, place = self.laws[operand], self.places[operand]
        self._need_numbers(operand, span)
        law = law if law is Law.DATA or layer.keeps_gaussian else Law.FUNCTION
        if problem := layer.misfit(() if place.vector else axis_names(len(place.grid))):
            fail("bad-argument", f"`{layer.name}`: {problem}", span)
        if layer.flattens:
            if place.vector:
                return value
            place = replace(place, flat=True)
        if layer.everywhere and not place.vector:  # statistics over positions, too
            wide = replace(place, flat=True)
            self._add(MapNode(Unflatten(), operand, self._origin(span)), self.laws[operand], wide, None)
            self._add(MapNode(layer, len(self.nodes) - 1, self._origin(span)), law, wide, self.widths[operand])
            operand, layer = len(self.nodes) - 1, Unflatten()
        return self._add(MapNode(layer, operand, self._origin(span)), law, place, self.widths[operand])

    def positional(self, layer: Positional, value: sp.Expr, span: Span) -> sp.Expr:
        operand = self.materialize(value, span)
        law, place = self.laws[operand], self.places[operand]
        if place.vector and layer.identity_on_vectors:
            return value
        self._need_positions(layer, place, span)
        grid = self._grid(layer, place.grid, span)
        geometry = layer.geometry(place.grid)
        steps = operand in self.rows and not self.masked  # under a mask the last one present depends on the sample
        if steps and isinstance(geometry, Select) and isinstance(geometry.axes[0], int):
            return self.rows[operand][geometry.axes[0]]
        if not isinstance(geometry, Select):
            self._need_numbers(operand, span)
        if isinstance(geometry, Given):
            self._need_graph(layer, geometry.name, place, span)
        return self._add(PositionalNode(layer, operand, self._origin(span)), law, Place(grid), self.widths[operand])

    def joint(self, layer: Joint, value: sp.Expr, span: Span) -> sp.Expr:
        """A function of all samples and positions of each channel."""
        operand = self.materialize(value, span)
        place = self.places[operand]
        if self.laws[operand] is Law.DATA:
            self._refuse(self.symbol(operand), span)
        law = Law.FUNCTION if self.sampled else Law.NORMALIZED
        if not self.sampled and (reason := layer.unclosed_of(self.laws[operand] is Law.GAUSSIAN, not place.vector)):
            fail("no-closed-form", f"`{layer.name}` has no closed form here", span, reason, SAMPLE_IT)
        if layer.needs_positions:
            self._need_positions(layer, place, span)
        place = place if place.vector else replace(place, grid=self._grid(layer, place.grid, span))
        return self._add(JointNode(layer, operand, self._origin(span)), law, place, self.widths[operand])

    def mixing(self, layer: Mixing, weight: str, value: sp.Expr, span: Span) -> sp.Expr:
        operand = self.materialize(value, span)
        place = self.places[operand]
        self._need_numbers(operand, span)
        self._need_positions(layer, place, span)
        node = MixingNode(layer, weight, self.loop, operand, self._origin(span))
        return self._add(node, Law.GAUSSIAN, place, getattr(layer, "width", None))

    def vector(self, layer: Vector, weight: str, value: sp.Expr, span: Span) -> sp.Expr:
        """The value with a trained vector added at each position."""
        like = self.materialize(value, span)
        place = self.places[like]
        if place.flat or (None in place.grid):
            fail("bad-positions", f"`{layer.name}` cannot be applied here", span, "the number of positions must be known")
        if self.laws[like] is Law.DATA:
            self._refuse(self.reads(value)[0], span, mixed=True)
        self._grid(layer, () if place.vector else place.grid, span)
        node = VectorNode(layer, weight, self.loop, like, self._origin(span))
        return value + self._add(node, Law.FUNCTION if layer.fixed else Law.GAUSSIAN, place, self.widths[like])

    def concat(self, values: list[sp.Expr], shares: list[sp.Expr], span: Span) -> sp.Expr:
        """Channels side by side."""
        operands = [self.materialize(value, span) for value in values]
        self._same_place([self.symbol(i) for i in operands], span)
        laws = {self.laws[i] for i in operands}
        if Law.DATA in laws:
            raw = next(v for v, i in zip(values, operands, strict=True) if self.laws[i] is Law.DATA)
            self._refuse(self.reads(raw)[0], span, mixed=True)
        parts = tuple(zip(shares, operands, strict=True))
        widths = [self.widths[i] for i in operands]
        total = None if None in widths else sum(w for w in widths if w)
        return self._add(ConcatNode(parts, self._origin(span)), Law.FUNCTION, self.places[operands[0]], total)

    def _same_place(self, symbols: list[sp.Symbol], span: Span) -> None:
        places = list(dict.fromkeys(self.places[self._symbols[s]] for s in symbols))
        if len(places) > 1:
            shown = " and ".join(_shown(place) for place in places[:2])
            fail(
                "shape-mismatch",
                "values with different positions are combined",
                span,
                shown,
                "pool, flatten or slice one of them",
            )

    def carried(self, loop: int, slot: int, law: Law, place: Place, width: int | None, span: Span) -> sp.Expr:
        """What a loop carries, at the start of a turn or step."""
        return self._add(CarriedNode(loop, slot, self._origin(span)), law, place, width)

    def begun(self, count: int, value: sp.Expr, span: Span) -> sp.Expr:
        """A vector as the first state of a scan."""
        operand = self.materialize(value, span)
        self._need_numbers(operand, span)
        if self.laws[operand] is Law.DATA:
            self._refuse(self.reads(value)[0], span, mixed=True)
        node = PositionalNode(Begin(count), operand, self._origin(span))
        return self._add(node, self.laws[operand], Place((count,)), self.widths[operand])

    def item(self, loop: int, value: sp.Expr, span: Span) -> sp.Expr:
        """A sequence at the step of a scan."""
        operand = self.materialize(value, span)
        place = replace(self.places[operand], scan=loop)
        return self._add(ItemNode(loop, operand, self._origin(span)), self.laws[operand], place, self.widths[operand])

    def final(self, loop: int, slot: int, following: int, span: Span) -> sp.Expr:
        node = FinalNode(loop, slot, self._origin(span))
        return self._add(node, self.laws[following], replace(self.places[following], scan=None), self.widths[following])

    def apply(self, function: sp.Expr, dummies: tuple[sp.Symbol, ...], values: tuple[sp.Expr, ...], span: Span) -> sp.Expr:
        """A scalar function of values; a sum under it becomes one Gaussian argument."""
        arguments = [self._argument(value, span) for value in values]
        return function.subs(dict(zip(dummies, arguments, strict=True)), simultaneous=True)

    def materialize(self, value: sp.Expr, span: Span) -> int:
        """The node of a value."""
        symbols = self.reads(value)
        if not symbols:
            fail("no-value", "a number cannot stand for a value of the network here", span, "this is a number")
        if value in self._symbols:
            return self._symbols[value]
        if (rest := self.without_blanks(value)) != value:
            return self.materialize(rest, span)
        key = (value, self.loop)
        if key not in self._made:
            self._made[key] = self._gathered(sp.expand(value), symbols, span)
        return self._made[key]

    def _argument(self, value: sp.Expr, span: Span) -> sp.Expr:
        """A linear combination of several Gaussians is one Gaussian."""
        symbols = self.reads(value)
        gaussian = len(symbols) > 1 and is_linear(value, symbols) and all(self.law(s) is Law.GAUSSIAN for s in symbols)
        if gaussian or (self.sampled and symbols and value.has(Application)):
            return self.symbol(self.materialize(value, span))
        return value

    def _gathered(self, value: sp.Expr, symbols: list[sp.Symbol], span: Span) -> int:
        self._same_place(symbols, span)
        self._need_same_width(symbols, span)
        for symbol in symbols:
            self._need_numbers(self._symbols[symbol], span)
        if any(isinstance(self.nodes[self._symbols[s]], ConcatNode) for s in symbols):
            return self._by_parts(value, symbols, span)
        if is_linear(value, symbols):
            return self._combine({s: value.coeff(s) for s in symbols}, span)
        closed = (Law.GAUSSIAN, Law.FUNCTION) if self.sampled else (Law.GAUSSIAN, Law.NORMALIZED)
        others = {s: value.coeff(s) for s in symbols if self.law(s) not in closed}
        rest = sp.expand(value - sp.Add(*(k * s for s, k in others.items())))
        for symbol in others:
            if rest.has(symbol) or any(self.reads(k) for k in others.values()):
                self._refuse(symbol, span)
        parts = self.by_normalization(rest)
        if not others and len(parts) == 1:
            return self._nonlinear(rest, self.reads(rest), span)
        nodes = [self._nonlinear(part, self.reads(part), span) for part in parts]
        return self._combine({**{self.symbol(i): sp.S.One for i in nodes}, **others}, span)

    def _by_parts(self, value: sp.Expr, symbols: list[sp.Symbol], span: Span) -> int:
        """What acts on each channel acts on each part of a concatenation."""
        parts = [n.parts if isinstance(n := self.nodes[self._symbols[s]], ConcatNode) else () for s in symbols]
        if len({tuple(k for k, _ in p) for p in parts}) > 1:
            fail(
                "shape-mismatch",
                "values with different channels are combined",
                span,
                "one is a concatenation, or of other widths",
            )
        columns = [
            value.xreplace({s: self.symbol(p[i][1]) for s, p in zip(symbols, parts, strict=True)}) for i in range(len(parts[0]))
        ]
        return self._symbols[self.concat(columns, [k for k, _ in parts[0]], span)]

    def _nonlinear(self, function: sp.Expr, symbols: list[sp.Symbol], span: Span) -> int:
        dummies = tuple(sp.Symbol(f"z{i}", real=True) for i in range(len(symbols)))
        body = function.xreplace(dict(zip(symbols, dummies, strict=True)))
        node = NonlinearNode(body, dummies, tuple(self._symbols[s] for s in symbols), self._origin(span))
        return self._symbols[self._add(node, Law.FUNCTION, self.place(function), self.width(function))]

    def _combine(self, terms: dict[sp.Symbol, sp.Expr], span: Span) -> int:
        laws = {self.law(s) for s in terms}
        if Law.DATA in laws and len(laws) > 1:
            raw = next(s for s in terms if self.law(s) is Law.DATA)
            self._refuse(raw, span, mixed=True)
        law = Law.FUNCTION if laws & {Law.FUNCTION, Law.NORMALIZED} else laws.pop()
        pairs = tuple((k, self._symbols[s]) for s, k in terms.items())
        width = self.width(sp.Add(*terms))
        place = self.places[pairs[0][1]]
        return self._symbols[self._add(CombineNode(pairs, self._origin(span)), law, place, width)]

    def _refuse(self, symbol: sp.Symbol, span: Span, mixed: bool = False) -> None:
        if mixed:
            fail(
                "raw-plus-hidden",
                "raw input is added to hidden channels",
                span,
                "the two have different numbers of channels, so the sum has no infinite-width limit",
                "pass the input through a `dense` layer of its own first",
            )
        if self.law(symbol) is Law.DATA:
            fail(
                "nonlinear-input",
                "a nonlinearity is applied to raw input",
                span,
                "this value comes from the input with no weighted layer in between",
                "put a linear layer before it, such as `dense`",
            )
        fail(
            "not-gaussian",
            "a nonlinearity is applied to a value that is not Gaussian",
            span,
            "no layer has mixed its channels since the last nonlinearity, product or gain",
            f"put a `dense` layer before it, or {SAMPLE_IT}",
        )


def _shown(place: Place) -> str:
    if not place.grid:
        return "a vector"
    return ("flattened " if place.flat else "") + " x ".join("_" if n is None else str(n) for n in place.grid) + " positions"
