"""Program -> a self-contained JAX module: this architecture's own functions, then what it needs of the prelude."""

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import sympy as sp

from ntkc.backends.finite import forward
from ntkc.backends.instructions import block, text_of, unpack
from ntkc.backends.library import library
from ntkc.backends.maps import map_parameters, position_maps
from ntkc.backends.normalizations import KINDS, normalization, parameters_of
from ntkc.backends.prelude import batches, samples
from ntkc.backends.printer import text
from ntkc.backends.tidy import rows, tidy
from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.hermite import NODES
from ntkc.gaussian.near import near
from ntkc.gaussian.series import Series
from ntkc.gaussian.terms import Z
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.network import InputNode, Network, Parameter
from ntkc.ir.normalization import Normalization
from ntkc.ir.padding import Padding
from ntkc.ir.program import Curve, Definition, Program
from ntkc.ir.recursion import Data, given_symbol, mask_name, of_self
from ntkc.lowering.prune import calls

IMPORTS = """import math
import os
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
"""


def emit(program: Program) -> str:
    """The text of the module."""
    parts = (_constants, position_maps, _normalizations, _definitions, _sample, _pair)
    own = "\n".join([*(line for part in parts for line in part(program)), *forward(program.network), ""])
    first = (batches, samples) if program.batches else ()
    return tidy("\n".join([_docstring(program), IMPORTS, own]) + library(own, _layer_modules(program.network), first=first))


def emit_finite(network: Network) -> str:
    """The text of a module with the finite network alone."""
    defaults = ", ".join(f'"{p.name}": {float(p.default)!r}' for p in network.parameters)
    inputs = tuple(n for n in network.nodes if isinstance(n, InputNode))
    head = f'"""The finite network of `{network.name}`, written by ntkc; its kernels have no closed form and are sampled."""\n'
    givens = {node.adjacency: i for i, node in enumerate(inputs) if node.adjacency}
    masks = {mask_name(n.name): i for i, n in enumerate(inputs) if network.masked and n.type.maskable}
    constants = [f"PARAMS = {{{defaults}}}", _domains(network.parameters), *_inputs(inputs)]
    constants += [f"GIVENS = {givens | masks!r}", f"MASKS = {tuple(masks)!r}", *(_lengths(network) if masks else ())]
    own = "\n".join([*constants, *forward(network), ""])
    return tidy("\n".join([head, IMPORTS, own]) + library(own, _layer_modules(network), ()))


def _layer_modules(network: Network) -> tuple[ModuleType, ...]:
    """The files of the layers in use, whose finite-width functions the module needs."""
    layers = [node.layer for node in network.nodes if hasattr(node, "layer")]
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
    lost = f"; NaN where it may be above {trust[0]:.0e}" if (trust := definition.value.trust) else ""
    return f" ({definition.value.method}, error <= {worst:.1e} for variances {span}{lost})"


