"""Program -> a self-contained JAX module: this architecture's own functions, then what it needs of the prelude."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TypeAlias

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.backends.finite import forward
from ntkc.backends.library import library
from ntkc.backends.maps import map_parameters, position_maps
from ntkc.backends.printer import text
from ntkc.gaussian.series import NODES, VARIANCES, Series
from ntkc.gaussian.terms import Z
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.program import Assign, Curve, Definition, For, Instruction, Program
from ntkc.ir.recursion import Data, map_name, of_self

IMPORTS = """import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
"""


def emit(program: Program) -> str:
    """The text of the module."""
    parts = (_constants, position_maps, _definitions, _sample, _pair)
    own = "\n".join([*(line for part in parts for line in part(program)), *forward(program.network), ""])
    return "\n".join([_docstring(program), IMPORTS, own]) + library(own, _layer_modules(program))


def _layer_modules(program: Program) -> tuple[ModuleType, ...]:
    """The files of the layers in use, whose finite-width functions the module needs."""
    layers = [node.layer for node in program.network.nodes if hasattr(node, "layer")]
    return tuple(dict.fromkeys(sys.modules[type(layer).__module__] for layer in layers))


def _docstring(program: Program) -> str:
    lines = [f'"""Infinite-width kernels of `{program.name}`, derived and written by ntkc.', ""]
    lines += [f"    {d.name}(c, a, b): {d.describes}{_status(d)}" for d in program.definitions]
    return "\n".join([*lines, '"""', ""])


def _status(definition: Definition) -> str:
    if not isinstance(definition.value, Series):
        return ""
    worst = max(definition.value.bounds)
    span = f"{VARIANCES[0]} to {VARIANCES[-1]}"
    return f" (series of {definition.value.terms} terms, error <= {worst:.1e} for variances {span})"


def _constants(program: Program) -> Iterator[str]:
    defaults = ", ".join(f'"{p.symbol.name}": {float(p.default)!r}' for p in program.parameters)
    yield f"PARAMS = {{{defaults}}}"
    domains = (
        f'"{p.symbol.name}": ({_end(p.domain.inf)}, {_end(p.domain.sup)}, '
        f"{bool(p.domain.left_open)}, {bool(p.domain.right_open)})"
        for p in program.parameters
    )
    yield f"DOMAINS = {{{', '.join(domains)}}}"
    yield f"INPUTS = {tuple((i.name, (*i.type.positions, i.type.channels)) for i in program.inputs)!r}"
    names = [node.name for node in program.inputs]
    pairs = tuple((names.index(d.first.name), names.index(d.second.name)) for d in program.data)
    yield f"DATA = {pairs!r}  # which inputs' second moments are used"
    yield f"BY_ANGLE = {program.gaps}  # the recursion starts from the angle of the inputs, not from second moments"
    found = program.collapse
    yield f"COLLAPSE = {(found.degree, found.depth, found.terms) if found else None!r}  # degree, depth, terms of the series"
    evaluate = "(_by_pairs, _own_by_pairs)" if program.layout == "pairs" else "(_by_tiles, _own)"
    yield f"EVALUATE = lambda: {evaluate}  # between samples, and of each sample with itself"
    if program.layout == "pairs":
        yield f"TABLES = {program.tables}  # whether a sample's moments need it between all pairs of its positions"
    refusals = [o.refusal for o in program.outputs if o.ntk is None]
    yield f"NO_NTK = {(refusals[0] if refusals else '')!r}"
    if any(isinstance(d.value, Series) for d in program.definitions):
        x, w = np.polynomial.legendre.leggauss(NODES)
        yield f"_LEGENDRE = ({tuple(x.tolist())!r}, {tuple(w.tolist())!r})  # Gauss-Legendre nodes and weights"


def _end(value: sp.Expr) -> str:
    return "-math.inf" if value == -sp.oo else "math.inf" if value == sp.oo else repr(float(value))


def _definitions(program: Program) -> Iterator[str]:
    for definition in program.definitions:
        if isinstance(definition.value, Curve):
            yield from _curve(definition, definition.value)
            continue
        arguments = ", ".join(s.name for s in definition.arguments)
        extra = "".join(f", {s}" for s in _parameters(definition))
        yield f"\n\ndef {definition.name}({arguments}{extra}):"
        yield f'    """{definition.describes}."""'
        if isinstance(definition.value, Series):
            s = definition.value
            kinks = f"({''.join(text(k) + ', ' for k in s.kinks)})"
            f, g = (f"lambda z: {text(h.subs(Z, sp.Symbol('z', real=True)))} + 0 * z" for h in (s.f, s.g))
            yield f"    return _series({f}, {g}, c, a, b, {s.terms}, {kinks})"
        else:
            yield f"    return {text(definition.value)}"


