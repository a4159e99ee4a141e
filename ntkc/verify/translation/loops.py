"""A loop of the jaxpr by induction: what it carries is a fixed function of the recursion's states, at its start and at any turn.

Each entry that is carried is an entry of a state or of its angle, times a factor that no turn changes, or such a factor alone.
Which one is guessed from the first turn; that it is so at the start, and that a turn keeps it, is proven.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from jax.extend.core import ClosedJaxpr

from ntkc.verify.translation import functions as fn
from ntkc.verify.translation.expression import everywhere
from ntkc.verify.translation.field import Field, Value
from ntkc.verify.translation.induction import Invariant
from ntkc.verify.translation.monomials import alike, key
from ntkc.verify.translation.turns import NotInductive, Slot, Turns, any_row, at_first, kept

Array: TypeAlias = Any
Run: TypeAlias = Callable[[ClosedJaxpr, list[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class Carried:
    """`place` of a snapshot times `factor`; without a place the factor alone."""

    place: int | None
    factor: Value | None

    def at(self, snapshot: list[Value]) -> Value:
        if self.place is None:
            assert self.factor is not None
            return self.factor
        return snapshot[self.place] if self.factor is None else snapshot[self.place] * self.factor


@dataclass(frozen=True, slots=True)
class Loops:
    """The loops of the recursion that loops of the code are compared with."""

    field: Field
    invariants: list[Invariant]

    def read(self, params: dict[str, Any], inputs: list[Array], run: Run) -> list[Array] | None:
        """What a scan gives, if it is one of these loops."""
        for invariant in self.invariants:
            if invariant.turns == params["length"] and not params["reverse"]:
                try:
                    return _Induction(self.field, invariant, run).scan(params, inputs)
                except NotInductive:
                    continue
        return None


@dataclass(frozen=True, slots=True)
class _Induction:
    field: Field
    invariant: Invariant
    run: Run

    def scan(self, params: dict[str, Any], inputs: list[Array]) -> list[Array]:
        n, m, body = params["num_consts"], params["num_carry"], params["jaxpr"]
        fixed, state, rows = inputs[:n], inputs[n : n + m], inputs[n + m :]
        first = self.run(body, [*map(at_first, fixed), *state, *(np.asarray(at_first(x)[0]) for x in rows)])
        carried = [self._matched(x, y) for x, y in zip(state, first[:m], strict=True)]
        before = [self._before(c) for c in carried]
        found = self.run(body, [*fixed, *before, *map(any_row, rows)])
        for c, x in zip(carried, found[:m], strict=True):
            self._keeps(c, x)
        after = [c[-1] if isinstance(c, np.ndarray) and c.dtype != object else self._at(c, self.invariant.last) for c in carried]
        return [*after, *(self._kept(x, y) for x, y in zip(first[m:], found[m:], strict=True))]

    def _matched(self, x: Array, y: Array) -> Array:
        """Counters as their numbers at the start of each turn and after the last; other entries by what they stand for."""
        if x.dtype != object:
            if x.shape or x.dtype == bool:
                raise NotInductive("a loop that carries integers")
            return x + (y - x) * np.arange(self.invariant.turns + 1, dtype=x.dtype)
        return everywhere(self._stands_for, x, y)

    def _stands_for(self, x: Value, y: Value) -> Carried:
        entry, following = self.invariant.entry, self.invariant.following
        for k, (u, v) in enumerate(zip(entry, following, strict=True)):
            if key(u.number) == key(x.number) and alike(v.number, y.number) and self.field.equal(u, x, "a loop's start"):
                return Carried(k, None)
        if x.form is not None and x.form == y.form:
            return Carried(None, x)
        for k, (u, v) in enumerate(zip(entry, following, strict=True)):
            if u.number and v.number and alike(x.number / u.number, y.number / v.number):
                factor = self.field.settled(x * fn.power(u, Fraction(-1)))
                if self.field.equal(u * factor, x, "a loop's start"):
                    return Carried(k, factor)
        raise NotInductive("a loop that carries what is no state of the recursion")

    def _at(self, carried: Array, snapshot: list[Value]) -> Array:
        return everywhere(lambda c: c.at(snapshot), carried)

    def _before(self, carried: Array) -> Any:
        return self._at(carried, self.invariant.before) if carried.dtype == object else Turns(carried[:-1])

    def _keeps(self, carried: Array, found: Any) -> None:
        """After a turn everything carried stands for the same again."""
        if carried.dtype != object:
            if not isinstance(found, Turns) or not np.array_equal(found.values, carried[1:]):
                raise NotInductive("a loop that counts otherwise than by steps")
            return
        for c, x in zip(carried.flat, np.broadcast_to(found, carried.shape).flat, strict=True):
            if not self.field.equal(x, c.at(self.invariant.after), "what a turn carries on"):
                raise NotInductive("a loop whose turn is not that of the recursion")

    def _kept(self, first: Array, every: Any) -> Array:
        if isinstance(every, Turns) or first.dtype != object:
            raise NotInductive("a loop that keeps integers")
        return kept(self.invariant.turns, everywhere(Slot, first, every))
