"""Program -> a self-contained JAX module: this architecture's own functions, then what all share (`prelude.py`)."""

import inspect
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import sympy as sp

from ntkc.backends import prelude
from ntkc.backends.finite import forward
from ntkc.backends.printer import text
from ntkc.gaussian.series import NODES, VARIANCES, Series
from ntkc.gaussian.terms import Z
from ntkc.ir.program import Assign, Curve, Definition, For, Instruction, Program
from ntkc.ir.recursion import Data


def emit(program: Program) -> str:
    """The text of the module."""
    head, shared = inspect.getsource(prelude).split("# --- prelude ---\n")
    imports = head[head.index("import math") :]
    own = [*_constants(program), *_definitions(program), *_sample(program), *_pair(program), *forward(program.network)]
    return "\n".join([_docstring(program), imports.rstrip(), "", *own]) + shared


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
    yield f"INPUTS = {tuple((i.name, i.type.channels) for i in program.inputs)!r}"
    names = [node.name for node in program.inputs]
    pairs = tuple((names.index(d.first.name), names.index(d.second.name)) for d in program.data)
    yield f"DATA = {pairs!r}  # which inputs' second moments are used"
    yield f"BY_ANGLE = {program.gaps}  # the recursion starts from the angle of the inputs, not from second moments"
    found = program.collapse
    yield f"COLLAPSE = {(found.degree, found.depth, found.terms) if found else None!r}  # degree, depth, terms of the series"
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
    data = ", ".join(dict.fromkeys(d.symbols[1].name[:-2] for d in program.data))
    yield f"\n\ndef _sample({data}, params):"
    yield '    """Moments of each sample with itself, from |x|^2 / d, (n,); those of a loop are stacked over its turns."""'
    yield from _unpack_parameters(program)
    extra = {d.name: _parameters(d) for d in program.definitions}
    yield from _block(program.sample, "    ", extra, data.split(", ")[0], program.exports, None)
    names = [f"({''.join(f'{name}, ' for name in program.exports[0]).rstrip()})"]
    names += [f"loop{i}" for i in range(len(program.exports) - 1)]
    yield f"    return ({', '.join(names)},)"


def _unpack_parameters(program: Program) -> Iterator[str]:
    for parameter in program.parameters:
        yield f'    {parameter.symbol.name} = params["{parameter.symbol.name}"]'


def _pair(program: Program) -> Iterator[str]:
    starts = [name for d in program.data for name in _starts(d, program.gaps)]
    yield f"\n\ndef _pair({', '.join(starts)}, left, right, same, params):"
    yield '    """The recursion between samples, (n1, n2): `_1` is of x1, as columns, `_2` of x2, as rows."""'
    yield from _unpack_parameters(program)
    yield from _unpack(program.exports[0], 0, "", "    ")
    extra = {d.name: _parameters(d) for d in program.definitions}
    like = starts[0]
    yield from _block(program.pair, "    ", extra, like, program.exports)
    for kind in ("nngp", "ntk"):
        values = ((o.name, getattr(o, kind)) for o in program.outputs)
        entries = (f'"{name}": _as({_text(value, extra)}, {like})' for name, value in values if value is not None)
        yield f"    {kind} = {{{', '.join(entries)}}}"
    yield '    return {"nngp": nngp, "ntk": ntk}'


def _starts(data: Data, gaps: bool) -> list[str]:
    c = data.symbols[0].name
    return [f"d_{c}", f"e_{c}"] if gaps and data.first is data.second else [c]


def _unpack(names: tuple[str, ...], place: int, turns: str, indent: str) -> Iterator[str]:
    if names:
        for side, of in (("left", "_columns"), ("right", "_rows")):
            suffixed = "".join(f"{name}_{1 if side == 'left' else 2}, " for name in names).rstrip()
            yield f"{indent}{suffixed} = {of}({side}[{place}]{turns})"


Exports: TypeAlias = tuple[tuple[str, ...], ...]