def _constants(program: Program) -> Iterator[str]:
    defaults = ", ".join(f'"{p.name}": {float(p.default)!r}' for p in program.parameters)
    yield f"PARAMS = {{{defaults}}}"
    yield _domains(program.parameters)
    yield from _inputs(program.inputs)
    where = {g.name: program.inputs.index(g.input) for g in program.givens}
    yield f"GIVENS = {where!r}  # arrays that come with each sample of an input"
    yield f"MASKS = {tuple(g.name for g in program.givens if g.rank == 1)!r}  # those that say which positions are present"
    if any(g.rank == 1 for g in program.givens):
        yield from _lengths(program.network)
    names = [node.name for node in program.inputs]
    pairs = tuple((names.index(d.first.name), names.index(d.second.name)) for d in program.data)
    yield f"DATA = {pairs!r}  # which inputs' second moments are used"
    yield f"BY_ANGLE = {program.gaps}  # the recursion starts from the angle of the inputs, not from second moments"
    found = program.collapse
    yield f"COLLAPSE = {(found.degree, found.depth, found.terms) if found else None!r}  # degree, depth, terms of the series"
    evaluate = "(_by_pairs, _own_by_pairs)" if program.layout == "pairs" else "(_by_tiles, _own)"
    evaluate = "(_by_batches, _own_by_batches)" if program.batches else evaluate
    yield f"EVALUATE = lambda: {evaluate}  # between samples, and of each sample with itself"
    if program.layout == "pairs":
        yield f"TABLES = {program.tables}  # whether a sample's moments need it between all pairs of its positions"
    if program.batches:
        grids = dict.fromkeys(m.grid[1:] for m in program.maps if isinstance(m.geometry, Normalization))
        yield f"NORMALIZED = {tuple(grids)!r}  # the positions of the values that are normalized"
    refusals = [o.refusal for o in program.outputs if o.ntk is None]
    yield f"NO_NTK = {(refusals[0] if refusals else '')!r}"
    if any(isinstance(d.value, Series) or d.small for d in program.definitions):
        x, w = np.polynomial.legendre.leggauss(NODES)
        yield from ("# Gauss-Legendre nodes and weights", "# fmt: off", "_LEGENDRE = (")
        yield from (rows(tuple(x.tolist())), rows(tuple(w.tolist())), ")", "# fmt: on")


def _domains(parameters: tuple[Parameter, ...]) -> str:
    domains = (
        f'"{p.name}": ({_end(p.domain.inf)}, {_end(p.domain.sup)}, {bool(p.domain.left_open)}, {bool(p.domain.right_open)})'
        for p in parameters
    )
    return f"DOMAINS = {{{', '.join(domains)}}}"


def _lengths(network: Network) -> Iterator[str]:
    """What masks are asked."""
    padding = Padding(network)
    yield f"NO_GAPS = {any(loop.scan for loop in network.loops)}  # whether absent positions must stand at the ends"
    yield f"FROM_FIRST = {padding.from_first}  # whether they must stand after all others"
    yield f"LEAST = {padding.least}  # positions that must be present"
    yield f"MULTIPLE = {padding.multiple}  # by which strides let the length differ from the padded one"


def _inputs(inputs: tuple[InputNode, ...]) -> Iterator[str]:
    shapes = tuple((i.name, i.type.positions if i.type.tokens else (*i.type.positions, i.type.channels)) for i in inputs)
    yield f"INPUTS = {shapes!r}"
    yield f"TOKENS = { {i.name: i.type.channels for i in inputs if i.type.tokens}!r}  # inputs of integers below a number"


def _end(value: sp.Expr) -> str:
    return "-math.inf" if value == -sp.oo else "math.inf" if value == sp.oo else repr(float(value))


def _normalizations(program: Program) -> Iterator[str]:
    called = {c.func.__name__ for i in (*program.sample, *program.pair) for c in calls(i)}
    for m in program.maps:
        if isinstance(m.geometry, Normalization):
            yield from normalization(m.name, m.geometry, called, _extra(program))


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
            yield f"    return {_series(definition.value)}"
        elif definition.small is None:
            yield f"    return {text(definition.value)}"
        else:  # the closed form cancels where a variance is small
            yield f"    closed = {text(definition.value)}"
            yield f"    return _near_zero(closed, lambda: {_series(definition.small.series)}, a, b, {definition.small.limit})"


def _series(s: Series) -> str:
    kinks = f"({''.join(text(k) + ', ' for k in s.kinks)})"
    parts = "" if s.split is None else f", ({', '.join(f'({p.rate}, {p.powers})' for p in s.split)})"
    trust = "" if s.trust is None else f", trust=({s.trust[0]:.1e}, {s.trust[1]})"
    return f"_series({_lambda(s.f)}, {_lambda(s.g)}, c, a, b, {s.terms}, {kinks}{parts}{trust})"


