"""Network and Recursion -> the certificate of a derivation: plain data that `ntkc.checker` proves anew without the compiler.

What was meant is the network: its layers, their arguments, which weights are the same. What is claimed is one moment per
equation, with the rule it follows by and what that rests on. Expressions are text, as SymPy prints them.
"""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series
from ntkc.ir.layer import Layer
from ntkc.ir.network import Network
from ntkc.ir.recursion import Dual, Equation, Recursion, Step

FORMAT = "ntkc-certificate/1"


def certificate(network: Network, recursion: Recursion, stated: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What `ntkc derive --certificate` writes, ready for JSON; `stated` is what more is said of maps, by name."""
    body: dict[str, Any] = {
        "parameters": [plain(parameter) for parameter in network.parameters],
        "nodes": [{**plain(node), "place": node.origin.loop} for node in network.nodes],
        "grids": plain(network.grids),
        "flat": plain(network.flat),
        "widths": plain(network.widths),
        "loops": plain(network.loops),
        "masked": network.masked,
        "data": [
            {"first": network.nodes.index(d.first), "second": network.nodes.index(d.second), "symbols": plain(d.symbols)}
            for d in recursion.data
        ],
        "maps": [{**plain(m), **stated.get(m.name, {})} for m in recursion.maps],
        "expectations": [_expectation(dual) for dual in recursion.duals],
        "steps": [_step(step) for step in recursion.steps],
        "outputs": [
            {**plain(output), "node": node} for output, (_, node) in zip(recursion.outputs, network.outputs, strict=True)
        ],
    }
    return {"format": FORMAT, "name": network.name, "symbols": _signs(network, recursion), **body}


def plain(value: Any) -> Any:
    """Numbers, text, lists and dictionaries; a form is a dictionary that says of which `class` it is."""
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, Fraction | sp.Basic):
        return str(value)
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    assert dataclasses.is_dataclass(value), value
    named = {"name": value.name} if isinstance(value, Layer) else {}
    shown = (f.name for f in dataclasses.fields(value) if f.name not in ("span", "origin"))
    return {"class": type(value).__name__, **named, **{name: plain(getattr(value, name)) for name in shown}}


def _step(step: Step) -> dict[str, Any]:
    if isinstance(step, Equation):
        return {
            "symbol": step.symbol.name,
            "value": str(step.value),
            "rule": step.rule,
            "premises": list(step.premises),
            "moment": list(step.pair),
        }
    states = [
        {
            "symbol": state.symbol.name,
            "initial": str(state.initial),
            "following": str(state.following),
            "result": state.result.name,
            "moment": list(state.pair),
        }
        for state in step.states
    ]
    return {"loop": step.index, "turns": step.count, "states": states, "body": [_step(inner) for inner in step.body]}


def _expectation(dual: Dual) -> dict[str, Any]:
    law = dual.law
    found = {"name": dual.name, "f": str(law.f), "g": str(law.g)}
    if isinstance(law, Series):
        apart = None if law.split is None else [{"rate": p.rate, "powers": list(p.powers)} for p in law.split]
        return {**found, "terms": law.terms, "variances": list(VARIANCES), "bounds": list(law.bounds), "apart": apart}
    return {**found, "value": str(law.value), "chains": _chains(law)}


def _chains(law: Expectation) -> list[dict[str, Any]]:
    return [{"f": str(c.f), "g": str(c.g), "links": [str(link) for link in c.links], "value": str(c.value)} for c in law.chains]


def _signs(network: Network, recursion: Recursion) -> dict[str, str]:
    """What is assumed of the symbols that are not plain real numbers."""
    symbols = {p.symbol for p in network.parameters} | {s for d in recursion.data for s in d.symbols}
    signs = {s.name: "positive" if s.is_positive else "nonnegative" if s.is_nonnegative else "real" for s in symbols}
    return dict(sorted(signs.items()))
