"""Numbers in the program, exact."""

from collections.abc import Mapping

import sympy as sp

from ntkc.resolving.problem import fail
from ntkc.source import Span

CONSTANTS = {"pi": sp.pi, "e": sp.E, "inf": sp.oo}
LARGEST_EXPONENT = 10_000


def literal(text: str, span: Span) -> sp.Expr:
    """A written number as a rational."""
    _, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > LARGEST_EXPONENT:
        fail("number-too-large", f"the number `{text}` is out of range", span, "its exponent is beyond 10000")
    return sp.Rational(text)


def arithmetic(op: str, left: sp.Expr, right: sp.Expr, span: Span) -> sp.Expr:
    """left op right, with division by zero and towers of powers refused."""
    if op == "/" and right == 0:
        fail("division-by-zero", "division by zero", span, "the divisor is 0")
    if op == "^":
        return _power(left, right, span)
    return {"+": left + right, "-": left - right, "*": left * right, "/": left / right if op == "/" else left}[op]


def _power(base: sp.Expr, exponent: sp.Expr, span: Span) -> sp.Expr:
    if base == 0 and exponent.is_negative:
        fail("division-by-zero", "division by zero", span, "0 to a negative power")
    if exponent.is_number and abs(exponent) > LARGEST_EXPONENT:
        fail("number-too-large", "this power is out of range", span, "its exponent is beyond 10000")
    return base**exponent


def finite(value: sp.Expr, span: Span) -> sp.Expr:
    """The value, if it is a finite real number or depends on parameters."""
    if value.has(sp.zoo, sp.nan) or value.is_extended_real is False:
        fail("not-a-number", "this expression is not a real number", span, f"its value is {value}")
    return value


def within(value: sp.Expr, interval: sp.Interval, domains: Mapping[sp.Symbol, sp.Interval]) -> bool:
    """Whether a hyperparameter, or a linear function of one, stays in an interval; more is not asked."""
    if value.is_number:
        return bool(interval.contains(value) == sp.true)
    symbol, *others = sorted(value.free_symbols, key=str)
    slope = value.diff(symbol)
    if others or not slope.is_number:
        return False
    domain, start = domains[symbol], value.subs(symbol, 0)
    ends = [(start + slope * domain.inf, domain.left_open), (start + slope * domain.sup, domain.right_open)]
    (low, low_open), (high, high_open) = ends if slope > 0 else ends[::-1]
    return bool(sp.Interval(low, high, low_open, high_open).is_subset(interval))


def interval_text(interval: sp.Interval) -> str:
    """As a program writes it."""
    ends = "[("[bool(interval.left_open)], "])"[bool(interval.right_open)]
    return f"{ends[0]}{interval.inf}, {interval.sup}{ends[1]}"


def is_linear(value: sp.Expr, symbols: list[sp.Symbol]) -> bool:
    """Homogeneous of degree one in the symbols."""
    flat = sp.expand(value)
    if any(flat.coeff(s).has(*symbols) for s in symbols):
        return False
    return bool(sp.expand(flat - sp.Add(*(flat.coeff(s) * s for s in symbols))) == 0)