def _lambda(function: sp.Expr) -> str:
    """With the digits that the formula loses near 0."""
    value, polynomial = f"{text(function.subs(Z, sp.Symbol('z', real=True)))} + 0 * z", near(function)
    if polynomial is None:
        return f"lambda z: {value}"
    sides = ", ".join(dict.fromkeys(map(repr, (polynomial.above, polynomial.below))))
    return f"lambda z: _near(z, {value}, {polynomial.radius}, {sides})"


def _curve(definition: Definition, curve: Curve) -> Iterator[str]:
    """A table of coefficients for each term, and their sum."""
    tables = [f"_{definition.name.upper()}{f'_{i}' if i else ''}" for i in range(len(curve.terms))]
    for name, (_, fit) in zip(tables, curve.terms, strict=True):
        yield f"\n# fmt: off\n{name} = ("
        for part in ("near_even", "near_odd", "far_even", "far_odd"):
            single, double = getattr(fit, part)
            yield f"    # {part.replace('_', ', ')}: float32, float64"
            yield rows((single, double))
        yield ")\n# fmt: on"
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
    starts = [*dict.fromkeys(data), *tables, *(given_symbol(g.name, "1").name[:-2] for g in program.givens)]
    yield f"\n\ndef _sample({', '.join(starts)}, params):"
    yield '    """Moments of a sample with itself, from |x|^2 / d; those of a loop are stacked over its turns."""'
    yield from _unpack_parameters(program)
    yield from block(program.sample, "    ", _extra(program), program.exports, None, "")
    names = [f"({''.join(f'{name}, ' for name in program.exports[0]).rstrip()})"]
    names += [f"loop{i}" for i in range(len(program.exports) - 1)]
    yield f"    return ({', '.join(names)},)"


def _with_tables(program: Program) -> bool:
    return program.layout == "pairs" and program.tables


def _extra(program: Program) -> dict[str, list[str]]:
    """Hyperparameters that each function reads besides its arguments."""
    maps = {m.name: map_parameters(m.geometry) for m in program.maps if isinstance(m.geometry, MixingMatrix)}
    for m in program.maps:
        if isinstance(m.geometry, Normalization):
            maps |= dict.fromkeys((f"{m.name}{kind}" for kind in KINDS), parameters_of(m.geometry, program.definitions))
    return {d.name: _parameters(d) for d in program.definitions} | maps


def _unpack_parameters(program: Program) -> Iterator[str]:
    for parameter in program.parameters:
        yield f'    {parameter.symbol.name} = params["{parameter.name}"]'


def _pair(program: Program) -> Iterator[str]:
    starts = [name for d in program.data for name in _starts(d, program.gaps)]
    yield f"\n\ndef _pair({', '.join(starts)}, left, right, same, params):"
    if program.layout == "pairs":
        yield '    """The recursion between two samples: `_1` is of x, `_2` of x\'; full tables have the axes of x first."""'
    else:
        yield '    """The recursion between samples, (..., n1, n2): `_1` is of x1, as columns, `_2` of x2, as rows."""'
    yield from _unpack_parameters(program)
    yield from unpack(program.exports[0], 0, "", "    ", program.layout)
    extra = _extra(program)
    yield from block(program.pair, "    ", extra, program.exports, "", program.layout)
    for kind in ("nngp", "ntk"):
        values = ((o.name, getattr(o, kind)) for o in program.outputs)
        trailing = 0 if program.layout == "pairs" and not program.batches else 2
        entries = (
            f'"{name}": _full({text_of(value, extra)}, {starts[0]}, {trailing})' for name, value in values if value is not None
        )
        yield f"    {kind} = {{{', '.join(entries)}}}"
    yield '    return {"nngp": nngp, "ntk": ntk}'


def _starts(data: Data, gaps: bool) -> list[str]:
    c = data.symbols[0].name
    return [f"d_{c}", f"e_{c}"] if gaps and data.first is data.second else [c]
