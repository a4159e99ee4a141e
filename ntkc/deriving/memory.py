"""What a derivation remembers: the equations recorded so far, and one name for each quantity."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from ntkc.deriving.sources import Sources, sources
from ntkc.gaussian.names import Names
from ntkc.ir.geometry import Geometry, Grid
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.network import InputNode, JointNode, Law, MixingNode, Network, PositionalNode
from ntkc.ir.normalization import Normalization
from ntkc.ir.recursion import Data, Dual, Equation, State
from ntkc.ir.sinusoids import Sinusoids

CROSS, FIRST, SECOND = "12", "1", "2"
SUFFIX = {CROSS: "", FIRST: "_1", SECOND: "_2"}
Key: TypeAlias = tuple[str, int, int, str]
Finding: TypeAlias = tuple[sp.Expr, str, tuple[str, ...]]
"""A value, the rule it comes from, and what the rule rests on."""


class Underivable(Exception):
    """No rule applies; names the node that is at fault, and the loop whose turns are correlated in a way that its states do not
    tell, if it is that; `help` is a cure of its own, and `sampled` says that to sample it is one."""

    def __init__(self, node: int, reason: str, loop: int | None = None, help: str = "", sampled: bool = False) -> None:
        self.node, self.reason, self.loop, self.help, self.sampled = node, reason, loop, help, sampled
        super().__init__(reason)


@dataclass
class Scope:
    """Equations of one loop body, or of the top level."""

    equations: list[Equation] = field(default_factory=list)
    states: list[State] = field(default_factory=list)


class Memory(ABC):
    """`second`, `tangent` and `mean` give an expression in the symbols of the equations recorded on the way."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.sources: Sources = sources(network)
        self.names = Names(dict(network.functions))
        self.scopes: dict[int | None, Scope] = {None: Scope(), **{i: Scope() for i in range(len(network.loops))}}
        self.duals: dict[tuple[sp.Expr, sp.Expr], Dual] = {}
        self.data: dict[tuple[int, int], Data] = {}
        self._memo: dict[Key, sp.Expr] = {}
        self._labels: dict[str, Key] = {}
        self.maps: dict[tuple[Geometry | MixingMatrix | Sinusoids | Normalization, Grid], str] = {}
        self.slow: set[int] = set()
        """Scans with moments between different steps of what is carried and what is not."""
        self._splits: dict[sp.Expr, tuple[sp.Expr, sp.Expr]] = {}

    def _map(self, geometry: Geometry | MixingMatrix | Sinusoids | Normalization, stem: str, operand: int) -> str:
        """The name of a map over positions."""
        whole = isinstance(geometry, Normalization)
        grid = self.network.grids[operand] if whole else self.network.grid(operand)
        return self.maps.setdefault((geometry, grid), f"{stem}{len(self.maps)}")

    @abstractmethod
    def _recall(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        """A quantity, by the rules unless it is known."""

    def second(self, p: int, q: int, side: str) -> sp.Expr:
        """E of p at the first and q at the second place of the side (x and x', x and x, or x' and x')."""
        if side != CROSS and p < q:
            p, q = q, p
        return self._recall("S", p, q, side)

    def tangent(self, p: int, q: int) -> sp.Expr:
        """Inner product of the derivatives by all trained weights, between x and x'."""
        return self._recall("T", p, q, CROSS)

    def mean(self, p: int, side: str) -> sp.Expr:
        """E of one coordinate at x (side 1) or x' (side 2)."""
        return self._recall("m", p, p, side)

    def _moment(self, kind: str, pair: tuple[int, int], side: str) -> sp.Expr:
        if kind == "S":
            return self.second(pair[0], pair[1], side)
        return self.tangent(pair[0], pair[1]) if kind == "T" else self.mean(pair[0], side)

    def _data(self, p: int, q: int, side: str) -> sp.Expr:
        if (p, q) not in self.data and (q, p) not in self.data:
            self._need_alike(p, q)
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

    def _need_alike(self, p: int, q: int) -> None:
        """The emitted code takes second moments between inputs of equal shape."""
        sizes = {self.network.grids[i] for i in (p, q)}
        if len(sizes) > 1 and not any(None in grid for grid in sizes):
            help = "declare both inputs with the same positions; shorter sequences come padded, with a mask"
            raise Underivable(q, "the same weights read another input, which has other positions", help=help)

    def _inputs(self) -> list[InputNode]:
        return [node for node in self.network.nodes if isinstance(node, InputNode)]

    def _any_input(self) -> tuple[int, int]:
        first = next(i for i, n in enumerate(self.network.nodes) if isinstance(n, InputNode))
        return first, first

    def variances(self) -> list[int]:
        """Nodes whose second moment between x and x' has been asked for."""
        return sorted({p for kind, p, q, side in self._memo if kind == "S" and p == q and side == CROSS})

    def has_own(self, p: int) -> bool:
        """Whether E p^2 of x alone is known or cheap: it is not where it takes a table over pairs of positions."""
        mixes = any(isinstance(n, PositionalNode | MixingNode | JointNode) for n in self.network.nodes)
        return ("S", p, p, FIRST) in self._memo or not mixes

    def _record(self, key: Key, value: sp.Expr, rule: str, premises: tuple[str, ...]) -> sp.Expr:
        if value.is_Symbol or value.is_number or rule in ("data", "independence"):
            return value
        kind, p, q, side = key
        scope = self._deeper(p, q)
        symbol = self._symbol(key)
        span = self.network.nodes[max(p, q)].origin.span
        self.scopes[scope].equations.append(Equation(symbol, value, rule, premises, (kind, p, q, side), span))
        return symbol

    def _symbol(self, key: Key, ending: str = "") -> sp.Symbol:
        """A symbol of its own for each quantity: two under one name would be a wrong number without a trace."""
        name = self._label(key, ending)
        assert self._labels.setdefault(name, key) == key, f"{name} names both {key} and {self._labels[name]}"
        return sp.Symbol(name, real=True)

    def _label(self, key: Key, ending: str) -> str:
        kind, p, q, side = key
        gaussian = all(self.network.laws[i] is Law.GAUSSIAN for i in (p, q))
        stem = {"S": "K" if gaussian else "S", "T": "Theta" if gaussian else "T"}.get(kind, kind)
        return f"{stem}{p}{'' if p == q else f'x{q}'}{ending}{SUFFIX[side] if kind != 'T' else ''}"

    def _deeper(self, p: int, q: int) -> int | None:
        places = [self.network.nodes[i].origin.loop for i in (p, q)]
        return max(places, key=lambda place: -1 if place is None else place)


def ends(side: str) -> tuple[str, str]:
    """Where the two values of a pair are taken."""
    return (FIRST, SECOND) if side == CROSS else (side, side)


def tied(p: int, q: int) -> str:
    """A premise."""
    return f"v{p} and v{q} use the same weights"
