"""What was meant, as the certificate states it, and the facts that the rules rest on: shared weights, Gaussian values."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

MIXES = ("Dense", "Conv", "ConvLocal", "ConvTranspose", "Embedding")
"""Layers that sum over infinitely many channels with independent Gaussian weights (Yang 2019: the sum is Gaussian)."""
Source = tuple[str, bool]
"""Weights, and whether they are those of an earlier turn of the loop that made them."""


@dataclass(frozen=True)
class Statement:
    """The network of a certificate."""

    data: dict[str, Any]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        return self.data["nodes"]  # type: ignore[no-any-return]

    @property
    def loops(self) -> list[dict[str, Any]]:
        return self.data["loops"]  # type: ignore[no-any-return]

    @property
    def batches(self) -> bool:
        """Whether the first positions are the samples of a batch, over which outputs are not averaged."""
        return any(node["class"] == "JointNode" for node in self.nodes)

    def kind(self, i: int) -> str:
        return str(self.nodes[i]["class"])

    def layer(self, i: int) -> dict[str, Any]:
        return self.nodes[i]["layer"]  # type: ignore[no-any-return]

    def grid(self, i: int) -> tuple[int | None, ...]:
        """The positions of a value that layers see, without the samples of a batch."""
        return tuple(self.data["grids"][i])[int(self.batches) :]

    def carries(self, i: int, scan: bool | None = None) -> bool:
        """Whether a node is what a loop (a `scan`, or a `repeat`) carries, inside of it or after it."""
        inside = self.kind(i) in ("CarriedNode", "FinalNode")
        return inside and (scan is None or bool(self.loops[self.nodes[i]["loop"]]["scan"]) == scan)

    def slot(self, i: int) -> dict[str, Any]:
        node = self.nodes[i]
        return self.loops[node["loop"]]["slots"][node["slot"]]  # type: ignore[no-any-return]

    def operands(self, i: int) -> list[int]:
        node = self.nodes[i]
        if "parts" in node or "terms" in node:
            return [operand for _, operand in node.get("parts") or node["terms"]]
        return list(node["operands"]) if "operands" in node else [node["operand"]] if "operand" in node else []

    def carried(self, loop: int, slot: int) -> int:
        """The node of a slot at the start of a turn."""
        return next(i for i, n in enumerate(self.nodes) if n["class"] == "CarriedNode" and (n["loop"], n["slot"]) == (loop, slot))

    def before(self, i: int) -> list[int]:
        """What the positions of a carried value come from: its value before a `repeat`, the sequences that a `scan` walks."""
        return sorted(self._walked(i, set())) if self.carries(i, scan=True) else [self.slot(i)["initial"]]

    def _walked(self, i: int, seen: set[int]) -> set[int]:
        """Those whose items a value of a scan is made of; a sequence of zeros with a first state is none."""
        if i in seen:
            return set()
        seen.add(i)
        if self.kind(i) == "ItemNode":
            h = self.nodes[i]["operand"]
            begins = self.kind(h) == "PositionalNode" and self.layer(h)["class"] == "Begin"
            return set() if begins else {h}
        inside = [self.slot(i)["following"]] if self.carries(i, scan=True) else self.operands(i)
        return set().union(*(self._walked(h, seen) for h in inside))

    def chosen(self, i: int) -> set[tuple[int, int]]:
        """Of which sequences a value reads single positions, and which."""
        whole = self.kind(i) == "PositionalNode" and self.layer(i)["class"] in ("Slice", "Step")
        if whole and len(self.layer(i)["indices"]) == 1 and isinstance(self.layer(i)["indices"][0], int):
            return {(self.nodes[i]["operand"], self.layer(i)["indices"][0])}
        return set().union(*(self.chosen(h) for h in self.operands(i)))

    @cached_property
    def sources(self) -> list[frozenset[Source]]:
        """Which weights each value is made of, not looking through layers: values that share none are independent, given their
        layers' inputs' second moments, which are deterministic. The least fixed point over the loops."""
        found: list[frozenset[Source]] = [frozenset()] * len(self.nodes)
        while True:
            before = list(found)
            for i in range(len(found)):
                found[i] = self._made_of(i, found)
            if found == before:
                return found

    def _made_of(self, i: int, found: list[frozenset[Source]]) -> frozenset[Source]:
        node = self.nodes[i]
        if node["class"] == "InputNode":
            return frozenset({("the input", False)})
        if self.encodes(i):
            return frozenset({("the sinusoids", False)})
        if "weight" in node:
            return frozenset({(str(node["weight"]), False)})
        if self.carries(i):
            slot, loop = self.slot(i), node["loop"]
            after = found[int(slot["following"])]
            if self.loops[loop]["scan"]:
                return after
            older = frozenset((w, past or self._made_in(w, loop)) for w, past in after)
            return older | (found[slot["initial"]] if node["class"] == "CarriedNode" else frozenset())
        return frozenset().union(*(found[j] for j in self.operands(i)))

    def normalization(self, i: int) -> int | None:
        """The normalization over the batch that a value is, or is a function of."""
        if self.kind(i) == "JointNode":
            return i
        inside = self.operands(i) if self.kind(i) == "NonlinearNode" else []
        return next((h for h in inside if self.kind(h) == "JointNode"), None)

    def encodes(self, i: int) -> bool:
        """Whether a node is fixed sinusoids, the same in every layer of them."""
        return self.kind(i) == "VectorNode" and bool(self.layer(i)["kind"] == "fixed")

    def _made_in(self, weight: str, loop: int) -> bool:
        """Whether weights are fresh at each turn of a loop."""
        home = next((n["home"] for n in self.nodes if n.get("weight") == weight), None)
        while home is not None and home != loop:
            home = self.loops[home]["parent"]
        return home == loop

    def independent(self, p: int, q: int) -> bool:
        return not self.sources[p] & self.sources[q]

    @cached_property
    def gaussian(self) -> list[bool]:
        """Whether each coordinate is Gaussian and jointly so with all others of these: the greatest fixed point."""
        found = [True] * len(self.nodes)
        while True:
            before = list(found)
            for i in range(len(found)):
                found[i] = self._is_gaussian(i, found)
            if found == before:
                return found

    def _is_gaussian(self, i: int, found: list[bool]) -> bool:
        node = self.nodes[i]
        match node["class"]:
            case "WeightedNode":
                return node["layer"]["class"] in MIXES
            case "MixingNode":
                return True
            case "VectorNode":
                return not self.encodes(i)
            case "MapNode":
                keeps = node["layer"]["class"] in ("Flatten", "Unflatten") or node["layer"].get("affine") is False
                return keeps and found[node["operand"]]
            case "CombineNode" | "PositionalNode" | "ItemNode":
                return all(found[j] for j in self.operands(i))
            case "CarriedNode" | "FinalNode":
                slot = self.slot(i)
                return bool(found[slot["following"]] and (slot["initial"] < 0 or found[slot["initial"]]))
        return False