def _block(
    body: tuple[Instruction, ...], indent: str, extra: dict[str, list[str]], like: str, exports: Exports, turns: str | None = ""
) -> Iterator[str]:
    """`like` is an array of the shape of all; `turns` the loop variables so far, None in the sample part."""
    heading = ""
    for instruction in body:
        if instruction.span is not None:
            line, _ = instruction.span.source.position(instruction.span.start)
            where = f"{indent}# line {line}: {instruction.span.source.line(line).strip()}"
            if where != heading:
                heading = where
                yield heading
        if isinstance(instruction, Assign):
            yield _assignment(instruction, indent, extra)
        elif turns is None:
            yield from _scan(instruction, indent, extra, like, exports)
        else:
            yield from _for(instruction, indent, extra, like, exports, turns)


def _assignment(instruction: Assign, indent: str, extra: dict[str, list[str]]) -> str:
    value = _text(instruction.value, extra)
    if instruction.on_diagonal is not None and instruction.on_diagonal != instruction.value:
        value = f"{_text(instruction.on_diagonal, extra)} if same else {value}"
    return f"{indent}{instruction.symbol} = {value}"


def _scan(loop: For, indent: str, extra: dict[str, list[str]], like: str, exports: Exports) -> Iterator[str]:
    """A loop of the sample part: every turn's values are kept."""
    inner = indent + "    "
    names = "".join(f"{carry.symbol}, " for carry in loop.carries).rstrip()
    yield f"{indent}def turn{loop.index}(state, _):"
    if names:
        yield f"{inner}{names} = state"
    yield from _block(loop.body, inner, extra, like, exports, None)
    following = "".join(f"_as({_text(c.following, extra)}, {like}), " for c in loop.carries).rstrip()
    nested = "".join(f", loop{i.index}" for i in loop.body if isinstance(i, For))
    yield f"{inner}return ({following}), (({''.join(f'{n}, ' for n in exports[loop.index + 1]).rstrip()}){nested})"
    initial = "".join(f"_as({_text(c.initial, extra)}, {like}), " for c in loop.carries).rstrip()
    results = "".join(f"{c.result}, " for c in loop.carries).rstrip()
    kept = f"(loop{loop.index}{nested})" if nested else f"loop{loop.index}"
    yield f"{indent}({results}), {kept} = lax.scan(turn{loop.index}, ({initial}), None, length={loop.count})"


def _for(loop: For, indent: str, extra: dict[str, list[str]], like: str, exports: Exports, turns: str) -> Iterator[str]:
    inner, turns = indent + "    ", f"{turns}, i{loop.index}"
    names = "".join(f"{carry.symbol}, " for carry in loop.carries).rstrip()
    yield f"{indent}def turn{loop.index}(i{loop.index}, state):"
    yield f"{inner}{names} = state"
    yield from _unpack(exports[loop.index + 1], loop.index + 1, turns, inner)
    yield from _block(loop.body, inner, extra, like, exports, turns)
    following = "".join(f"_as({_text(c.following, extra)}, {like}), " for c in loop.carries).rstrip()
    yield f"{inner}return ({following})"
    initial = "".join(f"_as({_text(c.initial, extra)}, {like}), " for c in loop.carries).rstrip()
    results = "".join(f"{carry.result}, " for carry in loop.carries).rstrip()
    yield f"{indent}{results} = lax.fori_loop(0, {loop.count}, turn{loop.index}, ({initial}))"


def _text(value: sp.Expr, extra: dict[str, list[str]]) -> str:
    """An expression whose calls also hand on the hyperparameters that the called function reads."""

    def complete(call: sp.Expr) -> sp.Expr:
        first, *others = call.args
        names = [sp.Symbol(name) for name in extra.get(call.func.__name__, [])]
        if call.func.__name__.endswith(("_gap", "_angle")):
            return call.func(first, *names, *others)
        return call.func(*call.args, *names)

    calls = {call: complete(call) for call in value.atoms(sp.core.function.AppliedUndef)}
    return text(value.xreplace(calls) if calls else value)
