"""Program -> a self-contained JAX module: this architecture's own functions, then what all share (`prelude.py`)."""

import inspect
from collections.abc import Iterator

import numpy as np
import sympy as sp

from ntkc.backends import prelude
from ntkc.backends.finite import forward
from ntkc.backends.printer import text
from ntkc.gaussian.series import NODES, VARIANCES, Series
from ntkc.gaussian.terms import Z
from ntkc.ir.program import Assign, Definition, For, Instruction, Program


def emit(program: Program) -> str:
    """The text of the module."""
    head, shared = inspect.getsource(prelude).split("# --- prelude ---\n")
    imports = head[head.index("import math") :]
    own = [*_constants(program), *_definitions(program), *_moments(program), *_pair(program), *forward(program.network)]
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
    refusals = [o.refusal for o in program.outputs if o.ntk is None]
    yield f"NO_NTK = {(refusals[0] if refusals else '')!r}"
    if any(isinstance(d.value, Series) for d in program.definitions):
        x, w = np.polynomial.legendre.leggauss(NODES)
        yield f"_LEGENDRE = ({tuple(x.tolist())!r}, {tuple(w.tolist())!r})  # Gauss-Legendre nodes and weights"


def _end(value: sp.Expr) -> str:
    return "-math.inf" if value == -sp.oo else "math.inf" if value == sp.oo else repr(float(value))


def _definitions(program: Program) -> Iterator[str]:
    for definition in program.definitions:
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


def _parameters(definition: Definition) -> list[str]:
    """Hyperparameters that a definition reads."""
    value = definition.value
    free = value.free_symbols if isinstance(value, sp.Expr) else set()
    return sorted(s.name for s in free - set(definition.arguments))


def _moments(program: Program) -> Iterator[str]:
    names = {node.name: i for i, node in enumerate(program.inputs)}
    yield "\n\ndef _moments(x1, x2):"
    yield '    """Second moments of the inputs: cross, of x1 as columns, of x2 as rows."""'
    for data in program.data:
        symbols = ", ".join(s.name for s in data.symbols)
        i, j = names[data.first.name], names[data.second.name]
        if i == j:
            yield f"    {symbols} = _second_moments(x1[{i}], x2[{i}])"
        else:
            d = f"x1[{i}].shape[1]"
            yield f"    {data.symbols[0]} = jnp.matmul(x1[{i}], x2[{j}].T, precision='highest') / {d}"
            yield f"    {data.symbols[1]} = jnp.sum(x1[{i}] * x1[{j}], 1)[:, None] / {d}"
            yield f"    {data.symbols[2]} = jnp.sum(x2[{i}] * x2[{j}], 1)[None, :] / {d}"
    every = ", ".join(s.name for data in program.data for s in data.symbols)
    yield f"    return {every}"
    yield "\n\ndef _own_moments(x):"
    yield '    """The same for each sample with itself, as columns."""'
    own = [f"jnp.sum(x[{names[d.first.name]}] * x[{names[d.second.name]}], 1)[:, None] / x[0].shape[1]" for d in program.data]
    yield f"    return ({', '.join(value for value in own for _ in range(3))},)"


def _pair(program: Program) -> Iterator[str]:
    every = ", ".join(s.name for data in program.data for s in data.symbols)
    yield f"\n\ndef _pair({every}, same, params):"
    yield '    """The recursion: `_1` is at x1 (n1, 1), `_2` at x2 (1, n2), the rest between them (n1, n2)."""'
    for parameter in program.parameters:
        yield f'    {parameter.symbol.name} = params["{parameter.symbol.name}"]'
    extra = {d.name: _parameters(d) for d in program.definitions}
    like = program.data[0].symbols[0].name
    yield from _block(program.body, "    ", extra, _counter())
    for kind in ("nngp", "ntk"):
        values = ((o.name, getattr(o, kind)) for o in program.outputs)
        entries = (f'"{name}": _as({_text(value, extra)}, {like})' for name, value in values if value is not None)
        yield f"    {kind} = {{{', '.join(entries)}}}"
    yield '    return {"nngp": nngp, "ntk": ntk}'


def _counter() -> Iterator[int]:
    """1, 2, 3, ... for the names of loop bodies."""
    number = 0
    while True:
        number += 1
        yield number


def _block(body: tuple[Instruction, ...], indent: str, extra: dict[str, list[str]], turns: Iterator[int]) -> Iterator[str]:
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
        else:
            yield from _for(instruction, indent, extra, turns)


def _assignment(instruction: Assign, indent: str, extra: dict[str, list[str]]) -> str:
    value = _text(instruction.value, extra)
    if instruction.on_diagonal is not None:
        value = f"{instruction.on_diagonal} if same else {value}"
    return f"{indent}{instruction.symbol} = {value}"


def _for(loop: For, indent: str, extra: dict[str, list[str]], turns: Iterator[int]) -> Iterator[str]:
    name = f"turn{next(turns)}"
    names = "".join(f"{carry.symbol}, " for carry in loop.carries)
    yield f"{indent}def {name}(_, state):"
    yield f"{indent}    {names.rstrip()} = state"
    yield from _block(loop.body, indent + "    ", extra, turns)
    following = ", ".join(f"_as({_text(c.following, extra)}, {c.shape})" for c in loop.carries)
    yield f"{indent}    return ({following},)"
    initial = ", ".join(f"_as({_text(c.initial, extra)}, {c.shape})" for c in loop.carries)
    results = "".join(f"{carry.result}, " for carry in loop.carries)
    yield f"{indent}{results.rstrip()} = lax.fori_loop(0, {loop.count}, {name}, ({initial},))"


def _text(value: sp.Expr, extra: dict[str, list[str]]) -> str:
    """An expression whose calls also hand on the hyperparameters that the called function reads."""

    def complete(call: sp.Expr) -> sp.Expr:
        names = extra.get(call.func.__name__, [])
        return call.func(*call.args, *(sp.Symbol(name) for name in names))

    calls = {call: complete(call) for call in value.atoms(sp.core.function.AppliedUndef)}
    return text(value.subs(calls) if calls else value)
