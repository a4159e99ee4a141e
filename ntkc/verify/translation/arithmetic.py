"""What the primitives of arithmetic mean for exact values."""

from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from ntkc.verify.translation import functions as fn
from ntkc.verify.translation.field import Field, Unread, Value

Params = dict[str, Any]
HALF = Fraction(1, 2)


def _exponential(_: Params, x: Value) -> Value:
    """Of minus infinity, the logit of what is not seen, 0."""
    return x.field.zero if x.form is None and x.number == -np.inf else fn.exp(x)


def _divided(_: Params, x: Value, y: Value) -> Value:
    return x.field.zero if y.form is None and y.number == np.inf else x * fn.power(y, Fraction(-1))


def _power(_: Params, x: Value, y: Value) -> Value:
    if y.form == {}:
        return x.field.constant(1)
    if y.form is None or set(y.form) != {()}:
        raise Unread("a power with an exponent that is not a number")
    return fn.power(x, y.form[()])


def _whole(k: int | Fraction) -> Callable[..., Value]:
    return lambda params, x: fn.power(x, Fraction(k))


def _clamped(_: Params, low: Value, x: Value, high: Value) -> Value:
    return fn.minimum(fn.maximum(x, low), high)


def _opaque(name: str) -> Callable[..., Value]:
    return lambda params, x: fn.opaque(name, x)


def _sigmoid(_: Params, x: Value) -> Value:
    return fn.power(x.field.constant(1) + fn.exp(-x), Fraction(-1))


ARITHMETIC: dict[str, Callable[..., Value]] = {
    "add": lambda _, x, y: x + y,
    "add_any": lambda _, x, y: x + y,
    "sub": lambda _, x, y: x - y,
    "mul": lambda _, x, y: x * y,
    "div": _divided,
    "neg": lambda _, x: -x,
    "integer_pow": lambda params, x: fn.power(x, Fraction(params["y"])),
    "square": _whole(2),
    "sqrt": _whole(HALF),
    "rsqrt": _whole(-HALF),
    "pow": _power,
    "exp": _exponential,
    "expm1": lambda _, x: fn.exp(x) - x.field.constant(1),
    "logistic": _sigmoid,
    "abs": lambda _, x: fn.absolute(x),
    "sign": lambda _, x: fn.sign(x),
    "max": lambda _, x, y: fn.maximum(x, y),
    "min": lambda _, x, y: fn.minimum(x, y),
    "clamp": _clamped,
    "atan2": lambda _, y, x: fn.atan2(y, x),
    **{name: _opaque(name) for name in ("erf", "erfc", "log", "sin", "cos", "tan", "tanh", "asin", "acos", "atan")},
}

COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "gt": lambda x, y: bool(x.number > y.number),
    "lt": lambda x, y: bool(x.number < y.number),
    "ge": lambda x, y: bool(x.number >= y.number),
    "le": lambda x, y: bool(x.number <= y.number),
    "eq": lambda x, y: bool(x.number == y.number),
    "ne": lambda x, y: bool(x.number != y.number),
}

REDUCTIONS: dict[str, Callable[[Field, list[Value]], Value]] = {
    "reduce_sum": lambda field, values: sum(values, field.zero),
    "reduce_max": lambda field, values: reduce(fn.maximum, values),
    "reduce_min": lambda field, values: reduce(fn.minimum, values),
}


def contracted(x: Any, y: Any, numbers: Any, field: Field) -> Any:
    """The sums of products of `dot_general`: batch axes first, then the free ones of each."""
    (over_x, over_y), (batch_x, batch_y) = numbers
    free_x = [k for k in range(x.ndim) if k not in (*over_x, *batch_x)]
    free_y = [k for k in range(y.ndim) if k not in (*over_y, *batch_y)]
    shape = [x.shape[k] for k in batch_x]
    left = np.transpose(x, (*batch_x, *free_x, *over_x)).reshape(*shape, *(x.shape[k] for k in free_x), -1)
    right = np.transpose(y, (*batch_y, *free_y, *over_y)).reshape(*shape, *(y.shape[k] for k in free_y), -1)
    found = np.empty((*shape, *(x.shape[k] for k in free_x), *(y.shape[k] for k in free_y)), dtype=object)
    b, n = len(shape), len(shape) + len(free_x)
    for index in np.ndindex(*found.shape):
        u, v = left[index[:n]], right[(*index[:b], *index[n:])]
        found[index] = field.settled(sum((s * t for s, t in zip(u, v, strict=True)), field.zero))
    return found
