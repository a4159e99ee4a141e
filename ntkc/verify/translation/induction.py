"""LoopStep -> Invariant: a loop of the recursion, its body once on values of which nothing is known but what every turn keeps.

Before a turn each entry of a state is a fresh symbol. Entries that are equal when the loop begins may share one, and an entry may
keep the value that it begins with, where the body is seen to keep this: then it holds at every turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import mpmath as mp
import numpy as np
from jax.extend.core import ClosedJaxpr
from sympy.core.function import AppliedUndef

from ntkc.ir.recursion import LoopStep, State, Step
from ntkc.verify.translation.field import Field, Unread, Value
from ntkc.verify.translation.monomials import key

if TYPE_CHECKING:
    from ntkc.verify.translation.recursion import Evaluation

Array: TypeAlias = Any
FEWEST, REFINED = 2, 5
PARTS = 10**15


@dataclass(frozen=True, slots=True)
class Invariant:
    """The entries of all states, and of their angles: when the code's loop begins, a turn later, before and after any turn, and
    after the last."""

    turns: int
    """That are left to the code's loop."""
    entry: list[Value]
    following: list[Value]
    before: list[Value]
    after: list[Value]
    last: list[Value]


def inductive(step: LoopStep) -> bool:
    """Whether it repeats one body on whole states; a scan fills tables cell by cell."""
    flat = not any(isinstance(inner, LoopStep) for inner in step.body)
    return flat and not any(call.func.__name__ == "_zeros" for s in step.states for call in s.initial.atoms(AppliedUndef))


def written_out(steps: Sequence[Step], code: ClosedJaxpr) -> dict[int, int]:
    """For each loop how many of its turns the code writes out before its own. The lengths of its loops suggest it; that it is so
    is proven with the loop."""
    lengths = set(_lengths(code.jaxpr))
    loops = [s for s in steps if isinstance(s, LoopStep) and inductive(s)]
    return {s.index: next((k for k in (0, 1) if s.count - k in lengths), 0) for s in loops}


def _lengths(jaxpr: Any) -> Iterator[int]:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation.params["length"]
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            if hasattr(inner, "eqns"):
                yield from _lengths(getattr(inner, "jaxpr", inner))


def invariant(own: "Evaluation", step: LoopStep, written_out: int) -> Invariant:
    """After the turns that the code writes out before its loop; leaves the states after the last turn in place."""
    return _Search(own, step).found(written_out)


class _Search:
    def __init__(self, own: "Evaluation", step: LoopStep) -> None:
        self.own, self.step, self.field = own, step, own.field
        self.source = np.random.default_rng([step.index, 11])

    def found(self, written_out: int) -> Invariant:
        turns = self.step.count - written_out
        if turns < FEWEST:
            raise Unread(f"a loop of {turns} turns by induction")
        for _ in range(written_out):
            self.own.turn(self.step)
        start, angles = self._read(), self._angles()
        self.own.turn(self.step)
        second = self._read()
        self.shapes = [np.shape(a) for a in second]
        start = [np.broadcast_to(a, shape) for a, shape in zip(start, self.shapes, strict=True)]
        entry, following = [*_flat(start), *angles], [*_flat(second), *self._angles()]
        before, after = self._generic([_flat(start), _flat(second)])
        last = self._put(self._fresh())
        return Invariant(turns, entry, following, before, after, last)

    def _generic(self, seen: list[list[Value]]) -> tuple[list[Value], list[Value]]:
        """The states before and after a turn, with as many equal entries as the turn keeps equal."""
        self.variances = self._variances()
        known = len(self.own.names)
        for _ in range(REFINED):
            self.labels, self.still = _classes(self.field, seen), _still(seen)
            self.sizes = [v.number for v in seen[1]]
            del self.own.names[known:]
            before = self._put(self._fresh())
            self.own.turn(self.step)
            states = _flat(self._read())
            seen = [*seen, states]
            if _classes(self.field, seen) == self.labels and _still(seen) == self.still:
                return before, [*states, *self._angles()]
        raise Unread("a loop whose states keep no equalities")

    def _fresh(self) -> list[Value]:
        """One symbol for each class, with a number that no turn has; products stay below those of variances."""
        found: dict[int, Value] = {}
        for i, label in enumerate(self.labels):
            if label not in found:
                members = [j for j, other in enumerate(self.labels) if other == label]
                found[label] = self._symbol(i, any(self.variances[j] for j in members))
        return [found[label] for label in self.labels]

    def _symbol(self, i: int, variance: bool) -> Value:
        if i in self.still:
            return self.still[i]
        part = mp.mpf(int(self.source.integers(1, PARTS))) / PARTS
        number = self.sizes[i] * (1 + part / 2 if variance else (9 + part) / 10)
        if not number:
            raise Unread("a state that is 0 in one turn and not in another")
        return self.field.fresh(f"state {i} of loop {self.step.index}", number, variance and bool(number > 0))

    # --- the states -----------------------------------------------------------------------------------------------------

    def _read(self) -> list[Array]:
        return [memory[s.symbol] for s in self.step.states for memory in self._memories(s)]

    def _memories(self, state: State) -> tuple[Any, ...]:
        return (self.own.between,) if state.pair[3] == "12" else self.own.alone

    def _put(self, values: list[Value]) -> list[Value]:
        """Stores entries as the states, and gives them with their angles."""
        rest, shapes = iter(values), iter(self.shapes)
        for state in self.step.states:
            arrays = []
            for _ in self._memories(state):
                array = np.empty(next(shapes), dtype=object)
                for index in np.ndindex(*array.shape):
                    array[index] = next(rest)
                arrays.append(array)
            self.own.store(state.symbol, state.pair[3], tuple(arrays))
        return [*values, *self._angles()]

    def _angles(self) -> list[Value]:
        return [v for state in self.step.states for v in self.own.angle(state)]

    def _variances(self) -> list[bool]:
        found: list[bool] = []
        shapes = iter(self.shapes)
        for state in self.step.states:
            kind, p, q, side = state.pair
            for _ in self._memories(state):
                own = np.zeros(next(shapes), dtype=bool)
                if kind == "S" and p == q and side != "12":
                    own |= np.eye(len(own), dtype=bool) if own.ndim == 2 else True
                found += list(own.flat)
        return found


def _flat(arrays: list[Array]) -> list[Value]:
    return [v for array in arrays for v in array.flat]


def _classes(field: Field, seen: list[list[Value]]) -> list[int]:
    """For each entry the first one that equals it whenever it was seen."""
    labels: list[int] = []
    firsts: dict[object, list[int]] = {}
    for i, values in enumerate(zip(*seen, strict=True)):
        known = firsts.setdefault(tuple(key(v.number) for v in values), [])
        like = (j for j in known if all(field.equal(s[j], v, "equal states") for s, v in zip(seen, values, strict=True)))
        labels.append(next(like, i))
        if labels[-1] == i:
            known.append(i)
    return labels


def _still(seen: list[list[Value]]) -> dict[int, Value]:
    """The entries that had one value whenever they were seen: they start with it, and a turn does not change it."""
    return {i: v for i, v in enumerate(seen[0]) if v.form is not None and all(s[i].form == v.form for s in seen)}
