"""Normalization over the batch -> the functions of the emitted module that take its moments."""

from collections.abc import Iterator

import sympy as sp

from ntkc.backends.printer import text
from ntkc.gaussian.moments import A, B, C
from ntkc.ir.normalization import FOUR, QUADRATURE, Normalization
from ntkc.ir.program import Definition

TANGENT, ALONE = "_tangent", "_alone"
KINDS = ("", TANGENT, ALONE)


def parameters_of(found: Normalization, definitions: tuple[Definition, ...]) -> list[str]:
    """Hyperparameters that the functions read."""
    values = [d.value for d in definitions if d.name in found.pair]
    free = {s for v in (*values, *found.bends, found.mean, *found.eps) if isinstance(v, sp.Expr) for s in v.free_symbols}
    return sorted(s.name for s in free - {A, B, C})


def normalization(name: str, found: Normalization, called: set[str], extra: dict[str, list[str]]) -> Iterator[str]:
    """One function for each kind of moment that is called."""
    given = "".join(f", {p}" for p in extra[name])
    of = f"{found.f}, {found.g}" if found.f != found.g else str(found.f)
    eps = ", ".join(map(text, found.eps))
    pair = tuple(_function(f"{dual}(c, a, b{''.join(f', {p}' for p in extra.get(dual, []))})", "c, a, b") for dual in found.pair)
    bends = tuple(_function(text(bend), "c, a, b") for bend in found.bends)
    for kind in (k for k in KINDS if f"{name}{k}" in called):
        if kind == "_alone":
            signature, value = "own", f"_normalized_mean({_function(text(found.mean), 'a')}, own, {text(found.eps[0])})"
        elif kind == "_tangent":
            signature = "tangent, table, own1, own2, same"
            functions = ",\n        ".join((*pair, *bends))
            value = f"_normalized_tangent(({functions}), {signature}, {eps})"
        else:
            signature = "table, own1, own2, same"
            value = f"_normalized({pair[0]}, {signature}, {eps})"
        yield f"\n\ndef {name}{kind}({signature}{given}):"
        bound = FOUR if kind == "_tangent" else QUADRATURE
        yield f'    """{DESCRIBED[kind]} of {of} of values normalized over the batch; relative error at most {bound:.0e}."""'
        yield f"    return {value}"


DESCRIBED = {"": "Second moments", "_tangent": "Tangent moments", "_alone": "Means"}


def _function(value: str, arguments: str) -> str:
    return f"lambda {arguments}: {value}"
