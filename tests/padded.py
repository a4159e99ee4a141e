"""What programs satisfy under masks: a padded sequence has the kernels and the finite networks' values of the short one, and how
far it is padded does not show. Numbers are the reference's, which need no compilation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ntkc import Compilation
from ntkc.backends.jax import emit_finite
from ntkc.backends.reference import evaluate
from ntkc.ir.network import InputNode, Network
from ntkc.ir.padding import Padding
from ntkc.ir.recursion import Recursion
from ntkc.passes.parse import parse
from ntkc.pipeline import _derived
from ntkc.source import Source

CLOSE = 1e-8
"""Of the root of the product of the diagonals."""
SIZE = r"(sequence|tokens|graph)\((\d+),"
Rows = list[np.ndarray]


@dataclass(frozen=True)
class Derived:
    """A program of sequences of so many positions, with or without masks; nothing is lowered."""

    text: str
    masked: bool

    @cached_property
    def _found(self) -> tuple[Network, Recursion | None]:
        return _derived(parse(Source("net.arch", self.text)), None, None, self.masked, False)

    @property
    def network(self) -> Network:
        return self._found[0]

    @property
    def recursion(self) -> Recursion:
        assert self._found[1] is not None
        return self._found[1]

    def kernels(self, x: Rows, y: Rows) -> np.ndarray:
        """All outputs, NNGP and NTK."""
        found = evaluate(self.recursion, x, y, 15)
        return np.array([float(v) for table in (found.nngp, found.ntk) for v in table.values()])

    def finite(self) -> Any:
        source = Source("net.arch", self.text)
        return Compilation(source, parse(source), self.network, None, emit_finite(self.network)).module()


def of_length(text: str, length: int) -> str:
    """The same program for sequences of another length."""
    return re.sub(SIZE, rf"\g<1>({length},", text)


def shortened(rows: Rows, network: Network, length: int, masked: bool, front: int = 0) -> Rows:
    """Inputs and adjacencies of so many positions, padded in front with noise; with masks where they are asked for."""
    inputs = [n for n in network.nodes if isinstance(n, InputNode)]
    found = []
    for k, row in enumerate(rows):
        graph = k >= len(inputs)
        part = row[:length, :length] if graph else row[:length]
        found.append(np.pad(part, [(front, 0)] * (2 if graph else 1) + [(0, 0)] * (part.ndim - 1 - graph), constant_values=1))
    return found + [np.arange(front + length) >= front] * (len(inputs) * masked)


@dataclass(frozen=True)
class Padded:
    """One program with masks; of its `size` positions short sequences have fewer."""

    text: str
    seed: int = 0

    @cached_property
    def size(self) -> int:
        (first, *_) = re.findall(SIZE, self.text)
        return int(first[1])

    @cached_property
    def net(self) -> Derived:
        return Derived(of_length(self.text, self.size), True)

    @cached_property
    def padding(self) -> Padding:
        return Padding(self.net.network)

    def lengths(self) -> Iterator[int]:
        """Two that the network takes."""
        yield from list(range(self.size - self.padding.multiple, self.padding.least - 1, -self.padding.multiple))[:2]

    def rows(self, index: int) -> Rows:
        """Inputs, and adjacencies, of twice the size."""
        source = np.random.default_rng((self.seed, index))
        nodes = [n for n in self.net.network.nodes if isinstance(n, InputNode)]
        inputs = [
            source.integers(n.type.channels or 2, size=2 * self.size)
            if n.type.tokens
            else source.normal(size=(2 * self.size, n.type.channels or 3))
            for n in nodes
        ]
        return [*inputs, *(source.uniform(size=(2 * self.size, 2 * self.size)) for n in nodes if n.adjacency)]

    def masked(self, index: int, length: int, size: int, front: bool = False) -> Rows:
        """Padded to a size: what is absent are numbers of the sample that a shorter one does not have, times a thousand."""
        rows = shortened(self.rows(index), self.net.network, length, False, (size - length) * front)
        whole = self.rows(index + 100)
        inputs = sum(isinstance(n, InputNode) for n in self.net.network.nodes)
        found = []
        for k, (row, noise) in enumerate(zip(rows, whole, strict=True)):
            full = noise[:size, :size].copy() if k >= inputs else noise[:size].copy()
            full = full * 1000 if full.dtype.kind == "f" else full
            here = slice(size - length, size) if front else slice(0, length)
            there = slice(size - length, None) if front else slice(0, length)
            full[(here, here) if k >= inputs else here] = row[(there, there) if k >= inputs else there]
            found.append(full)
        present = np.arange(size) >= size - length if front else np.arange(size) < length
        return [*found, *[present] * inputs]

    def check(self) -> int:
        """How many comparisons were made."""
        count = 0
        for length in self.lengths():
            short = Derived(of_length(self.text, length), False)
            alone = [shortened(self.rows(i), self.net.network, length, False) for i in (0, 1)]
            expected = {(i, j): short.kernels(alone[i], alone[j]) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))}
            for front in (False, True)[: 1 if self.padding.from_first else 2]:
                rows = [self.masked(i, length, self.size, front) for i in (0, 1)]
                for (i, j), values in expected.items():
                    scale = np.sqrt(np.abs(expected[i, i] * expected[j, j])) + 1e-300
                    gap = np.abs(self.net.kernels(rows[i], rows[j]) - values) / scale
                    assert np.all(gap <= CLOSE), f"length {length} of {self.size}{' in front' * front}, {i}{j}: off by {gap}"
                    count += 1
            if not self.padding.from_first:
                mixed = self.net.kernels(self.masked(0, length, self.size), self.masked(1, length, self.size, True))
                scale = np.sqrt(np.abs(expected[0, 0] * expected[1, 1])) + 1e-300
                assert np.all(np.abs(mixed - expected[0, 1]) <= CLOSE * scale), (
                    f"length {length}, in front and at the end: {mixed}"
                )
        return count + self._wider()

    def _wider(self) -> int:
        """Sequences of two lengths, padded less or more."""
        lengths = [self.size, *self.lengths()][:2]
        wide = Derived(of_length(self.text, self.size + self.padding.multiple), True)
        for front in (False, True)[: 1 if self.padding.from_first else 2]:
            tables = []
            for net, size in ((self.net, self.size), (wide, self.size + self.padding.multiple)):
                x, y = (self.masked(i, length, size, front) for i, length in enumerate((lengths[0], lengths[-1])))
                tables.append([net.kernels(x, y), net.kernels(y, x), net.kernels(x, x), net.kernels(y, y)])
            scale = np.sqrt(np.abs(tables[0][2] * tables[0][3])) + 1e-300
            gaps = np.abs(np.subtract(*tables)) / scale
            assert np.all(gaps[:2] <= CLOSE), f"padded by {self.padding.multiple} more{' in front' * front}: off by {gaps[:2]}"
            assert np.all(np.abs(tables[0][0] - tables[0][1]) <= CLOSE * scale), "x, y is not y, x"
        return 4

    def check_finite(self) -> None:
        """The same weights give the same values, padded or not, at the end or in front."""
        module = self.net.finite()
        with jax.enable_x64(True):
            weights = module.init(jax.random.key(self.seed), 6)
            for length in self.lengths():
                short = Derived(of_length(self.text, length), True)
                x = shortened(self.rows(0), self.net.network, length, True)
                own = short.finite()
                shapes = {k: tuple(map(slice, v.shape)) for k, v in own.init(jax.random.key(0), 6).items()}
                alone = self._applied(own, {k: weights[k][cut] for k, cut in shapes.items()}, x)
                for front in (False, True)[: 1 if self.padding.from_first else 2]:
                    found = self._applied(module, weights, self.masked(0, length, self.size, front))
                    for a, b in zip(alone, found, strict=True):
                        np.testing.assert_allclose(
                            b, a, rtol=1e-7, atol=1e-9 * (1 + np.abs(a).max()), err_msg=f"finite, {length}"
                        )

    def _applied(self, module: Any, weights: Any, rows: Rows) -> list[np.ndarray]:
        inputs = [n for n in self.net.network.nodes if isinstance(n, InputNode)]
        graphs = [n.adjacency for n in inputs if n.adjacency]
        given = dict(zip(graphs, (a[None] for a in rows[len(inputs) :]), strict=False))
        x = tuple(row[None] for row in rows[: len(inputs)])
        found = module.apply(weights, x if len(x) > 1 else x[0], mask=rows[-1][None], **given)
        return [np.asarray(v) for v in (found.values() if isinstance(found, dict) else [found]) if np.ndim(v) == 2]
