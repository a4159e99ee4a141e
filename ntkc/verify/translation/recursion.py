"""Recursion -> exact values: every equation at every position, under a name of its own."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.backends import matrices
from ntkc.backends.exact import by_samples, stem_of
from ntkc.ir.geometry import Given, Window
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.normalization import Normalization
from ntkc.ir.recursion import SAME, Equation, LoopStep, Recursion, State, Step, at_second, given_symbol, map_name, of_self
from ntkc.ir.sinusoids import Sinusoids
from ntkc.verify.translation import functions as fn
from ntkc.verify.translation.batches import Batches, centred
from ntkc.verify.translation.duals import Duals
from ntkc.verify.translation.expression import everywhere, value_of
from ntkc.verify.translation.field import Field, Unread, Value, in_time
from ntkc.verify.translation.induction import Invariant, invariant
from ntkc.verify.translation.maps import applied, last_present, matching, matrix_of, mean_of_matching, mixed, presence

Memory: TypeAlias = dict[sp.Basic, Any]
Array: TypeAlias = Any
SAMPLES = sp.Symbol("_samples")
"""How many samples of a batch stand on each side: the first axis of its positions."""
PLACES = ("diagonal", "flat_mean", "matching", "_zeros", "_last_present", "_centred")


class Evaluation:
    """Three memories, as in the mpmath reference: of x, of x' and between them; moments of one sample have one axis."""

    def __init__(
        self,
        recursion: Recursion,
        field: Field,
        duals: Duals,
        given: Memory,
        samples: tuple[Sequence[Array], Sequence[Array]],
        deadline: float,
        written_out: Mapping[int, int] | None = None,
        batches: Batches | None = None,
    ) -> None:
        """Loops in `written_out` are read by induction, after so many turns that the code writes out before its own."""
        self.recursion, self.field, self.duals, self.deadline = recursion, field, duals, deadline
        self.names: list[tuple[int, str, Equation]] = []
        self.written_out, self.invariants = written_out or {}, list[Invariant]()
        count = len(recursion.inputs)
        x1, x2 = samples
        shapes = [np.shape(x) if n.type.tokens else np.shape(x)[:-1] for x, n in zip(x1[:count], recursion.inputs, strict=True)]
        self.shapes = [shape[int(recursion.batches) :] for shape in shapes]
        self.maps, self.batches = {m.name: m for m in recursion.maps}, batches or Batches(field, {}, {})
        self.alone = tuple({**given, SAME: self._one(1), **self._starts(x, x)} for x in samples)
        self.between: Memory = {**given, SAME: self._one(int(x1 is x2)), **self._starts(x1, x2)}

    def _one(self, k: int) -> Value:
        return self.field.constant(k)

    def _starts(self, x1: Sequence[Array], x2: Sequence[Array]) -> Memory:
        names = [node.name for node in self.recursion.inputs]
        found: Memory = {SAMPLES: (len(x1[0]), len(x2[0])) if self.recursion.batches else (1, 1)}
        for data in self.recursion.data:
            i, j = names.index(data.first.name), names.index(data.second.name)
            c, a, b = data.symbols
            tokens = data.first.type.tokens
            found[c] = found[of_self(c)] = self._gram(str(c), x1[i], x2[j], tokens)
            for symbol, x in ((a, x1), (b, x2)):
                table = self._gram(str(symbol), x[i], x[j], tokens)
                found[symbol] = np.diagonal(table).copy() if table.shape[0] == table.shape[1] else table[:, 0]
            if data.first is data.second:
                self._angles(str(c), found[c], found[a][:, None], found[b][None, :])
        for k, given in enumerate(self.recursion.givens, len(names)):
            for side, x in (("1", x1), ("2", x2)):
                found[given_symbol(given.name, side)] = np.transpose(x[k])
        return found

    def _gram(self, name: str, x: Array, y: Array, tokens: bool) -> Array:
        """<x_p, y_q> / d, or 1 where two tokens are the same."""
        if tokens:
            same = np.ravel(x)[:, None] == np.ravel(y)[None, :]
            return everywhere(lambda s: self._one(int(s)), same)
        rows, columns = (np.reshape(v, (-1, np.shape(v)[-1])) for v in (x, y))
        found = np.empty((len(rows), len(columns)), dtype=object)
        for p, u in enumerate(rows):
            for q, v in enumerate(columns):
                value = sum((s * t for s, t in zip(u, v, strict=True)), self.field.zero).times(Fraction(1, len(u)))
                found[p, q] = self._name(f"{name}[{p}, {q}]", value, all(s is t for s, t in zip(u, v, strict=True)))
        return found

    def _name(self, name: str, value: Value, positive: bool) -> Value:
        """Numbers and values that have a name need none."""
        form = value.form
        if form is not None and (not form or (len(form) == 1 and len(next(iter(form))) <= 1)):
            return value
        found = self.field.name(name, value, positive and bool(value.number > 0))
        fn.remember(value, found)
        return found

    def _angles(self, name: str, c: Array, a: Array, b: Array) -> list[Value]:
        """Names for d = (1 - c/sqrt(a b))/2 and 1 - d, which code by angle computes with."""
        found: list[Value] = []
        if not self.duals.degrees:
            return found
        half = self.field.constant(Fraction(1, 2))

        def one(c: Value, a: Value, b: Value) -> Value:
            if a.form != {} and b.form != {}:
                d = half - half * c * fn.power(a, Fraction(-1, 2)) * fn.power(b, Fraction(-1, 2))
                found.extend((self._name(f"d_{name}", d, True), self._name(f"e_{name}", half + half - d, True)))
            return c

        everywhere(one, c, a, b)
        return found

    # --- steps ----------------------------------------------------------------------------------------------------------

    def run(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if isinstance(step, Equation):
                self._equation(step)
                continue
            self._store_all([(s.symbol, s.pair[3], self._sides(s.initial, s.pair[3])) for s in step.states])
            if step.index in self.written_out:
                self.invariants.append(invariant(self, step, self.written_out[step.index]))
            else:
                for _ in range(step.count):
                    self.turn(step)
            self._store_all([(s.result, s.pair[3], self._sides(s.symbol, s.pair[3])) for s in step.states])
        for step in steps:
            if isinstance(step, Equation):
                self.angle(step)

    def turn(self, loop: LoopStep) -> None:
        """The body, and the states that it leaves."""
        self.run(loop.body)
        self._store_all([(s.symbol, s.pair[3], self._sides(s.following, s.pair[3])) for s in loop.states])

    def _equation(self, step: Equation) -> None:
        in_time(self.deadline)
        kind, p, q, side = step.pair
        known = len(self.field.atoms)
        positive = kind == "S" and p == q and side == "1"
        values = tuple(everywhere(lambda v: self._name(str(step.symbol), v, positive), a) for a in self._sides(step.value, side))
        self.names += [
            (i, atom.name, step) for i, atom in enumerate(self.field.atoms[known:], known) if atom.name == str(step.symbol)
        ]
        self.store(step.symbol, side, values)

    def angle(self, step: Equation | State) -> list[Value]:
        """Names for the angle of a second moment, when those of x and of x' are known."""
        if step.own is not None and step.pair[3] == "12" and not any(self.shapes):
            first, second = (Reader(self, memory, 1).of(step.own) for memory in self.alone)
            return self._angles(str(step.symbol), self.between[step.symbol], first[:, None], second[None, :])
        return []

    def _sides(self, value: sp.Expr, side: str) -> tuple[Array, ...]:
        """Of x and of x', or between them."""
        memories = (self.between,) if side == "12" else self.alone
        return tuple(Reader(self, memory, 1 if side == "1" else 2).of(value) for memory in memories)

    def _store_all(self, found: list[tuple[sp.Symbol, str, tuple[Array, ...]]]) -> None:
        for symbol, side, values in found:
            self.store(symbol, side, values)

    def store(self, symbol: sp.Symbol, side: str, values: tuple[Array, ...]) -> None:
        if side == "12":
            self.between[symbol] = values[0]
            return
        for memory, value in zip(self.alone, values, strict=True):
            memory[symbol] = value
            if side == "1":
                memory[at_second(symbol)] = value
        if side == "1":
            self.between[symbol], self.between[at_second(symbol)] = values

    def output(self, value: sp.Expr) -> Array:
        """A kernel of the pair, or of the samples of two batches."""
        return np.broadcast_to(Reader(self, self.between, 2).of(value), self.between[SAMPLES])


class Reader:
    """Expressions in one memory; `axes` is 1 for moments of one sample, 2 for tables."""

    def __init__(self, evaluation: Evaluation, memory: Mapping[sp.Basic, Any], axes: int) -> None:
        self.own, self.memory, self.axes = evaluation, memory, axes

    def of(self, value: sp.Expr) -> Array:
        """Its array."""
        parts: Memory = {}
        inner = self._named(value, parts)
        calls = {dummy: call for call, dummy in parts.items()}
        symbols = sorted(inner.free_symbols, key=str)
        arrays = [self._applied(calls[s]) if s in calls else self._read(s) for s in symbols]
        field, duals = self.own.field, self.own.duals

        def one(*entries: Value) -> Value:
            return value_of(field, inner, dict(zip(symbols, entries, strict=True)), duals)

        if not symbols:
            return everywhere(lambda _: one(), np.zeros((1,) * self.axes))
        found = everywhere(one, *arrays)
        return found if found.ndim else found.reshape((1,) * self.axes)

    def _named(self, value: sp.Expr, parts: Memory) -> sp.Expr:
        """Outermost maps over positions as names."""
        if isinstance(value, AppliedUndef):
            name = value.func.__name__
            if name in PLACES or stem_of(name) in self.own.maps:
                return parts.setdefault(value, sp.Dummy())
        return value.func(*(self._named(part, parts) for part in value.args)) if value.args else value

    def _read(self, symbol: sp.Basic) -> Array:
        array = self.memory[symbol]
        if symbol == SAME and self.axes == 2:
            rows, columns = (prod(self.own.shapes[0]) * n for n in self.memory[SAMPLES])
            places = np.eye(rows, columns, dtype=int)
            return everywhere(lambda i, s: s if i else self.own.field.zero, places, np.asarray(array, dtype=object))
        if self.axes == 2 and np.ndim(array) == 1:
            return array[None, :] if str(symbol).endswith("_2") else array[:, None]
        return array

    def _applied(self, call: AppliedUndef) -> Array:
        name, zero = call.func.__name__, self.own.field.zero
        if name == "_centred" or stem_of(name) in self.own.batches.laws:
            return self._normalized(name, call)
        axes = {str(s): np.ndim(self.memory.get(s, 0)) for s in call.free_symbols}
        if self.axes == 2 and name != "_zeros" and set(axes.values()) == {1}:  # of one sample alone
            second = any(s.endswith("_2") for s in axes)
            counts = self.memory[SAMPLES][::-1] if second else self.memory[SAMPLES]
            moment = Reader(self.own, {**self.memory, SAMPLES: counts}, 1).of(call)
            return moment[None, :] if second else moment[:, None]
        if name == "diagonal":
            return np.diagonal(Reader(self.own, self.memory, 2).of(call.args[0])).copy()
        if name == "_zeros":
            sizes = [int(n) for n in call.args[1:]]
            half = len(sizes) // 2 or 1
            return np.full([prod(sizes[:half]), prod(sizes[half:])][: self.axes], zero, dtype=object)
        if name.endswith("_present"):
            mask = Reader(self.own, self.memory, 1).of(call.args[0])
            return last_present(mask) if name == "_last_present" else presence(self.own.maps[map_name(name)], mask)
        if isinstance(found := getattr(self.own.maps.get(map_name(name)), "geometry", None), MixingMatrix | Given):
            return self._mixed(found, map_name(name), name, call)
        inside = Reader(self.own, self.memory, self.axes).of(call.args[0])
        counts = self.memory[SAMPLES][: self.axes]
        if name == "matching":
            return by_samples(inside, counts, lambda v: matching(v, zero)) if self.axes == 2 else inside
        return by_samples(inside, counts, lambda v: mean_of_matching(v, zero)) if name == "flat_mean" else self._map(name, inside)

    def _normalized(self, name: str, call: AppliedUndef) -> Array:
        """Tables less means, and integrals over a batch."""
        tables = call.args[:-1] if len(call.args) > 1 else call.args
        arrays = [Reader(self.own, self.memory, 2).of(table) for table in tables]
        if name == "_centred":
            return centred(self.own.field, arrays[0])
        same = len(arrays) == 1 or (call.args[-1] == SAME and bool(self.memory[SAME].number))
        return self.own.batches(name, arrays, same)

    def _map(self, name: str, x: Array) -> Array:
        found = self.own.maps[stem_of(name)]
        if isinstance(found.geometry, Sinusoids):
            raise Unread("sinusoids over infinitely many channels")
        geometry = found.geometry
        assert not isinstance(geometry, Normalization)
        grid = matrices.known(found, self.own.shapes)
        window = isinstance(geometry, Window)
        both = window or not name.endswith(("_left", "_right"))
        sides = [k for k in range(x.ndim) if both or x.ndim == 1 or k == int(name.endswith("_right"))]
        counts = self.memory[SAMPLES][: self.axes]
        x = np.broadcast_to(x, [prod(grid) * counts[k] if k in sides else m for k, m in enumerate(x.shape)])
        settle: Callable[[Value], Value] = self.own.field.settled
        return by_samples(x, counts, lambda v: applied(geometry, grid, v, sides, self.own.field.zero, settle))

    def _mixed(self, geometry: MixingMatrix | Given, stem: str, name: str, call: AppliedUndef) -> Array:
        if name == stem:
            if not isinstance(geometry, MixingMatrix):
                raise Unread(f"the map {name}")
            table = Reader(self.own, self.memory, 2).of(call.args[0])
            mask = None if len(call.args) < 2 else Reader(self.own, self.memory, 1).of(call.args[1])
            scale, shift = (Reader(self.own, self.memory, 1).of(e).flat[0] for e in (geometry.scale, geometry.shift))
            return mixed(geometry, table, mask, scale, shift)
        mix, x = self.memory[call.args[0]], Reader(self.own, self.memory, self.axes).of(call.args[1])
        side = int(name.endswith("_right")) if self.axes == 2 else 0
        x = np.broadcast_to(x, tuple(mix.shape[1] if k == side and m == 1 else m for k, m in enumerate(x.shape)))
        return matrix_of(mix, x, side, self.own.field.zero, self.own.field.settled)
