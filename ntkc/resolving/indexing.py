"""Indices and `concat`: expressions over positions."""

from abc import ABC, abstractmethod

import sympy as sp

from ntkc.diagnostics import did_you_mean
from ntkc.ir import syntax as ast
from ntkc.layers.join import Embed, axis_names
from ntkc.layers.select import Last, Slice
from ntkc.resolving.builder import Builder
from ntkc.resolving.problem import fail
from ntkc.resolving.scope import Scope
from ntkc.source import Span


class Indexing(ABC):
    """The part of the expressions that picks and joins positions."""

    builder: Builder

    @abstractmethod
    def integer(self, expr: ast.Expr, scope: Scope, what: str) -> int:
        """An integer known at compile time."""

    @abstractmethod
    def _operand(self, call: ast.Call, scope: Scope) -> sp.Expr:
        """The one value that a call is applied to."""

    def _concat(self, call: ast.Call, scope: Scope) -> sp.Expr:
        """Along the channels, or along a spatial axis by its name."""
        if len(call.args) < 2:
            fail("wrong-arguments", "`concat` takes at least two values", call.span, f"{len(call.args)} given")
        for keyword in call.keywords:
            if keyword.name.id != "axis":
                fail("unknown-argument", f"`concat` has no argument `{keyword.name.id}`", keyword.name.span, "it takes axis")
        values = [self._operand(ast.Call(call.function, (arg,), (), arg.span), scope) for arg in call.args]
        expr = call.keywords[0].value if call.keywords else None
        axis = "channel" if expr is None else expr.id if isinstance(expr, ast.Name) else ""
        if axis == "channel":
            return self.builder.concat(values, self._shares(values), call.span)
        names = axis_names(len(self.builder.place(values[0]).grid))
        if axis not in names:
            where = expr.span if expr is not None else call.span
            fail("bad-argument", f"`axis` must be one of {', '.join(('channel', *names))}", where, did_you_mean(axis, names))
        k = names.index(axis)
        sizes = [self.builder.place(value).grid for value in values]
        if any(n is None for grid in sizes for n in grid):
            fail("bad-positions", "`concat` cannot be applied here", call.span, "the number of positions must be known")
        total, start, parts = sum(grid[k] or 0 for grid in sizes), 0, list[sp.Expr]()
        for value, grid in zip(values, sizes, strict=True):
            parts.append(self.builder.positional(Embed(k, start, total), value, call.span))
            start += grid[k] or 0
        return self.builder.symbol(self.builder.materialize(sp.Add(*parts), call.span))

    def _shares(self, values: list[sp.Expr]) -> list[sp.Expr]:
        widths = [self.builder.width(value) for value in values]
        if None in widths:
            return [sp.Rational(1, len(values))] * len(values)
        return [sp.Rational(w, sum(w or 0 for w in widths)) for w in widths]

    def _index(self, value: sp.Expr, indices: tuple[ast.Expr | ast.Slice, ...], span: Span, scope: Scope) -> sp.Expr:
        if not self.builder.reads(value):
            fail("no-value", "a number cannot be indexed", span, "this is a number")
        if len(indices) == 1 and isinstance(indices[0], ast.Name) and indices[0].id == "last":
            return self.builder.positional(Last(), value, span)
        chosen = tuple(self._one_index(i, scope) for i in indices)
        last = chosen == (-1,) and len(self.builder.place(value).grid) == 1  # of sequences that come padded, the last one present
        return self.builder.positional(Last() if last else Slice(chosen), value, span)

    def _one_index(self, index: ast.Expr | ast.Slice, scope: Scope) -> tuple[int | None, int | None, int | None] | int:
        if not isinstance(index, ast.Slice):
            return self.integer(index, scope, "an index")
        start, stop, step = (
            None if e is None else self.integer(e, scope, "an index") for e in (index.start, index.stop, index.step)
        )
        if step == 0:
            fail("bad-argument", "the step of a slice must not be 0", index.span)
        return start, stop, step
