"""Compilation -> Compilation: the same program on fewer positions, since the derivation is the same for any number of them."""

import itertools
import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

from ntkc.diagnostics import ArchError
from ntkc.ir import syntax as ast
from ntkc.ir.network import InputNode
from ntkc.pipeline import Compilation, compile_syntax

LARGEST = 30
POOLS = ("avg_pool", "sum_pool", "max_pool")
WIDEST = 3
"""Where the positions left are too few for the windows of pools, those above it become 1."""
SIZES = (4, 5, 6, 8, 12, 16)
IN_BATCHES, MOST_IN_BATCHES = (2, 3, 4, 5, 6, 8), 4


def small(compilation: Compilation, sizes: tuple[int, ...] = SIZES, largest: int = LARGEST) -> Compilation:
    """The same program with at most so many positions on each axis, the first of `sizes` that it allows, that the reference takes
    seconds."""
    if compilation.recursion.batches:  # whose tables are between the positions of all samples
        sizes, largest = IN_BATCHES, MOST_IN_BATCHES
    inputs = [n for n in compilation.network.nodes if isinstance(n, InputNode)]
    if math.prod(max((n or 4) for n in (1, *i.type.positions)) ** len(i.type.positions) for i in inputs) <= largest:
        return compilation
    for most, windows in itertools.product(sizes, (False, True)):
        try:
            return compile_syntax(
                compilation.source,
                _capped(_narrowed(compilation.syntax) if windows else compilation.syntax, most),
                compilation.network.name,
                compilation.overrides,
                masked=compilation.network.masked,
            )
        except ArchError:
            continue
    return compilation


def shallow(compilation: Compilation, turns: int) -> Compilation:
    """The same program with its integer consts at most so large."""
    (arch,) = (i for i in compilation.syntax.items if isinstance(i, ast.Arch) and i.name.id == compilation.network.name)
    consts = [s for s in arch.body if isinstance(s, ast.Const) and isinstance(s.value, ast.Number) and s.value.text.isdigit()]
    fewer = {s.name.id: str(turns) for s in consts if isinstance(s.value, ast.Number) and int(s.value.text) > turns}
    overrides = {**compilation.overrides, **fewer}
    return compile_syntax(
        compilation.source, compilation.syntax, compilation.network.name, overrides, masked=compilation.network.masked
    )


def _capped(file: ast.File, most: int) -> ast.File:
    """The file with the positions of its inputs capped."""

    def size(expr: ast.Expr) -> ast.Expr:
        number = expr.text if isinstance(expr, ast.Number) else ""
        return replace(expr, text=str(min(int(number), most))) if number.isdigit() else expr  # type: ignore[arg-type]

    def statement(s: ast.Statement) -> ast.Statement:
        if not isinstance(s, ast.Input):
            return s
        *positions, channels = s.type.sizes
        return replace(s, type=replace(s.type, sizes=(*map(size, positions), channels)))

    items = (replace(i, body=tuple(map(statement, i.body))) if isinstance(i, ast.Arch) else i for i in file.items)
    return replace(file, items=tuple(items))


def _narrowed(node: Any) -> Any:
    """The syntax with wide windows of pools as 1."""
    if isinstance(node, tuple):
        return tuple(map(_narrowed, node))
    if not is_dataclass(node) or isinstance(node, type):
        return node
    if isinstance(node, ast.Call) and node.function.id in POOLS:
        return replace(node, args=tuple(map(_window, node.args)))
    return replace(node, **{f.name: _narrowed(getattr(node, f.name)) for f in fields(node) if f.name != "span"})


def _window(argument: ast.Expr) -> ast.Expr:
    wide = isinstance(argument, ast.Number) and argument.text.isdigit() and int(argument.text) > WIDEST
    return replace(argument, text="1") if wide else argument  # type: ignore[arg-type]
