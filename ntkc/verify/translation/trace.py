"""Emitted module -> jaxprs, with the named expectations kept as calls and `math` exact."""

from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Primitive
from jax.interpreters import batching

from ntkc.verify.translation.constants import exact_math

CALL = Primitive("ntkc_call")
"""A function of the module, elementwise on arrays of one shape, of which only the name is kept."""


def _shape_of(first: Any, *others: Any, function: str) -> Any:
    return first


CALL.def_abstract_eval(_shape_of)  # type: ignore[no-untyped-call]


def _batched(arguments: Any, axes: Any, *, function: str) -> Any:
    """The batch axis in front of each argument."""
    size = next(v.shape[a] for v, a in zip(arguments, axes, strict=True) if a is not None)
    front = [
        jnp.broadcast_to(v, (size, *v.shape)) if a is None else jnp.moveaxis(v, a, 0)
        for v, a in zip(arguments, axes, strict=True)
    ]
    return CALL.bind(*front, function=function), 0  # type: ignore[no-untyped-call]


batching.primitive_batchers[CALL] = _batched


MOMENT = "_erf_moment"
"""Its first argument is a number of Python, and becomes a part of the name."""


def _kept(name: str) -> Callable[..., Any]:
    """A function that leaves a call in the jaxpr."""
    if name == MOMENT:
        return lambda bells, *entries: _kept(f"{MOMENT} {bells}")(*entries)

    def call(*arguments: Any, **named: Any) -> Any:
        every = [v for v in (*arguments, *named.values()) if v is not None]
        shape = jnp.broadcast_shapes(*(jnp.shape(v) for v in every))
        return CALL.bind(*(jnp.broadcast_to(jnp.asarray(v, jnp.float64), shape) for v in every), function=name)  # type: ignore[no-untyped-call]

    return call


TABLE = Primitive("ntkc_table")
"""A moment of values normalized over the batch: a function of tables, of which only the name is kept."""


def _table_of(*inputs: Any, function: str, same: bool, count: int) -> Any:
    places = [v.shape[: v.ndim // 2] for v in inputs[max(count - 2, 0) : count]]
    return jax.core.ShapedArray((*places[0], *(places[1] if count > 1 else ())), np.dtype("float64"))


TABLE.def_abstract_eval(_table_of)  # type: ignore[no-untyped-call]


def _kept_table(name: str) -> Callable[..., Any]:
    count = 1 if name.endswith("_alone") else 4 if name.endswith("_tangent") else 3

    def call(*arguments: Any) -> Any:
        same = count == 1 or bool(arguments[count])
        inputs = [jnp.asarray(v, jnp.float64) for v in (*arguments[:count], *arguments[count + (count > 1) :])]
        return TABLE.bind(*inputs, function=name, same=same, count=count)  # type: ignore[no-untyped-call]

    return call


def opened(module: ModuleType, names: Sequence[str], tables: Sequence[str] = ()) -> dict[str, Any]:
    """A copy of the module's namespace in which these functions stay calls."""
    space = dict(vars(module))
    for name, value in vars(module).items():
        function = getattr(value, "__wrapped__", value)
        if isinstance(function, FunctionType) and function.__globals__ is vars(module):
            space[name] = _moved(function, space)
    space["math"] = exact_math()
    space |= {name: _kept(name) for name in names if name in space}
    space |= {name: _kept_table(name) for name in tables if name in space}
    return space


def _moved(function: FunctionType, space: dict[str, Any]) -> FunctionType:
    """The same function among other globals."""
    found = FunctionType(function.__code__, space, function.__name__, function.__defaults__, function.__closure__)
    found.__kwdefaults__ = function.__kwdefaults__
    return found


def jaxpr_of(function: Callable[..., Any], *like: Any) -> tuple[ClosedJaxpr, Any]:
    """The jaxpr for arguments of these shapes and types, and the structure of what it gives."""
    with jax.enable_x64(True):
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*like)
    return closed, jax.tree.structure(shapes)