def _curve(definition: Definition, curve: Curve) -> Iterator[str]:
    """A table of coefficients for each term, and their sum."""
    tables = [f"_{definition.name.upper()}{f'_{i}' if i else ''}" for i in range(len(curve.terms))]
    for name, (_, fit) in zip(tables, curve.terms, strict=True):
        yield f"\n{name} = ("
        for part in ("near_even", "near_odd", "far_even", "far_odd"):
            single, double = getattr(fit, part)
            yield f"    ({single!r}, {double!r}),  # {part.replace('_', ', ')}: float32, float64"
        yield ")"
    extra = "".join(f", {s}" for s in _parameters(definition))
    yield f"\n\ndef {definition.name}(d{extra}, e=None):"
    yield f'    """{definition.describes}; e = 1 - d where d may pass 1/2."""'
    total = [
        f"_polynomials(d, e, {name})" if k == 1 else f"{_factor(k)} * _polynomials(d, e, {name})"
        for name, (k, _) in zip(tables, curve.terms, strict=True)
    ]
    yield f"    return {' + '.join(total)}"


def _factor(value: sp.Expr) -> str:
    return f"({text(value)})"


def _parameters(definition: Definition) -> list[str]:
    """Hyperparameters that a definition reads."""
    value = definition.value
    if isinstance(value, Curve):
        return sorted({s.name for factor, _ in value.terms for s in factor.free_symbols})
    free = value.free_symbols if isinstance(value, sp.Expr) else set()
    return sorted(s.name for s in free - set(definition.arguments))


def _sample(program: Program) -> Iterator[str]:
    data = [d.symbols[1].name[:-2] for d in program.data]
    tables = [of_self(d.symbols[0]).name for d in program.data] if _with_tables(program) else []
    starts = [*dict.fromkeys(data), *tables]
    yield f"\n\ndef _sample({', '.join(starts)}, params):"
    yield '    """Moments of a sample with itself, from |x|^2 / d; those of a loop are stacked over its turns."""'
    yield from _unpack_parameters(program)
    yield from _block(program.sample, "    ", _extra(program), program.exports, None, "")
    names = [f"({''.join(f'{name}, ' for name in program.exports[0]).rstrip()})"]
    names += [f"loop{i}" for i in range(len(program.exports) - 1)]
    yield f"    return ({', '.join(names)},)"


def _with_tables(program: Program) -> bool:
    return program.layout == "pairs" and program.tables


def _extra(program: Program) -> dict[str, list[str]]:
    """Hyperparameters that each function reads besides its arguments."""
    maps = {m.name: map_parameters(m.geometry) for m in program.maps if isinstance(m.geometry, MixingMatrix)}
    return {d.name: _parameters(d) for d in program.definitions} | maps


def _unpack_parameters(program: Program) -> Iterator[str]:
    for parameter in program.parameters:
        yield f'    {parameter.symbol.name} = params["{parameter.symbol.name}"]'


def _pair(program: Program) -> Iterator[str]:
    starts = [name for d in program.data for name in _starts(d, program.gaps)]
    yield f"\n\ndef _pair({', '.join(starts)}, left, right, same, params):"
    if program.layout == "pairs":
        yield '    """The recursion between two samples: `_1` is of x, `_2` of x\'; full tables have the axes of x first."""'
    else:
        yield '    """The recursion between samples, (..., n1, n2): `_1` is of x1, as columns, `_2` of x2, as rows."""'
    yield from _unpack_parameters(program)
    yield from _unpack(program.exports[0], 0, "", "    ", program.layout)
    extra = _extra(program)
    yield from _block(program.pair, "    ", extra, program.exports, "", program.layout)
    for kind in ("nngp", "ntk"):
        values = ((o.name, getattr(o, kind)) for o in program.outputs)
        trailing = 0 if program.layout == "pairs" else 2
        entries = (
            f'"{name}": _full({_text(value, extra)}, {starts[0]}, {trailing})' for name, value in values if value is not None
        )
        yield f"    {kind} = {{{', '.join(entries)}}}"
    yield '    return {"nngp": nngp, "ntk": ntk}'


def _starts(data: Data, gaps: bool) -> list[str]:
    c = data.symbols[0].name
    return [f"d_{c}", f"e_{c}"] if gaps and data.first is data.second else [c]


def _unpack(names: tuple[str, ...], place: int, turns: str, indent: str, layout: str) -> Iterator[str]:
    if names:
        for side, of in (("left", "_columns"), ("right", "_rows")):
            suffixed = "".join(f"{name}_{1 if side == 'left' else 2}, " for name in names).rstrip()
            yield f"{indent}{suffixed} = {'_at' if layout == 'pairs' else of}({side}[{place}]{turns})"


