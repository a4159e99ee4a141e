"""The symbols of a proof, each with its number at a random point: coordinates of two samples, and hyperparameters."""

from fractions import Fraction
from math import prod
from typing import Any, TypeAlias

import mpmath as mp
import numpy as np
import sympy as sp

from ntkc.ir.network import Parameter
from ntkc.ir.normalization import Normalization
from ntkc.ir.recursion import Recursion
from ntkc.verify.translation.field import Field, Value
from ntkc.verify.translation.monomials import Atom

Sample: TypeAlias = list[Any]
CHANNELS = 2
OPEN = 3
"""Positions where the file leaves their number open."""
VALUES, LEAST = 4, 2
"""Of each channel of a batch that is normalized; samples."""


def parameters(field: Field, found: tuple[Parameter, ...], source: np.random.Generator) -> dict[sp.Basic, Value]:
    """Each hyperparameter near its default, inside of its domain."""
    known: dict[sp.Basic, Value] = {}
    for p in found:
        default = Fraction(float(p.default)).limit_denominator(1000)
        for shift in (source.integers(100, 900) / 3000, -source.integers(100, 900) / 9000):
            number = default + Fraction(float(shift)).limit_denominator(9973)
            if p.domain.contains(sp.Rational(number)) == sp.true:
                positive = p.symbol.is_nonnegative is True and number > 0
                known[p.symbol] = field.atom(Atom(p.symbol.name, mp.mpf(number.numerator) / number.denominator, positive))
                break
        else:
            known[p.symbol] = field.constant(default)
    return known


def sample(field: Field, recursion: Recursion, name: str, source: np.random.Generator) -> Sample:
    """Coordinates of a sample as symbols; tokens and masks are numbers. Of a batch of samples where the network takes them."""
    found: Sample = []
    for node in recursion.inputs:
        positions = tuple(n or OPEN for n in node.type.positions)
        positions = (batch(recursion) + (name == "x2"), *positions) if recursion.batches else positions
        if node.type.tokens:
            found.append(source.integers(min(node.type.channels or 3, 3), size=positions))
            continue
        found.append(_symbols(field, f"{name}_{node.name}", (*positions, CHANNELS), source, signed=True))
    for given in recursion.givens:
        n = given.input.type.positions[0] or OPEN
        if given.rank == 2:
            found.append(_symbols(field, f"{name}_{given.name}", (n, n), source, signed=False))
        else:
            found.append(np.array([field.constant(int(i < n - (name == "x2"))) for i in range(n)], dtype=object))
    return found


def batch(recursion: Recursion) -> int:
    """Samples such that all kernels are finite: those of four values of each channel are."""
    grids = [m.grid[1:] for m in recursion.maps if isinstance(m.geometry, Normalization)]
    return max(-(-VALUES // min(prod(n or OPEN for n in grid) for grid in grids)), LEAST)


def _symbols(field: Field, name: str, shape: tuple[int, ...], source: np.random.Generator, *, signed: bool) -> Any:
    found = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        number = mp.mpf(int(source.integers(1, 10**15))) / (3 * 10**14)
        sign = -1 if signed and source.integers(3) == 0 else 1
        found[index] = field.atom(Atom(f"{name}{list(index)}", sign * number, not signed))
    return found
