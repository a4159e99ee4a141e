"""What the code calls by name means what it should: closed forms exactly, polynomials in the angle by bounds of their error."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import jax
import mpmath as mp
import numpy as np
import sympy as sp

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series
from ntkc.gaussian.small import small
from ntkc.ir.recursion import Dual
from ntkc.pipeline import Compilation
from ntkc.verify.translation import curves
from ntkc.verify.translation import functions as fn
from ntkc.verify.translation.claim import Claim
from ntkc.verify.translation.expression import value_of
from ntkc.verify.translation.field import Field, Unread, Value
from ntkc.verify.translation.integrals import erf_moments
from ntkc.verify.translation.jaxpr import Interpreter
from ntkc.verify.translation.monomials import Atom
from ntkc.verify.translation.normalized import integrals
from ntkc.verify.translation.sums import stood_in, summed
from ntkc.verify.translation.trace import MOMENT, jaxpr_of, opened

LIMITS = {"float64": 5e-15, "float32": 1e-6}
MANY = 1000
"""Denominators of hyperparameters near their defaults."""
TERMS = 7
"""Of a series that is summed on symbols."""
FOREVER = float("inf")


def lemmas(compilation: Compilation) -> Iterator[Claim]:
    """One for each function that the code names."""
    mp.iv.dps = mp.mp.dps  # of intervals it is set for good; nothing else uses them
    space, parameters = opened(compilation.module(), ["_atan2"]), compilation.recursion.parameters
    for dual in compilation.recursion.duals:
        for kind in ("", "_gap", "_angle"):
            if f"{dual.name}{kind}" not in space:
                continue
            label = f"emitted {dual.name}{kind}"
            try:
                at = {p.symbol: sp.Rational(Fraction(float(p.default)).limit_denominator(MANY)) for p in parameters}
                if isinstance(dual.law, Series) and not kind:
                    yield summed(label, dual, getattr(compilation.module(), dual.name))
                    continue
                yield _curve(label, dual, kind, space, at) if kind else _closed(label, dual, space)
                if not kind and isinstance(dual.law, Expectation) and (instead := small(dual.law)) is not None:
                    yield stood_in(label, dual, instead, getattr(compilation.module(), dual.name))
            except Unread as found:
                yield Claim(label, "NOT CHECKED", str(found))
    if MOMENT in space:
        yield from erf_moments(compilation.recursion, getattr(compilation.module(), MOMENT), space[MOMENT], _calls)
    yield from integrals(compilation)
    if "_ATAN_64" in space:
        bounds = [float(curves.atan_error(space[name]).b) for name in ("_ATAN_64", "_ATAN_32")]
        yield _bounded("emitted _atan2: the polynomial of its angle", bounds, 4.0)
    if compilation.program.collapse is not None:
        yield _series(space["_clenshaw"])


def _series(clenshaw: Any) -> Claim:
    """How the code sums a series in the angle, on symbols; its coefficients are fitted when it runs."""
    field, label = Field(longest=400), "float32 by a series in the angle"
    x, *terms = (field.atom(Atom(f"c{k}", mp.mpf(3 + k) / 7, False)) for k in range(TERMS + 1))
    below, power, wanted = field.constant(1), x, terms[0] + terms[1] * x
    for term in terms[2:]:
        below, power = power, (x + x) * power - below
        wanted = wanted + term * power
    closed, _ = jaxpr_of(clenshaw, *(jax.ShapeDtypeStruct(n, np.dtype("float64")) for n in ((TERMS,), ())))  # type: ignore[no-untyped-call]
    twice = np.array([x + x, None], dtype=object)[:1].reshape(())
    (found,) = Interpreter(field, _calls, FOREVER).run(closed, [np.array(terms, dtype=object), twice])
    if not field.equal(found.flat[0], wanted, label) or field.guesses:
        return Claim(label, "FAILED", "what the code sums is not the Chebyshev series of its coefficients")
    fitted = "the code fits it when it runs, and takes the recursion where, between the nodes, the series misses it by 1e-6"
    return Claim(label, "checked", f"Clenshaw's sum is proven for {TERMS} terms; {fitted}")


def _bounded(label: str, bounds: list[float], times: float = 1.0) -> Claim:
    ok = all(b <= times * limit for b, limit in zip(bounds, LIMITS.values(), strict=True))
    text = ", ".join(f"{b:.1e} for {name}" for b, name in zip(bounds, LIMITS, strict=True))
    return Claim(label, "bounded" if ok else "FAILED", f"error before rounding <= {text}")


def _calls(name: str, arguments: tuple[Value, ...]) -> Value:
    if name != "_atan2":
        raise Unread(f"the function {name}")
    return fn.atan2(*arguments)


def _parameters(field: Field, dual: Dual) -> dict[sp.Symbol, Value]:
    assert isinstance(dual.law, Expectation)
    free = sorted(dual.law.value.free_symbols - {A, B, C}, key=lambda s: str(s.name))
    return {s: field.atom(Atom(s.name, mp.mpf(7 + 3 * i) / 11, s.is_nonnegative is True)) for i, s in enumerate(free)}


def _closed(label: str, dual: Dual, space: dict[str, Any]) -> Claim:
    """The body on symbols a, b > 0 and c."""
    assert isinstance(dual.law, Expectation)
    field = Field(longest=400)
    c, a, b = (field.atom(Atom(n, mp.mpf(k) / 100, n != "c")) for n, k in (("c", 37), ("a", 113), ("b", 89)))
    extra = _parameters(field, dual)
    wanted = value_of(field, dual.law.value, {C: c, A: a, B: b, **extra}, _calls)
    found = _run(field, space[dual.name], (c, a, b, *extra.values()), "float64")
    if not field.equal(found, wanted, label):
        return Claim(label, "FAILED", f"differs from {dual.law.value}")
    exact = not field.guesses
    where = "for c^2 < a b" + (f" and a, b > {instead.limit}" if (instead := small(dual.law)) else "")
    return Claim(label, "proven" if exact else "checked", where + ("" if exact else ", to 38 digits at one point"))


def _run(field: Field, function: Any, arguments: tuple[Value, ...], dtype: str) -> Value:
    closed, _ = jaxpr_of(function, *(jax.ShapeDtypeStruct((), np.dtype(dtype)) for _ in arguments))  # type: ignore[no-untyped-call]
    boxes = [np.array([v, None], dtype=object)[:1].reshape(()) for v in arguments]
    (found,) = Interpreter(field, _calls, FOREVER).run(closed, boxes)
    value: Value = found.flat[0]
    return value


def _curve(label: str, dual: Dual, kind: str, space: dict[str, Any], at: dict[sp.Symbol, sp.Rational]) -> Claim:
    """The polynomials that the code runs through near d = 0 and near d = 1, against the law as a power series; hyperparameters
    have numbers."""
    if not isinstance(dual.law, Expectation):
        raise Unread("a curve of a series")
    extra = sorted(dual.law.value.free_symbols - {A, B, C}, key=str)
    numbers = [Fraction(int(at[s].p), int(at[s].q)) for s in extra]
    law = dual.law.value.subs({s: at[s] for s in extra})
    own = sp.simplify(law.subs({A: 1, B: 1, C: 1}))
    bounds = []
    for dtype in LIMITS:
        worst = []
        for side in (1, -1):
            field = Field(longest=400)
            d, e = (field.atom(Atom(n, mp.mpf(k) / 10, True)) for n, k in (("d", 5 - 2 * side), ("e", 5 + 2 * side)))
            given = [field.constant(k) for k in numbers]
            code = _powers(_run(field, space[f"{dual.name}{kind}"], (d, *given, e), dtype), 0 if side == 1 else 1)
            worst.append(float(curves.error(law, own, side, kind == "_gap", code).b))
            if side == 1:  # without e, where d is known to be at most 1/2
                alone = _powers(_run(field, space[f"{dual.name}{kind}"], (d, *given), dtype), 0)
                worst += [] if str(alone) == str(code) else [float(curves.error(law, own, 1, kind == "_gap", alone).b)]
        bounds.append(max(worst))
    found = _bounded(label, bounds)
    where = ", ".join(f"{s} = {at[s]}" for s in extra)
    return replace(found, detail=f"{found.detail}; at {where}") if extra else found


def _powers(value: Value, index: int) -> dict[int, Any]:
    """Coefficients by power of the root of one atom."""
    if value.form is None:
        raise Unread("a curve that is too long")
    found = {}
    for monomial, k in value.form.items():
        if any(i != index for i, _ in monomial):
            raise Unread("a curve that is no polynomial in the root of d")
        power = dict(monomial).get(index, 0) * 2
        found[int(power)] = mp.iv.mpf(k.numerator) / k.denominator
    return found
