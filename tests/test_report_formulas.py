"""The formulas of the report say what was derived: names tell symbols apart, and MathML reads back as the same number."""

import random
import xml.etree.ElementTree as ET
from functools import cache

import pytest
import sympy as sp
from reading import number
from sympy.core.function import AppliedUndef

from ntkc import load
from ntkc.demo import examples
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.ir.recursion import Recursion, equations
from ntkc.verify.report.mathml import MathML
from ntkc.verify.report.names import Names, names_of


@cache
def _recursion(name: str) -> Recursion:
    return load(examples() / f"{name}.arch").recursion


@pytest.mark.parametrize("name", ["rnn", "siamese", "graph", "transformer", "normalized_transformer", "bidirectional"])
def test_different_symbols_look_different(name: str) -> None:
    recursion = _recursion(name)
    names = names_of(recursion)
    symbols = set[sp.Symbol]().union(*(e.value.free_symbols | {e.symbol} for e in equations(recursion.steps)))
    assert len({ET.tostring(names.symbol(s)) for s in symbols}) == len(symbols)


def test_a_hyperparameter_does_not_look_like_a_moment() -> None:
    mine = sp.Symbol("param_C_a")
    names = Names({mine: "C_a"}, frozenset())
    assert ET.tostring(names.symbol(mine)) != ET.tostring(names.symbol(sp.Symbol("C_a")))


NAMES = Names({}, frozenset())
FORMULAS = [
    A - (B - C),
    -(A + B) / 2,
    A * (-3) * (B - 2),
    sp.Mul(A, -3, evaluate=False),
    (A + B) ** 2 / (C + 1) ** sp.Rational(3, 2),
    (A**B) ** C,
    sp.exp(-(A**2) / 2) * sp.sqrt(2) / sp.pi,
    sp.Max(0, A - B) - sp.Heaviside(B - A / 3),
    sp.Abs(A - 2) * sp.tanh(B) ** 2,
    sp.Rational(-2, 3) * A,
    1 / (A * B) - 1 / A,
    sp.Symbol("K3_1") ** 2 + sp.Symbol("K3") ** 3,
    A ** (-B) + sp.log(C),
    A / sp.Integer(10) ** 12 + 1,
    2 ** (A + 1) * (-1) ** 3,
]


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_formulas_read_back_as_they_were_written(formula: sp.Expr) -> None:
    _reads_back(formula, NAMES)


@pytest.mark.parametrize("name", ["relu_mlp", "erf_mlp", "fourier", "transformer", "swish_residual", "siamese"])
def test_derivations_read_back_as_they_were_written(name: str) -> None:
    recursion = _recursion(name)
    names = names_of(recursion)
    for dual in recursion.duals:
        formulas = [dual.law.f, dual.law.g]
        if isinstance(dual.law, Expectation):
            formulas += [dual.law.value, *(part for c in dual.law.chains for part in (c.f, c.g, c.weight, *c.links))]
        for formula in formulas:
            _reads_back(formula, names)
    for equation in equations(recursion.steps):
        opaque = {call: sp.Symbol(f"q{i}") for i, call in enumerate(sorted(equation.value.atoms(AppliedUndef), key=str))}
        _reads_back(equation.value.xreplace(opaque), names)


def _reads_back(formula: sp.Expr, names: Names) -> None:
    source = random.Random(0)
    point = {s: sp.Rational(source.randrange(110, 190), 100) for s in sorted(formula.free_symbols - {C}, key=str)}
    point |= {C: sp.Rational(2, 5)} if C in formula.free_symbols else {}
    values = {ET.tostring(names.symbol(s)): float(v) for s, v in point.items()}
    written = number(MathML(names).doprint(formula), values)
    assert written == pytest.approx(complex(formula.evalf(20, subs=point)), rel=1e-9, abs=1e-12), formula
