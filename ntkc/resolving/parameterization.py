"""What a layer needs to know of the network around it: its parameterization, its fan-in, its number of taps."""

import math
from dataclasses import fields, replace
from typing import TypeVar

import sympy as sp

from ntkc.diagnostics import Diagnostic
from ntkc.ir.geometry import BadGrid
from ntkc.ir.layer import Layer, Mixing, Weighted
from ntkc.ir.network import MixingNode, WeightedNode
from ntkc.resolving.nodes import Nodes
from ntkc.resolving.problem import fail
from ntkc.source import Span

UNKNOWN_WIDTH = (
    "unknown-width",
    "the standard parameterization needs the number of input channels",
    "the width of this layer's input is not known",
    "give `width=` to the layer before it",
)
AnyLayer = TypeVar("AnyLayer", bound=Layer)


class Parameterization(Nodes):
    """Fills in the fields of these names, `parameterization`, `fan_in` and `taps`, in layers that have them."""

    def parameterized(self, layer: AnyLayer, standard: bool, span: Span, **known: int | None) -> AnyLayer:
        """The layer with its parameterization settled."""
        kind = getattr(layer, "parameterization", None) or ("standard" if standard else "ntk")
        names = {f.name for f in fields(layer)}
        if kind == "standard" and "parameterization" not in names:
            label = "its tangent kernel is that of the ntk parameterization"
            fail("not-supported-yet", f"not supported yet: {layer.name} under `standard`", span, label)
        settled = {name: value for name, value in {"parameterization": kind, **known}.items() if name in names}
        return replace(layer, **settled)

    def with_fan_in(self, layer: Weighted, value: sp.Expr, standard: bool, span: Span) -> Weighted:
        """The same for a layer with weights, with its nominal fan-in where the parameterization asks for one."""
        layer = self.parameterized(layer, standard, span)
        place, width = self.place(value), self.width(value)
        if layer.reads_tokens:
            return self.parameterized(layer, standard, span, fan_in=width)
        if place.flat and None in place.grid:
            width = None
        positions = math.prod(n or 1 for n in place.grid) if place.flat else 1
        try:
            taps = 1 if place.vector else layer.counted(place.grid)
        except BadGrid:  # said with its span where the layer is applied
            taps = 1
        by_width = getattr(layer, "parameterization", None) == "standard" and width is not None
        return self.parameterized(
            layer, standard, span, fan_in=width * positions * taps if by_width and width else None, taps=taps
        )

    def with_widths(self, layer: Mixing, value: sp.Expr, standard: bool, span: Span) -> Mixing:
        """The same for attention, whose matrices read the operand and each other."""
        layer = self.parameterized(layer, standard, span, fan_in=self.width(value))
        if getattr(layer, "parameterization", "") == "standard" and getattr(layer, "width", None) is None:
            label, help = "its own width is not known", "give it `width=`"
            fail("unknown-width", "the standard parameterization needs the width of the layer", span, label, help)
        if getattr(layer, "parameterization", "") == "standard" and layer.random_logits() is not None:
            label = "its logits stay random, and the tangents of queries and keys with them"
            fail("not-supported-yet", f"not supported yet: {layer.name} over sqrt(d) under `standard`", span, label)
        return layer

    def unknown_widths(self) -> list[Diagnostic]:
        """Layers whose fan-in is asked for and not known, once all loops have settled what they carry."""
        nodes = [n for n in self.nodes if isinstance(n, WeightedNode | MixingNode)]
        layers = [(n.layer, n.origin.span) for n in nodes if not getattr(n.layer, "reads_tokens", False)]
        unknown = [s for x, s in layers if getattr(x, "parameterization", "") == "standard" and getattr(x, "fan_in", 0) is None]
        return [Diagnostic(*UNKNOWN_WIDTH[:2], span, *UNKNOWN_WIDTH[2:]) for span in dict.fromkeys(unknown)]
