"""Recursion -> values to any number of digits, with mpmath: slow, and written without a thought of speed.

Everything is a NumPy array of mpmath numbers: a moment of one sample has one axis for its positions (row-major; one position for
a vector), a table has one for those of x and one for those of x'.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import mpmath as mp
import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.backends import exact, matrices
from ntkc.backends.exact import agreement, callable_of, gram, is_map, number_of, ratio, root_of_gram, stem_of, windowed
from ntkc.backends.normalized import centred, normalized
from ntkc.gaussian.orthants import moment
from ntkc.ir.geometry import Given, Pool, Window
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.normalization import Normalization
from ntkc.ir.recursion import (
    SAME,
    Equation,
    PositionMap,
    Recursion,
    State,
    Step,
    at_second,
    given_symbol,
    map_name,
    of_self,
)
from ntkc.ir.sinusoids import Sinusoids

Memory: TypeAlias = dict[sp.Basic, Any]
SAMPLES = sp.Symbol("_samples")
"""How many samples of a batch stand on each side: the first axis of its positions."""


@dataclass(frozen=True, slots=True)
class Values:
    """Kernels of one pair of samples, by output; tables for a pair of batches."""

    nngp: dict[str, Any]
    ntk: dict[str, Any]


def evaluate(
    recursion: Recursion,
    x1: Sequence[Any],
    x2: Sequence[Any],
    digits: int = 50,
    params: Mapping[str, object] | None = None,
) -> Values:
    """NNGP and NTK of one pair; `x1[i]` is the array of the i-th input (positions..., d), then their adjacencies or masks.
    x1 is x2 counts as one sample.

    Up to 15 digits are computed in double precision, which is a thousand times faster; where that overflows, with more.
    """
    with mp.workdps(digits + 10), np.errstate(over="ignore", invalid="ignore"):
        machine = _Machine(recursion, x1, x2, dict(params or {}), float if digits <= 15 else mp.mpf)
        machine.run(recursion.steps)
        nngp = {o.name: machine.output(o.nngp) for o in recursion.outputs}
        ntk = {o.name: machine.output(o.ntk) for o in recursion.outputs if o.ntk is not None}
        overflown = digits <= 15 and not all(np.isfinite(np.asarray(v, float)).all() for v in (*nngp.values(), *ntk.values()))
        return evaluate(recursion, x1, x2, 16, params) if overflown else Values(nngp, ntk)


class _Machine:
    """Three memories: of x and of x' (in which `_2` is the same sample), and of what lies between them."""

    def __init__(
        self, recursion: Recursion, x1: Sequence[Any], x2: Sequence[Any], params: dict[str, object], number: Any
    ) -> None:
        self.recursion, self.number = recursion, number
        self.dtype = float if number is float else object
        count = len(recursion.inputs)
        self.shapes = [
            (np.shape(x) if node.type.tokens else np.shape(x)[:-1])[int(recursion.batches) :]
            for x, node in zip(x1[:count], recursion.inputs, strict=True)
        ]
        self.maps = {m.name: m for m in recursion.maps}
        self.given: Memory = {
            p.symbol: number(str(params[p.name])) if p.name in params else number(number_of(p.default))
            for p in recursion.parameters
        }
        self.calls = {dual.name: callable_of(dual, self.given, self.dtype) for dual in recursion.duals}
        self.calls["ratio"] = exact.ratios if number is float else np.vectorize(ratio, otypes=[self.dtype])
        self.calls["gram_root"] = root_of_gram
        self.calls["erf_moment"] = np.vectorize(lambda k, *entries: moment(int(k), list(entries)), otypes=[self.dtype])
        self._compiled: dict[sp.Expr, Any] = {}
        self._matrices: dict[str, Any] = {}
        self.alone = tuple({**self.given, SAME: number(1), **self._starts(x, x)} for x in (x1, x2))
        self.between = {**self.given, SAME: number(int(x1 is x2)), **self._starts(x1, x2)}

    def _starts(self, x1: Sequence[Any], x2: Sequence[Any]) -> Memory:
        names = [node.name for node in self.recursion.inputs]
        found: Memory = {SAMPLES: (len(x1[0]), len(x2[0])) if self.recursion.batches else (1, 1)}
        for data in self.recursion.data:
            i, j = names.index(data.first.name), names.index(data.second.name)
            c, a, b = data.symbols
            table_of = agreement if data.first.type.tokens else gram
            found[c] = found[of_self(c)] = table_of(x1[i], x2[j], self.dtype)
            for symbol, x in ((a, x1), (b, x2)):
                table = table_of(x[i], x[j], self.dtype)
                found[symbol] = np.diagonal(table).copy() if table.shape[0] == table.shape[1] else table[:, 0]
        for k, given in enumerate(self.recursion.givens, len(names)):
            for side, x in (("1", x1), ("2", x2)):
                found[given_symbol(given.name, side)] = np.vectorize(lambda v: self.number(float(v)), otypes=[self.dtype])(
                    np.transpose(x[k])
                )
        return found

    def run(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if isinstance(step, Equation):
                self._store(step.symbol, step.pair[3], self._everywhere(step.value, step.pair[3]))
                continue
            self._store_all(step.states, [self._everywhere(s.initial, s.pair[3]) for s in step.states])
            for _ in range(step.count):
                self.run(step.body)
                self._store_all(step.states, [self._everywhere(s.following, s.pair[3]) for s in step.states])
            for s in step.states:
                self._store(s.result, s.pair[3], self._everywhere(s.symbol, s.pair[3]))

    def output(self, value: sp.Expr) -> Any:
        found = _Value(self, self.between, 2).of(value)
        return +found if self.recursion.batches else +found.flat[0]

    def _everywhere(self, value: sp.Expr, side: str) -> tuple[Any, ...]:
        """Of x and of x', or between them."""
        axes = 1 if side == "1" else 2
        memories = (self.between,) if side == "12" else self.alone
        return tuple(_Value(self, memory, axes).of(value) for memory in memories)

    def _store_all(self, states: tuple[State, ...], values: list[tuple[Any, ...]]) -> None:
        for state, value in zip(states, values, strict=True):
            self._store(state.symbol, state.pair[3], value)

    def _store(self, symbol: sp.Symbol, side: str, values: tuple[Any, ...]) -> None:
        if side == "12":
            self.between[symbol] = values[0]
            return
        twin = at_second(symbol)
        for memory, value in zip(self.alone, values, strict=True):
            memory[symbol] = value
            if side == "1":
                memory[twin] = value
        if side == "1":
            self.between[symbol], self.between[twin] = values

    def scalar(self, expr: sp.Expr, symbols: list[sp.Basic]) -> Any:
        """A function of numbers, for arrays."""
        if expr not in self._compiled:
            if self.dtype is float:
                self._compiled[expr] = sp.lambdify(symbols, expr, [self.calls, "scipy", "numpy"])
            else:
                self._compiled[expr] = np.frompyfunc(sp.lambdify(symbols, expr, [self.calls, "mpmath"]), len(symbols), 1)
        return self._compiled[expr]

    def call(self, function: str | sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Any:
        """A dual by its name, or a formula, as a function of arrays."""
        if isinstance(function, str):
            return self.calls[function]
        free = sorted(function.free_symbols - set(symbols), key=str)
        compiled = self.scalar(function, [*symbols, *free])
        return lambda *values: compiled(*values, *(self.given[s] for s in free))

    def map(self, name: str) -> Any:
        """Taps or a matrix."""
        if name not in self._matrices:
            found = self.maps[name]
            grid = matrices.known(found, self.shapes)
            geometry = found.geometry
            assert not isinstance(geometry, MixingMatrix)
            build = matrices.taps if isinstance(geometry, Window) else matrices.matrix
            found_map = build(geometry, grid)  # type: ignore[arg-type]
            self._matrices[name] = (
                found_map if isinstance(geometry, Window) else np.array(found_map, dtype=object).astype(self.dtype)
            )
        return self._matrices[name]


class _Value:
    """An expression in one memory; `axes` is 1 for moments of one sample, 2 for tables."""

    def __init__(self, machine: _Machine, memory: Memory, axes: int) -> None:
        self.machine, self.memory, self.axes = machine, memory, axes

    def of(self, value: sp.Expr) -> Any:
        """Its array."""
        parts: Memory = {}
        inner = self._named(value, parts)
        back = {dummy: call for call, dummy in parts.items()}
        symbols = sorted(inner.free_symbols, key=str)
        arrays = [self._applied(back[s]) if s in back else self._read(s) for s in symbols]
        if SAME in symbols and self.axes == 2:  # where the positions agree
            arrays[symbols.index(SAME)] = self.memory[SAME] * exact.identity(np.broadcast_shapes(*map(np.shape, arrays)))
        if not symbols:
            return np.full((1,) * self.axes, self.machine.number(number_of(inner)), dtype=self.machine.dtype)
        named = {s: sp.Symbol(f"a{i}") for i, s in enumerate(symbols)}
        function = self.machine.scalar(inner.xreplace(named), list(named.values()))
        return np.broadcast_to(
            np.asarray(function(*arrays), dtype=self.machine.dtype), np.broadcast_shapes(*(np.shape(a) for a in arrays))
        )

    def _named(self, value: sp.Expr, parts: Memory) -> sp.Expr:
        """Outermost maps over positions as names."""
        if is_map(value, self.machine.maps):
            return parts.setdefault(value, sp.Dummy())
        return value.func(*(self._named(part, parts) for part in value.args)) if value.args else value

    def _read(self, symbol: sp.Basic) -> Any:
        array = self.memory[symbol]
        if self.axes == 2 and np.ndim(array) == 1:
            return array[None, :] if str(symbol).endswith("_2") else array[:, None]
        return array

    def _applied(self, call: AppliedUndef) -> Any:
        name = call.func.__name__
        if name.startswith("encoding"):
            return self._encoding(name)
        return self._normalized(name, call) if name.startswith(("_centred", "batch")) else self._mapped(name, call)

    def _mapped(self, name: str, call: AppliedUndef) -> Any:
        arrays = {str(s): np.ndim(self.memory.get(s, 0)) for s in call.free_symbols}
        if self.axes == 2 and name != "_zeros" and set(arrays.values()) == {1}:  # of one sample alone
            second = any(s.endswith("_2") for s in arrays)
            counts = self.memory[SAMPLES][::-1] if second else self.memory[SAMPLES]
            moment = _Value(self.machine, {**self.memory, SAMPLES: counts}, 1).of(call)
            return moment[None, :] if second else moment[:, None]
        if name == "diagonal":
            return np.diagonal(_Value(self.machine, self.memory, 2).of(call.args[0])).copy()
        if name == "matching":
            inside = _Value(self.machine, self.memory, self.axes).of(call.args[0])
            return exact.by_samples(inside, self.memory[SAMPLES], exact.matching) if self.axes == 2 else inside
        if name == "_zeros":
            sizes = [int(n) for n in call.args[1:]]
            half = len(sizes) // 2 or 1
            shape = [math.prod(sizes[:half]), math.prod(sizes[half:])][: self.axes]
            return np.zeros(shape, dtype=self.machine.dtype) + self.machine.number(0)
        if name == "flat_mean":
            inside = _Value(self.machine, self.memory, self.axes).of(call.args[0])
            return exact.by_samples(inside, self.memory[SAMPLES][: self.axes], exact.mean_of_matching)
        if name.endswith("_present"):
            return self._presence(name, _Value(self.machine, self.memory, 1).of(call.args[0]))
        stem = map_name(name)
        found = self.machine.maps[stem]
        if isinstance(found.geometry, MixingMatrix | Given):
            return self._mixed(found, stem, name, call)
        x = _Value(self.machine, self.memory, self.axes).of(call.args[0])
        coefficients_ = self.machine.map(stem)
        n = int(np.prod(matrices.known(found, self.machine.shapes)))
        both = isinstance(found.geometry, Window) or not name.endswith(("_left", "_right"))
        sides = (0, 1) if both else (int(name.endswith("_right")),)
        counts = self.memory[SAMPLES][: self.axes]
        x = np.broadcast_to(x, [n * counts[k] if k in sides or x.ndim == 1 else m for k, m in enumerate(x.shape)])
        if isinstance(found.geometry, Window):
            return exact.by_samples(x, counts, lambda v: windowed(v, coefficients_))
        m = coefficients_
        left, right = name.endswith("_left") or self.axes == 1, name.endswith("_right")
        return exact.by_samples(x, counts, m.dot if left else lambda v: (v if right else m.dot(v)).dot(m.T))

    def _encoding(self, name: str) -> Any:
        geometry = self.machine.maps[name.removesuffix("_alone")].geometry
        assert isinstance(geometry, Sinusoids)
        return exact.encoding(geometry, name.endswith("_alone"), self.machine.dtype)

    def _normalized(self, name: str, call: AppliedUndef) -> Any:
        tables = call.args[:-1] if len(call.args) > 1 else call.args
        arrays = [_Value(self.machine, self.memory, 2).of(table) for table in tables]
        if name == "_centred":
            return centred(arrays[0])
        law = self.machine.maps[stem := stem_of(name)].geometry
        assert isinstance(law, Normalization)
        kind, same = name.removeprefix(stem), call.args[-1] == SAME and bool(self.memory[SAME])
        return normalized(law, kind, arrays, same or kind == "_alone", self.machine.call, self.machine.number)

    def _presence(self, name: str, mask: Any) -> Any:
        """What is present after a map, or the last position that is."""
        if name == "_last_present":
            return np.array([m * int(not any(mask[i + 1 :])) for i, m in enumerate(mask)], dtype=self.machine.dtype)
        geometry = self.machine.maps[map_name(name)].geometry
        assert isinstance(geometry, Window | Pool)
        return matrices.present_after(geometry, mask)

    def _mixed(self, found: PositionMap, stem: str, name: str, call: AppliedUndef) -> Any:
        if name == stem:
            assert isinstance(found.geometry, MixingMatrix)
            table = _Value(self.machine, self.memory, 2).of(call.args[0])
            mask = None if len(call.args) < 2 else _Value(self.machine, self.memory, 1).of(call.args[1])
            mixed = matrices.mixing(found.geometry, table, mask, lambda e: _Value(self.machine, self.memory, 1).of(e)[()].flat[0])
            return mixed.astype(self.machine.dtype)
        mix, x = self.memory[call.args[0]], _Value(self.machine, self.memory, self.axes).of(call.args[1])
        n, side = mix.shape[1], int(name.endswith("_right"))
        x = np.broadcast_to(x, tuple(n if size == 1 and k == side else size for k, size in enumerate(x.shape)))
        return mix.dot(x) if name.endswith("_left") else x.dot(mix.T)
