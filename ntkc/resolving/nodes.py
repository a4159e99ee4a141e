"""The nodes of the network under construction, and what is known of each."""

from dataclasses import dataclass

import sympy as sp

from ntkc.ir.geometry import Grid
from ntkc.ir.network import CombineNode, Law, Loop, Node, Origin, Slot
from ntkc.source import Span


@dataclass(frozen=True, slots=True)
class Place:
    """The index grid of a value's positions, and whether they have become channels."""

    grid: Grid = ()
    flat: bool = False
    scan: int | None = None
    """The scan whose step this is a value of; its positions are the steps."""

    @property
    def vector(self) -> bool:
        """Whether layers see one vector here."""
        return not self.grid or self.flat or self.scan is not None


class Nodes:
    """Grows the nodes; `laws`, `places` and `widths` run parallel to them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.laws: list[Law] = []
        self.places: list[Place] = []
        self.widths: list[int | None] = []
        self.loops: list[Loop | None] = []
        self.loop: int | None = None
        self.sampled: Span | None = None
        self.masked = False
        self.rows: dict[int, list[sp.Expr]] = {}
        """The values at each position, of sequences that were put together of vectors."""
        self._symbols: dict[sp.Symbol, int] = {}
        self._made: dict[tuple[sp.Expr, int | None], int] = {}
        self._uses: dict[tuple[sp.Symbol, sp.Symbol, int | None], int] = {}

    def symbol(self, index: int) -> sp.Symbol:
        name = sp.Symbol(f"v{index}", real=True)
        self._symbols[name] = index
        return name

    def reads(self, value: sp.Expr) -> list[sp.Symbol]:
        """The node symbols in a value, in node order; none for a number."""
        return sorted((s for s in value.free_symbols if s in self._symbols), key=lambda s: self._symbols[s])

    def node(self, symbol: sp.Symbol) -> int:
        return self._symbols[symbol]

    def law(self, symbol: sp.Symbol) -> Law:
        return self.laws[self._symbols[symbol]]

    def blank(self, width: int | None, span: Span) -> sp.Expr:
        """A vector of zeros: a sum of nothing."""
        return self._add(CombineNode((), self._origin(span)), Law.GAUSSIAN, Place(), width)

    def without_blanks(self, value: sp.Expr) -> sp.Expr:
        """The value with 0 for vectors of zeros, unless nothing else is left."""
        blanks = [s for s in self.reads(value) if isinstance(n := self.nodes[self._symbols[s]], CombineNode) and not n.terms]
        rest = value.xreplace(dict.fromkeys(blanks, sp.S.Zero))
        return rest if self.reads(rest) else value

    def place(self, value: sp.Expr) -> Place:
        """The index grid of a value."""
        symbols = self.reads(value)
        return self.places[self._symbols[symbols[0]]] if symbols else Place()

    def width(self, value: sp.Expr) -> int | None:
        """The nominal number of channels: that of any operand that tells, since all have the same."""
        widths = (self.widths[self._symbols[s]] for s in self.reads(value))
        return next((width for width in widths if width is not None), None)

    def by_normalization(self, value: sp.Expr) -> list[sp.Expr]:
        """What is a function of one normalized value is a part by itself: a rule covers no two."""
        parts: dict[sp.Symbol | None, sp.Expr] = {}
        for term in sp.Add.make_args(value):
            read = self.reads(term)
            alone = read[0] if len(read) == 1 and self.law(read[0]) is Law.NORMALIZED else None
            parts[alone] = parts.get(alone, sp.S.Zero) + term
        return list(parts.values())

    def open_loop(self) -> int:
        self.loops.append(None)
        self.loop = len(self.loops) - 1
        return self.loop

    def close_loop(
        self, loop: int, count: int, slots: tuple[Slot, ...], parent: int | None, span: Span, scan: bool = False
    ) -> None:
        self.loops[loop] = Loop(count, slots, parent, span, scan)
        self.loop = parent

    def checkpoint(self) -> tuple[int, int, int | None]:
        return len(self.nodes), len(self.loops), self.loop

    def rollback(self, point: tuple[int, int, int | None]) -> None:
        """Forget what was built since the checkpoint."""
        count, loops, self.loop = point
        del self.nodes[count:], self.laws[count:], self.places[count:], self.widths[count:], self.loops[loops:]
        self._symbols = {s: i for s, i in self._symbols.items() if i < count}
        self._made = {key: i for key, i in self._made.items() if i < count}
        self._uses = {key: i for key, i in self._uses.items() if i < count}
        self.rows = {i: row for i, row in self.rows.items() if i < count}

    def _origin(self, span: Span) -> Origin:
        return Origin(span, self.loop)

    def _add(self, node: Node, law: Law, place: Place, width: int | None) -> sp.Symbol:
        self.nodes.append(node)
        self.laws.append(law)
        self.places.append(place)
        self.widths.append(width)
        return self.symbol(len(self.nodes) - 1)
