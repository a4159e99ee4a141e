"""Arrays of a loop that is read by induction: integers that depend on the turn, for all turns at once; and rows kept of each."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from ntkc.verify.translation.expression import everywhere
from ntkc.verify.translation.field import Unread, Value
from ntkc.verify.translation.moves import MOVES, NUMPY, whole

Array: TypeAlias = Any


class NotInductive(Unread):
    """A loop that the reader cannot prove by induction."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Integers or booleans, (turns, ...)."""

    values: Array


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """What a loop keeps of each turn: the value of its first, and that of any turn."""

    first: Value
    every: Value


def _apart(*_: Any) -> NoReturn:
    raise NotInductive("a value of one turn of a loop, read outside of it")


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A slot of one turn; nothing is computed with it until a loop reads it at its own turn."""

    turn: int
    slot: Slot

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _apart
    form, number, field, times = (property(_apart) for _ in range(4))


def kept(turns: int, slots: Array) -> Array:
    """The rows of all turns, of an array of slots."""
    return np.stack([everywhere(partial(Kept, i), slots) for i in range(turns)])


def at_first(x: Array) -> Array:
    """An array with what was kept of the first turn as its values."""
    if not isinstance(x, np.ndarray) or x.dtype != object or not any(isinstance(v, Kept) for v in x.flat):
        return x
    return everywhere(lambda v: v.slot.first if isinstance(v, Kept) and v.turn == 0 else v, x)


def any_row(x: Array) -> Array:
    """The row that any turn reads, of rows."""
    return _common(np.asarray(x))


def _common(rows: Array) -> Array:
    """One array for what turn i reads as row i, all i."""
    found = np.empty(rows.shape[1:], dtype=object)
    for index in np.ndindex(*found.shape):
        column = [row[index] for row in rows]
        if all(v is column[0] for v in column) and not isinstance(column[0], Kept):
            found[index] = column[0]
            continue
        if not all(isinstance(v, Kept) and v.turn == i and v.slot is column[0].slot for i, v in enumerate(column)):
            raise NotInductive("a loop whose turns read other rows than those of their turn")
        found[index] = column[0].slot.every
    return found


def counted(equation: Any, inputs: list[Any]) -> Any:
    """A primitive on integers that depend on the turn: for every turn."""
    name, turns = equation.primitive.name, next(len(x.values) for x in inputs if isinstance(x, Turns))
    if name not in MOVES and name not in NUMPY and name != "convert_element_type":
        raise NotInductive(f"the primitive {name} of the number of the turn")
    if any(not isinstance(x, Turns) and x.dtype == object for x in inputs):
        return _looked_up(equation, inputs, turns)
    if name in NUMPY and all(x.values.ndim == 1 for x in inputs if isinstance(x, Turns)):
        plain = [x.values if isinstance(x, Turns) else x for x in inputs]
        found = np.asarray(NUMPY[name](*plain)).astype(equation.outvars[0].aval.dtype)
    else:
        found = np.stack([whole(equation, at) for at in _each(inputs, turns)])
    return found[0] if (found == found[:1]).all() else Turns(found)


def _each(inputs: list[Any], turns: int) -> list[list[Any]]:
    return [[np.asarray(x.values[i]) if isinstance(x, Turns) else x for x in inputs] for i in range(turns)]


def _looked_up(equation: Any, inputs: list[Any], turns: int) -> Array:
    """Entries at places that depend on the turn."""
    entries, *at = inputs
    if equation.primitive.name not in ("dynamic_slice", "gather") or isinstance(entries, Turns):
        raise NotInductive(f"the primitive {equation.primitive.name} of the number of the turn")
    places = np.arange(entries.size).reshape(entries.shape)
    moving = [k for k, x in enumerate(at) if isinstance(x, Turns)]
    params = {**equation.params, **({"fill_value": -1} if "fill_value" in equation.params else {})}

    def one(*numbers: Any) -> Any:
        given = list(map(jnp.asarray, _at_or(at, moving, numbers)))
        return equation.primitive.bind(jnp.asarray(places), *given, **params)

    with jax.enable_x64(True):
        found = np.asarray(jax.vmap(one)(*(jnp.asarray(at[k].values) for k in moving)))
    if len(found) != turns or found.min() < 0:
        raise NotInductive("a loop that reads beyond an array")
    return _common(np.array([*entries.flat, None], dtype=object)[:-1][found])


def _at_or(at: list[Any], moving: list[int], numbers: tuple[Any, ...]) -> list[Any]:
    """The same with these numbers at the moving places."""
    new = dict(zip(moving, numbers, strict=True))
    return [new.get(k, x) for k, x in enumerate(at)]
