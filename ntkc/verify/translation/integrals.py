"""Integrals that the code takes by a rule, and equations have by name: closed forms exactly, others by a second way to them."""

import itertools
from collections.abc import Iterator
from functools import reduce
from typing import Any

import jax
import mpmath as mp
import numpy as np
from jax.extend.core import ClosedJaxpr
from scipy.special import erf

from ntkc.gaussian.erfs import erf_moment
from ntkc.gaussian.orthants import moment
from ntkc.ir.recursion import Recursion, equations
from ntkc.verify.translation.claim import Claim
from ntkc.verify.translation.expression import Calls
from ntkc.verify.translation.field import Field, Value
from ntkc.verify.translation.gates import closed, size_of
from ntkc.verify.translation.jaxpr import Interpreter
from ntkc.verify.translation.monomials import Atom
from ntkc.verify.translation.trace import MOMENT, jaxpr_of

Array = Any
CLOSED = 2
"""Erfs at most of which there is a closed form."""
TABLES, RANK, LARGEST = 3, 3, 1.5
"""Points of a comparison; the rank of their covariances, and a bound of the variances."""
STEP, REACH = 0.2, 8.6
"""Of a sum over a grid in as many dimensions."""
TOLERANCE = 1e-12
"""Of the largest value."""


def erf_moments(recursion: Recursion, emitted: Any, opened: Any, calls: Calls) -> Iterator[Claim]:
    """One for each number of Gaussian factors and of erfs; `opened` is the function whose angles are named."""
    values = [equation.value for equation in equations(recursion.steps)]
    found = {(int(call.args[0]), size_of(call.args[1:])) for value in values for call in value.atoms(erf_moment)}
    for bells, size in sorted(found):
        label = f"emitted {MOMENT} of {bells} exp(-v^2) and {size - bells} erf(v)"
        yield _read(label, opened, bells, size, calls) if size - bells <= CLOSED else _compared(label, emitted, bells, size)


def _read(label: str, function: Any, bells: int, size: int, calls: Calls) -> Claim:
    """On symbols."""
    field, source = Field(longest=400), np.random.default_rng(5)
    table = _covariance(source.normal(size=(size, size)))
    entries = [
        field.atom(Atom(f"s{i}{j}", mp.mpf(float(table[i, j])), i == j))
        for i, j in itertools.combinations_with_replacement(range(size), 2)
    ]
    like = [jax.ShapeDtypeStruct((), np.dtype("float64")) for _ in entries]  # type: ignore[no-untyped-call]
    code: ClosedJaxpr = jaxpr_of(lambda *s: function(bells, *s), *like)[0]
    boxes = [np.array([v, None], dtype=object)[:1].reshape(()) for v in entries]
    (found,) = Interpreter(field, calls, float("inf")).run(code, boxes)
    value: Value = found.flat[0]
    if not field.equal(value, closed(field, bells, tuple(entries)), label):
        return Claim(label, "FAILED", "differs from its closed form")
    exact = not field.guesses
    return Claim(
        label, "proven" if exact else "checked", "equals its closed form" + ("" if exact else ", to 38 digits at one point")
    )


def _compared(label: str, emitted: Any, bells: int, size: int) -> Claim:
    """In double precision: with what it means where the covariance has a low rank, and with the reference where it has not."""
    source, rows = np.random.default_rng(6), np.triu_indices(size)
    low = [_scaled(source.normal(size=(size, RANK))) for _ in range(TABLES)]
    full = [_scaled(source.normal(size=(size, size))) for _ in range(TABLES)]
    tables = np.array([_covariance(root)[rows] for root in (*low, *full)])
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(lambda *s: emitted(bells, *s))(*tables.T))
    meant = [_by_definition(root, bells) for root in low]
    gaps = abs(found - np.array([*meant, *(moment(bells, list(map(float, t))) for t in tables[TABLES:])])) / np.max(abs(found))
    first, second = (float(np.max(g)) for g in (gaps[:TABLES], gaps[TABLES:]))
    detail = (
        f"in float64 to {first:.0e} of its definition, summed over a grid, at {TABLES} covariances of rank {RANK}, "
        f"to {second:.0e} of the reference at {TABLES} of rank {size}; bound {TOLERANCE:.0e}"
    )
    return Claim(label, "checked" if max(first, second) < TOLERANCE else "FAILED", detail)


def _scaled(root: Array) -> Array:
    """With variances below `LARGEST`, and all of different size."""
    sizes = LARGEST * np.linspace(1, 0.3, len(root))
    return root / np.linalg.norm(root, axis=1, keepdims=True) * np.sqrt(sizes)[:, None]


def _covariance(root: Array) -> Array:
    return root @ root.T


def _by_definition(root: Array, bells: int) -> float:
    """E of the product over v = R z, z ~ N(0, 1): the trapezoidal rule, whose error falls like exp(-2 (pi/h)^2 / (1 + 2 r)) for
    a covariance whose largest eigenvalue is r (Trefethen and Weideman 2014)."""
    z = np.arange(-REACH, REACH + STEP / 2, STEP)
    weights = STEP * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    axes = np.meshgrid(*[z] * root.shape[1], indexing="ij", sparse=True)
    total = reduce(np.multiply, np.meshgrid(*[weights] * root.shape[1], indexing="ij", sparse=True))
    for i, row in enumerate(root):
        v = sum(k * x for k, x in zip(row, axes, strict=True))
        total = total * (np.exp(-v * v) if i < bells else erf(v))
    return float(np.sum(total))
