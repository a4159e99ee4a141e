"""Primitives that only move entries, by what JAX itself does with their numbers; and arithmetic of integers and booleans."""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from ntkc.verify.translation.field import Field, Unread

Array: TypeAlias = Any
MOVES = {
    "broadcast_in_dim": (0,),
    "reshape": (0,),
    "squeeze": (0,),
    "expand_dims": (0,),
    "transpose": (0,),
    "rev": (0,),
    "slice": (0,),
    "dynamic_slice": (0,),
    "gather": (0,),
    "split": (0,),
    "pad": (0, 1),
    "dynamic_update_slice": (0, 1),
    "select_n": None,
    "concatenate": None,
    "stack": None,
    "scatter": (0, 2),
}
"""Which operands hold the entries; None: all that are arrays of values."""


def moved(equation: Any, inputs: list[Array], field: Field) -> Array:
    """The equation's own primitive on the places of the entries, or on the numbers where there are no values."""
    if not any(x.dtype == object for x in inputs):
        if equation.outvars[0].aval.dtype.kind == "f":
            raise Unread(f"the primitive {equation.primitive.name} that makes floats")
        return whole(equation, inputs)
    entries: list[Any] = []
    places = []
    for x in inputs:
        if x.dtype != object:
            places.append(x)
            continue
        places.append(np.arange(len(entries), len(entries) + x.size).reshape(x.shape))
        entries += list(x.flat)
    found = _quick(equation, places)
    if found is None:  # a gather fills with NaN, which is no place
        found = _run(equation, places, {"fill_value": -1} if "fill_value" in equation.params else {})
    if found.size and (found.min() < 0 or found.max() >= len(entries)):
        raise Unread(f"the primitive {equation.primitive.name}, which reads beyond an array")
    return np.array([*entries, None], dtype=object)[:-1][found] if found.ndim else np.asarray(_boxed(entries[int(found)]))


def _boxed(entry: Any) -> Array:
    box = np.empty((), dtype=object)
    box[()] = entry
    return box


NUMPY = {
    "lt": np.less,
    "gt": np.greater,
    "le": np.less_equal,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "and": np.logical_and,
    "min": np.minimum,
    "max": np.maximum,
}


def whole(equation: Any, inputs: list[Array]) -> Array:
    """Integers and booleans; the common ones by NumPy, which compiles nothing."""
    name, aval = equation.primitive.name, equation.outvars[0].aval
    if name in NUMPY and (name != "and" or aval.dtype == bool):
        return np.asarray(NUMPY[name](*inputs)).astype(aval.dtype)
    if name == "convert_element_type":
        return inputs[0].astype(aval.dtype)
    if name == "iota":
        along = [-1 if k == equation.params["dimension"] else 1 for k in range(len(aval.shape))]
        return np.broadcast_to(np.arange(aval.shape[equation.params["dimension"]], dtype=aval.dtype).reshape(along), aval.shape)
    found = _quick(equation, inputs)
    return _run(equation, inputs) if found is None else found


def _run(equation: Any, inputs: list[Array], other: dict[str, Any] | None = None) -> Array:
    with jax.enable_x64(True):
        found = equation.primitive.bind(*map(jnp.asarray, inputs), **{**equation.params, **(other or {})})
        return np.asarray(found[0] if equation.primitive.multiple_results else found)


def _quick(equation: Any, x: list[Array]) -> Array | None:
    """The common ones by NumPy, which compiles nothing."""
    params = equation.params
    shape = equation.outvars[0].aval.shape
    match equation.primitive.name:
        case "reshape" | "squeeze" | "expand_dims":
            return x[0].reshape(shape)
        case "transpose":
            return np.transpose(x[0], params["permutation"])
        case "broadcast_in_dim":
            wide = [1] * len(shape)
            for k, axis in enumerate(params["broadcast_dimensions"]):
                wide[axis] = x[0].shape[k]
            return np.broadcast_to(x[0].reshape(wide), shape)
        case "slice":
            steps = params["strides"] or (1,) * x[0].ndim
            return x[0][tuple(map(slice, params["start_indices"], params["limit_indices"], steps))]
        case "dynamic_slice":
            sizes = params["slice_sizes"]
            starts = [min(max(int(i), 0), n - m) for i, n, m in zip(x[1:], x[0].shape, sizes, strict=True)]
            return x[0][tuple(slice(i, i + m) for i, m in zip(starts, sizes, strict=True))]
        case "select_n":
            return np.choose(np.broadcast_to(x[0].astype(int), shape), x[1:])
        case "concatenate":
            return np.concatenate(x, params["dimension"])
        case "stack":
            return np.stack(x, params["axis"])
        case "pad" if all(low >= 0 and high >= 0 and not inside for low, high, inside in params["padding_config"]):
            return np.pad(x[0], [(low, high) for low, high, _ in params["padding_config"]], constant_values=x[1])
        case "rev":
            return np.flip(x[0], params["dimensions"])
        case "dynamic_update_slice":
            starts = [min(max(int(i), 0), n - m) for i, n, m in zip(x[2:], x[0].shape, x[1].shape, strict=True)]
            found = x[0].copy()
            found[tuple(slice(i, i + m) for i, m in zip(starts, x[1].shape, strict=True))] = x[1]
            return found
        case _:
            return None