Exports: TypeAlias = tuple[tuple[str, ...], ...]


def _block(
    body: tuple[Instruction, ...], indent: str, extra: dict[str, list[str]], exports: Exports, turns: str | None, layout: str
) -> Iterator[str]:
    """`turns` are the loop variables so far, None in the sample part."""
    heading = ""
    for instruction in body:
        if instruction.span is not None:
            line, _ = instruction.span.source.position(instruction.span.start)
            where = f"{indent}# line {line}: {instruction.span.source.line(line).strip()}"
            if where != heading:
                heading = where
                yield heading
        if isinstance(instruction, Assign):
            yield _assignment(instruction, indent, extra, layout == "pairs")
        elif turns is None:
            yield from _scan(instruction, indent, extra, exports)
        else:
            yield from _for(instruction, indent, extra, exports, turns, layout)


def _assignment(instruction: Assign, indent: str, extra: dict[str, list[str]], table: bool) -> str:
    """Tables over pairs of positions are kept from being computed again by each of their readers; angles are cheap."""
    value = _text(instruction.value, extra)
    if table and instruction.value.args and not instruction.symbol.name.startswith(("d_", "e_")):
        value = f"_kept({value})"
    if instruction.on_diagonal is not None and instruction.on_diagonal != instruction.value:
        value = f"{_text(instruction.on_diagonal, extra)} if same else {value}"
    return f"{indent}{instruction.symbol} = {value}"


def _scan(loop: For, indent: str, extra: dict[str, list[str]], exports: Exports) -> Iterator[str]:
    """A loop of the sample part: every turn's values are kept."""
    inner = indent + "    "
    names = "".join(f"{carry.symbol}, " for carry in loop.carries).rstrip()
    yield f"{indent}def turn{loop.index}(state, _):"
    if names:
        yield f"{inner}{names} = state"
    yield from _block(loop.body, inner, extra, exports, None, "")
    following = "".join(f"{_text(c.following, extra)}, " for c in loop.carries).rstrip()
    nested = "".join(f", loop{i.index}" for i in loop.body if isinstance(i, For))
    yield f"{inner}return ({following}), (({''.join(f'{n}, ' for n in exports[loop.index + 1]).rstrip()}){nested})"
    initial = "".join(f"{_text(c.initial, extra)}, " for c in loop.carries).rstrip()
    results = "".join(f"{c.result}, " for c in loop.carries).rstrip()
    kept = f"(loop{loop.index}{nested})" if nested else f"loop{loop.index}"
    yield f"{indent}({results}), {kept} = _stack({loop.count}, turn{loop.index}, ({initial}))"


def _for(loop: For, indent: str, extra: dict[str, list[str]], exports: Exports, turns: str, layout: str) -> Iterator[str]:
    inner, turns = indent + "    ", f"{turns}, i{loop.index}"
    names = "".join(f"{carry.symbol}, " for carry in loop.carries).rstrip()
    yield f"{indent}def turn{loop.index}(i{loop.index}, state):"
    yield f"{inner}{names} = state"
    mine = exports[loop.index + 1] if loop.index + 1 < len(exports) else ()
    yield from _unpack(mine, loop.index + 1, turns, inner, layout)
    yield from _block(loop.body, inner, extra, exports, turns, layout)
    following = "".join(f"{_text(c.following, extra)}, " for c in loop.carries).rstrip()
    yield f"{inner}return ({following})"
    initial = "".join(f"{_text(c.initial, extra)}, " for c in loop.carries).rstrip()
    results = "".join(f"{carry.result}, " for carry in loop.carries).rstrip()
    yield f"{indent}{results} = _repeat({loop.count}, turn{loop.index}, ({initial}))"


def _text(value: sp.Expr, extra: dict[str, list[str]]) -> str:
    """An expression whose calls also hand on the hyperparameters that the called function reads."""

    def complete(call: sp.Expr) -> sp.Expr:
        name, arguments = call.func.__name__, [renamed(a) for a in call.args]
        names = [sp.Symbol(n) for n in extra.get(name, [])]
        if name.endswith(("_gap", "_angle")) and not name.startswith("_"):
            return sp.Function(name)(arguments[0], *names, *arguments[1:])
        stem = map_name(name)
        if stem != name and stem:
            return sp.Function("_mixed" if stem.startswith("attention") else stem)(*arguments)
        return sp.Function(name)(*arguments, *names)

    def renamed(expr: sp.Expr) -> sp.Expr:
        if isinstance(expr, AppliedUndef):
            return complete(expr)
        return expr.func(*map(renamed, expr.args)) if expr.args and expr.has(AppliedUndef) else expr

    return text(renamed(value))
