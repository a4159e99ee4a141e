"""SymPy expressions of exact values."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from operator import add, mul
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.erfs import erf_moment
from ntkc.ir.intrinsics import gram_root, ratio, scaled_cosh, scaled_sinh
from ntkc.verify.translation import functions as fn
from ntkc.verify.translation import gates
from ntkc.verify.translation.field import Field, Unread, Value

Calls = Callable[[str, tuple[Value, ...]], Value]


def value_of(field: Field, expr: sp.Expr, known: Mapping[sp.Basic, Value], calls: Calls) -> Value:
    """An expression whose symbols, or calls of named functions, have values."""

    def of(e: sp.Expr) -> Value:
        if e in known:
            return known[e]
        if e.is_Rational:
            return field.constant(Fraction(int(e.p), int(e.q)))
        if e.is_Add:
            return reduce(add, map(of, e.args))
        if e.is_Mul:
            return reduce(mul, map(of, e.args))
        if e.is_Pow:
            return _power(field, e, of)
        if e in (sp.pi, sp.E):
            return fn.named_number(field, "pi" if e == sp.pi else "E")
        if isinstance(e, AppliedUndef):
            return calls(e.func.__name__, tuple(map(of, e.args)))
        return _function(field, e, of)

    return of(expr)


def _power(field: Field, e: sp.Pow, of: Callable[[sp.Expr], Value]) -> Value:
    base, exponent = e.as_base_exp()
    if base == sp.E:
        return fn.exp(of(exponent))
    if not exponent.is_Rational:
        raise Unread(f"the power {e}")
    return fn.power(of(base), Fraction(int(exponent.p), int(exponent.q)))


def _function(field: Field, e: sp.Expr, of: Callable[[sp.Expr], Value]) -> Value:
    half = field.constant(Fraction(1, 2))
    if isinstance(e, erf_moment):
        return gates.erf_moment(field, int(e.args[0]), tuple(map(of, e.args[1:])))
    x, *others = map(of, e.args)
    if isinstance(e, sp.exp):
        return fn.exp(x)
    if isinstance(e, sp.cosh | scaled_cosh):
        y = others[0] if others else field.zero
        return half * (fn.exp(x + y) + fn.exp(y - x))
    if isinstance(e, sp.sinh | scaled_sinh):
        y = others[0] if others else field.zero
        return half * (fn.exp(x + y) - fn.exp(y - x))
    if isinstance(e, sp.atan2):
        return fn.atan2(x, others[0])
    if isinstance(e, ratio):
        return x * fn.power(others[0], Fraction(-1)) if x.form != {} else x
    if isinstance(e, gram_root):
        a, b = others
        return fn.power(a * b - x * x, Fraction(1, 2))
    if isinstance(e, sp.Max | sp.Min):
        return reduce(fn.maximum if isinstance(e, sp.Max) else fn.minimum, others, x)
    if isinstance(e, sp.Abs):
        return fn.absolute(x)
    if isinstance(e, sp.sign | sp.Heaviside):
        found = fn.sign(x)
        return found if isinstance(e, sp.sign) else half * (found + field.constant(1))
    name = type(e).__name__
    if name in fn.OPAQUE and not others:
        return fn.opaque(name, x)
    raise Unread(f"the function {name}")


def everywhere(run: Callable[..., Any], *arrays: Any) -> Any:
    """A function of values at each entry of arrays that broadcast."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    found = np.empty(shape, dtype=object)
    spread = [np.broadcast_to(np.asarray(a, dtype=object), shape) for a in arrays]
    for index in np.ndindex(*shape):
        found[index] = run(*(a[index] for a in spread))
    return found
