"""Functions of exact values: powers and exponentials by their rules, comparisons at the point, others as opaque."""

from collections.abc import Callable
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import mpmath as mp

from ntkc.verify.translation.field import Field, Unread, Value
from ntkc.verify.translation.monomials import Atom, Exponent, Form, Monomial, key, merged, plain

OPAQUE: dict[str, Callable[..., Any]] = {
    "erf": mp.erf,
    "erfc": mp.erfc,
    "log": mp.log,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "tanh": mp.tanh,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
}
POSITIVE = ("pi", "E")


def named_number(field: Field, name: str) -> Value:
    """pi or e."""
    return field.apply(name, (), {"pi": mp.pi, "E": mp.e}[name] * 1, positive=True)


def power(value: Value, exponent: Fraction) -> Value:
    """A rational power; of sums only as a name, unless it is a small one."""
    field = value.field
    if exponent.denominator != 1 and value.number < 0:
        raise Unread("a root of a negative number")
    if exponent == 0:
        return field.constant(1)
    if value.number == 0:
        if exponent > 0 and value.form == {}:
            return field.zero
        raise Unread("a division by zero")
    if exponent.denominator == 1 and 0 < exponent <= 4:
        found = value
        for _ in range(int(exponent) - 1):
            found = found * value
        return found
    if value.form is None:
        value = field.name("", value, False)
    form = value.form or {}
    return _of_term(value, exponent) if len(form) == 1 else _of_sum(value, exponent)


def _of_term(value: Value, exponent: Fraction) -> Value:
    """(k a^e ...)^p = k^p a^(e p) ...; a root of what may be negative is one name."""
    field = value.field
    ((monomial, k),) = (value.form or {}).items()
    signed = [(i, e) for i, e in monomial if not field.atoms[i].positive]
    sign = 1
    if exponent.denominator != 1 and signed:
        if any(e % 2 or (e * exponent).denominator != 1 for _, e in signed):
            return _named(value, exponent)
        field.branches += 1  # (a^2)^(1/2) has the sign that a has at the point
        sign = -1 if sum(e * exponent for i, e in signed if field.atoms[i].number < 0) % 2 else 1
    found: Form = {tuple((i, plain(Fraction(e) * exponent)) for i, e in monomial): Fraction(sign)}
    return Value(field, field.product(found, field.number_power(k, exponent)), _raised(value, exponent))


def _of_sum(value: Value, exponent: Fraction) -> Value:
    """The common factor of all terms apart, by the rules of a term; the rest by a name that is known for a multiple of it."""
    outside, rest = _primitive(value)
    for factor, named in value.field.multiples.get(key(rest.number), ()):
        if value.field.equal(rest * factor, named, "a multiple of a name"):
            return _of_term(outside, exponent) * _of_term(factor, -exponent) * _of_term(named, exponent)
    return _of_term(outside, exponent) * _named(rest, exponent)


def remember(value: Value, named: Value) -> None:
    """Roots and inverses of multiples of a value are those of its name."""
    if value.form is not None and len(value.form) > 1:
        factor, rest = _primitive(value)
        value.field.multiples.setdefault(key(rest.number), []).append((factor, named))


def _primitive(value: Value) -> tuple[Value, Value]:
    """The common factor of all terms, and what is left without it."""
    form, field = value.form or {}, value.field
    common = _common(field, form)
    numerators = [abs(k.numerator) for k in form.values()]
    content = Fraction(gcd(*numerators), lcm(*(k.denominator for k in form.values())))
    outside = Value(field, {common: content}, _number(field, common, content))
    inside = {merged(m, tuple((i, -e) for i, e in common)): k / content for m, k in form.items()}
    return outside, Value(field, inside, value.number / outside.number)


def _common(field: Field, form: Form) -> Monomial:
    shared: dict[int, Exponent] = {}
    for n, monomial in enumerate(form):
        here = dict(monomial)
        if n == 0:
            shared = {i: e for i, e in here.items() if field.atoms[i].positive}
        shared = {i: min(e, here[i]) for i, e in shared.items() if i in here}
    return tuple(sorted((i, e) for i, e in shared.items() if not field.atoms[i].prime))


def _number(field: Field, monomial: Monomial, k: Fraction) -> Any:
    return mp.fprod(field.atoms[i].number ** _mpf(Fraction(e)) for i, e in monomial) * _mpf(k)


def _mpf(k: Fraction) -> Any:
    return mp.mpf(k.numerator) / k.denominator


def _named(value: Value, exponent: Fraction) -> Value:
    field = value.field
    root = field.name("root", value, bool(value.number > 0), square=True)
    ((index, _),) = next(iter(root.form or {}))
    return Value(field, field.product({((index, plain(exponent)),): Fraction(1)}, {(): Fraction(1)}), _raised(value, exponent))


def _raised(value: Value, exponent: Fraction) -> Any:
    return value.number**exponent.numerator if exponent.denominator == 1 else value.number ** _mpf(exponent)


def exp(value: Value) -> Value:
    """exp of a sum as a product of powers of exp of its monomials."""
    field = value.field
    if value.form is None or len(value.form) > 8:
        return field.apply("exp", (value,), mp.exp(value.number), positive=True)
    found = field.constant(1)
    for monomial, k in value.form.items():
        inside = Value(field, {monomial: Fraction(1)}, _number(field, monomial, Fraction(1)))
        base = named_number(field, "E") if not monomial else field.apply("exp", (inside,), mp.exp(inside.number), positive=True)
        found = found * power(base, k)
    return found


def atan2(y: Value, x: Value) -> Value:
    """Opaque, of arguments without positive common factors."""
    field = y.field
    if y.form and x.form:
        shared = _common(field, {**x.form, **y.form})
        down = Value(field, {tuple((i, -e) for i, e in shared): Fraction(1)}, 1 / _number(field, shared, Fraction(1)))
        y, x = y * down, x * down
    return field.apply("atan2", (y, x), mp.atan2(y.number, x.number))


def opaque(name: str, value: Value) -> Value:
    """erf and the like; odd ones of their positive argument."""
    if name in ("erf", "sin", "tanh", "asin", "atan") and value.number < 0:
        return -opaque(name, -value)
    if value.form == {} and name in ("erf", "sin", "tanh", "asin", "atan"):
        return value
    return value.field.apply(name, (value,), OPAQUE[name](value.number))


def maximum(u: Value, v: Value) -> Value:
    u.field.branches += 1
    return u if u.number >= v.number else v


def minimum(u: Value, v: Value) -> Value:
    u.field.branches += 1
    return u if u.number <= v.number else v


def absolute(value: Value) -> Value:
    value.field.branches += 1
    return value if value.number >= 0 else -value


def sign(value: Value) -> Value:
    value.field.branches += 1
    return value.field.constant(int(mp.sign(value.number)))


def number_atom(field: Field, name: str, number: Any, positive: bool) -> Value:
    """A free symbol."""
    return field.atom(Atom(name, number, positive))
