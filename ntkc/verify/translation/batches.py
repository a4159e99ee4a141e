"""Moments of values that are normalized over the batch: of what they are, whole tables, and nothing else."""

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import chain
from math import prod
from typing import Any, TypeAlias
from zlib import crc32

import mpmath as mp
import numpy as np

from ntkc.backends.normalizations import ALONE, KINDS, TANGENT
from ntkc.ir.normalization import Normalization
from ntkc.verify.translation.duals import Wrong
from ntkc.verify.translation.expression import everywhere
from ntkc.verify.translation.field import Field, Value
from ntkc.verify.translation.monomials import Atom, key

Array: TypeAlias = Any
APART = mp.mpf("1e-3")
"""By how much numbers differ that belong to different tables."""


@dataclasses.dataclass(frozen=True, slots=True)
class Batches:
    """`NAME`, `NAME_tangent` and `NAME_alone` of each normalization. Each entry of what they give is an atom; the same tables
    give the same ones. Its number is made up, like that of a symbol, but the numbers of a table are those of covariances."""

    field: Field
    laws: Mapping[str, Normalization]
    parameters: Mapping[str, Sequence[Value]]
    """That each law reads."""
    _known: dict[object, list[tuple[list[Value], Array]]] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [f"{name}{kind}" for name in self.laws for kind in KINDS]

    def __call__(self, name: str, tables: Sequence[Array], same: bool) -> Array:
        """`tables` are the tangents if it takes them, the covariances between both batches, and those less means within each; of
        one batch those between are those within."""
        kind, tables = _kind(name), [everywhere(self.field.settled, t) for t in tables]
        law, own = self.laws[name.removesuffix(kind)], [*tables, *tables][-2:] if kind == ALONE else tables[-2:]
        shape = len(own[0]), len(own[-1])
        wide = [np.broadcast_to(t, shape) for t in tables[:-2]]
        read = [*(wide[:-1] if same else wide), *own]
        arguments = list(chain.from_iterable(t.flat for t in read))
        at = (name, same, shape, *(key(v.number) for v in arguments))
        for others, found in self._known.get(at, ()):
            if all(self.field.equal(a, b, f"a table of {name}") for a, b in zip(arguments, others, strict=True)):
                return found
        numbers = _numbers(name, kind, wide, own, same)
        if law.f != law.g:  # else of one batch they are symmetric
            numbers = [[x * (1 + APART * i / len(numbers)) for x in row] for i, row in enumerate(numbers)]
        symmetric = same and law.f == law.g and all(_symmetric(t) for t in read)
        found = self._atoms(name, numbers, symmetric, kind == "")
        found = np.diagonal(found).copy() if kind == ALONE else found
        self._known.setdefault(at, []).append((arguments, found))
        return found

    def emitted(self, name: str, inputs: Sequence[Array], same: bool, count: int) -> Array:
        """The same as the code calls it: tables with an axis for the samples of each side, then the positions; after `count` of
        them, hyperparameters."""
        for given, value in zip(self.parameters[name.removesuffix(_kind(name))], inputs[count:], strict=True):
            if not self.field.equal(value.flat[0], given, f"a parameter of {name}"):
                raise Wrong(f"{name} is called with another hyperparameter")
        start = max(count - 2, 0)
        shapes = [t.shape[: t.ndim // 2] for t in inputs[start:count]]
        own = [t.reshape(prod(shape), -1) for shape, t in zip(shapes, inputs[start:count], strict=True)]
        wide = [np.broadcast_to(t, shapes[0] + shapes[-1]).reshape(len(own[0]), -1) for t in inputs[:start]]
        return self(name, [*wide, *own], same)

    def _atoms(self, name: str, numbers: list[list[Any]], symmetric: bool, squares: bool) -> Array:
        found = np.empty((len(numbers), len(numbers[0])), dtype=object)
        for i, j in np.ndindex(*found.shape):
            positive = squares and symmetric and i == j
            known = found[j, i] if symmetric and j < i else None
            found[i, j] = known or self.field.atom(Atom(f"{name}[{i}, {j}]", numbers[i][j], positive))
        return found


def _kind(name: str) -> str:
    return next(kind for kind in (TANGENT, ALONE, "") if name.endswith(kind))


def _symmetric(table: Array) -> bool:
    return all(table[i, j].form == table[j, i].form is not None for i in range(len(table)) for j in range(i))


def _numbers(name: str, kind: str, wide: list[Array], own: Sequence[Array], same: bool) -> list[list[Any]]:
    """r/2 + r^2/4 + 1/5 of correlations r and a product of both deviations, which are positive semidefinite with the covariances;
    a little more or less by all entries."""
    first, second = (_read(t) for t in own)
    cross = first if same else _centred(_read(wide[-1]))
    unit = mp.sqrt(_trace(first) * _trace(second))
    every = [v.number for t in (*wide[: len(wide) - same], *own) for v in t.flat]
    source = np.random.default_rng(crc32(name.encode()))
    weights = [mp.mpf(int(k)) / 10**6 for k in source.integers(-(10**6), 10**6, len(every))]
    factor = 1 + APART * mp.fdot(weights, every) / mp.fsum(map(abs, every)) + APART * weights[0]
    r = [[c / unit for c in row] for row in cross]
    sizes = [[mp.sqrt(abs(t[i][i]) / _trace(t)) / 3 for i in range(len(t))] for t in (first, second)]
    both = [[u * v for v in sizes[1]] for u in sizes[0]]
    table = [
        [factor * (c / 2 + c * c / 4 + mp.mpf(1) / 5 + s) for c, s in zip(*rows, strict=True)]
        for rows in zip(r, both, strict=True)
    ]
    if kind == ALONE:  # below the root of the second moment, each by a share of its own
        shares = (1 + APART * k for k in weights)
        return [[mp.sqrt(s) * share / 3 for s in row] for row, share in zip(table, shares, strict=False)]
    if kind != TANGENT:
        return table
    moved = _centred(_read(wide[0]))
    return [
        [s * (t / unit + c / 7 + mp.mpf(1) / 9) for s, t, c in zip(*rows, strict=True)]
        for rows in zip(table, moved, r, strict=True)
    ]


def _read(table: Array) -> list[list[Any]]:
    return [[v.number for v in row] for row in table]


def _trace(table: list[list[Any]]) -> Any:
    """The mean variance."""
    return mp.fsum(row[i] for i, row in enumerate(table)) / len(table)


def _centred(table: list[list[Any]]) -> list[list[Any]]:
    columns = [mp.fsum(column) / len(table) for column in zip(*table, strict=True)]
    table = [[v - m for v, m in zip(row, columns, strict=True)] for row in table]
    return [[v - mp.fsum(row) / len(row) for v in row] for row in table]


def centred(field: Field, table: Array) -> Array:
    """Values less their means over the batch: G K G."""
    for axis in (0, 1):
        means = [_mean(field, line) for line in np.moveaxis(table, axis, -1).reshape(-1, table.shape[axis])]
        spread = np.expand_dims(np.array([*means, None], dtype=object)[:-1], axis)
        table = everywhere(lambda v, m: field.settled(v - m), table, spread)
    return table


def _mean(field: Field, line: Array) -> Value:
    return field.settled(sum(line, field.zero)).times(Fraction(1, len(line)))
