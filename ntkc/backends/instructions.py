"""Assignments and loops -> lines of JAX."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.backends.printer import text
from ntkc.ir.program import Assign, For, Instruction, above, beside, corner
from ntkc.ir.recursion import at_second, map_name
from ntkc.lowering.prune import reads


def unpack(names: tuple[str, ...], place: int, turns: str, indent: str, layout: str) -> Iterator[str]:
    if names:
        for side, of in (("left", "_columns"), ("right", "_rows")):
            suffixed = "".join(f"{name}_{1 if side == 'left' else 2}, " for name in names).rstrip()
            yield f"{indent}{suffixed} = {'_at' if layout == 'pairs' else of}({side}[{place}]{turns})"


Exports: TypeAlias = tuple[tuple[str, ...], ...]


def block(
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
            table = layout in ("pairs", "matched") or instruction.symbol.name.endswith("_self")
            yield _assignment(instruction, indent, extra, table)
        elif instruction.cells is not None:
            yield from _cells(instruction, indent, extra, exports, turns)
        elif turns is None:
            yield from _scan(instruction, indent, extra, exports)
        else:
            yield from _for(instruction, indent, extra, exports, turns, layout)


def _assignment(instruction: Assign, indent: str, extra: dict[str, list[str]], table: bool) -> str:
    """Tables over pairs of positions are kept from being computed again by each of their readers; angles are cheap."""
    value = text_of(instruction.value, extra)
    if table and instruction.value.args and not instruction.symbol.name.startswith(("d_", "e_")):
        value = f"_kept({value})"
    if instruction.on_diagonal is not None and instruction.on_diagonal != instruction.value:
        value = f"{text_of(instruction.on_diagonal, extra)} if same else {value}"
    return f"{indent}{instruction.symbol} = {value}"


def _scan(loop: For, indent: str, extra: dict[str, list[str]], exports: Exports) -> Iterator[str]:
    """A loop of the sample part: every turn's values are kept."""
    inner = indent + "    "
    names = "".join(f"{carry.symbol}, " for carry in loop.carries).rstrip()
    yield f"{indent}def turn{loop.index}(state, _):"
    if names:
        yield f"{inner}{names} = state"
    yield from block(loop.body, inner, extra, exports, None, "")
    following = "".join(f"{text_of(c.following, extra)}, " for c in loop.carries).rstrip()
    nested = "".join(f", loop{i.index}" for i in loop.body if isinstance(i, For) and not i.cells)
    yield f"{inner}return ({following}), (({''.join(f'{n}, ' for n in exports[loop.index + 1]).rstrip()}){nested})"
    initial = "".join(f"{text_of(c.initial, extra)}, " for c in loop.carries).rstrip()
    results = "".join(f"{c.result}, " for c in loop.carries).rstrip()
    kept = f"(loop{loop.index}{nested})" if nested else f"loop{loop.index}"
    yield f"{indent}({results}), {kept} = _stack({loop.count}, turn{loop.index}, ({initial}))"


def _cells(loop: For, indent: str, extra: dict[str, list[str]], exports: Exports, turns: str | None) -> Iterator[str]:
    """A scan over the cells of tables: what it reads is handed on by rows and columns."""
    assert loop.cells is not None
    inner = indent + "    "
    mine = exports[loop.index + 1] if loop.index + 1 < len(exports) else ()
    if turns is not None:
        yield from unpack(mine, loop.index + 1, f"{turns}, -1", indent, "pairs")
    read = {s for i in loop.body for s in reads(i)} | {s for c in loop.carries for s in c.following.free_symbols}
    tables = [s for s in loop.cells.tables if s in read]
    firsts = [s for s in loop.cells.moments if s in read]
    seconds = [s for s in map(at_second, loop.cells.moments) if s in read]
    yield f"{indent}def cell{loop.index}(above, beside, corner, tables, firsts, seconds, here):"
    for name, neighbour in (("above", above), ("beside", beside), ("corner", corner)):
        yield f"{inner}{_tuple(neighbour(c.symbol) for c in loop.carries)} = {name}"
    for name, symbols in (("tables", tables), ("firsts", firsts), ("seconds", seconds)):
        if symbols:
            yield f"{inner}{_tuple(symbols)} = {name}"
    yield f"{inner}same_cell = {'here' if turns is None else 'same and here'}"
    yield from block(loop.body, inner, extra, exports, turns, "cell")
    yield f"{inner}return ({_tuple(text_of(c.following, extra) for c in loop.carries)})"
    given = (tables, firsts, seconds) if turns is not None else (tables, *([s.name[:-2] for s in m] for m in (firsts, seconds)))
    count = f"{loop.cells.count}, {len(loop.carries)}, {(given[0] or given[1])[0]}.dtype"
    handed = ", ".join(f"({_tuple(symbols)})" for symbols in given)
    yield f"{indent}{_tuple(c.result for c in loop.carries)} = _by_cells(cell{loop.index}, {count}, {handed})"


def _tuple(items: Iterable[object]) -> str:
    return "".join(f"{item}, " for item in items).rstrip()


def _for(loop: For, indent: str, extra: dict[str, list[str]], exports: Exports, turns: str, layout: str) -> Iterator[str]:
    inner, turns = indent + "    ", f"{turns}, i{loop.index}"
    names = "".join(f"{carry.symbol}, " for carry in loop.carries).rstrip()
    yield f"{indent}def turn{loop.index}(i{loop.index}, state):"
    yield f"{inner}{names} = state"
    mine = exports[loop.index + 1] if loop.index + 1 < len(exports) else ()
    yield from unpack(mine, loop.index + 1, turns, inner, layout)
    yield from block(loop.body, inner, extra, exports, turns, layout)
    following = "".join(f"{text_of(c.following, extra)}, " for c in loop.carries).rstrip()
    yield f"{inner}return ({following})"
    initial = "".join(f"{text_of(c.initial, extra)}, " for c in loop.carries).rstrip()
    results = "".join(f"{carry.result}, " for carry in loop.carries).rstrip()
    yield f"{indent}{results} = _repeat({loop.count}, turn{loop.index}, ({initial}))"


def text_of(value: sp.Expr, extra: dict[str, list[str]]) -> str:
    """An expression whose calls also hand on the hyperparameters that the called function reads."""

    def complete(call: sp.Expr) -> sp.Expr:
        name, arguments = call.func.__name__, [renamed(a) for a in call.args]
        names = [sp.Symbol(n) for n in extra.get(name, [])]
        if name.endswith(("_gap", "_angle")) and not name.startswith("_"):
            return sp.Function(name)(arguments[0], *names, *arguments[1:])
        if name.endswith("_present") or name.startswith("encoding"):
            return sp.Function(name)(*arguments)
        stem = map_name(name)
        if stem == name and name.startswith("attention"):
            return sp.Function(name)(arguments[0], *names, *arguments[1:])
        if stem != name and stem:
            return sp.Function("_mixed" if stem.startswith(("attention", "aggregate")) else stem)(*arguments)
        return sp.Function(name)(*arguments, *names)

    def renamed(expr: sp.Expr) -> sp.Expr:
        if isinstance(expr, AppliedUndef):
            return complete(expr)
        return expr.func(*map(renamed, expr.args)) if expr.args and expr.has(AppliedUndef) else expr

    return text(renamed(value))
