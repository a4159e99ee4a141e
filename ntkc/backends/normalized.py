"""Moments of values normalized over the batch, for the reference: in NumPy or mpmath, by another rule than the emitted code's, in
steps that are halved until nothing changes.

With v the centred values of one channel and q = |v|^2 + B eps, Gamma(k) E h(v) q^-k is the integral of s^(k-1) E h(v) exp(-s q)
over s > 0; under exp(-s |v|^2) the law of v is Gaussian again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath as mp
import numpy as np

from ntkc.gaussian.moments import A, B, C
from ntkc.ir.normalization import Normalization

Array = Any
REACH, STRETCH, COARSEST = 3.75, 4.0, 0.25
"""s = exp(STRETCH sinh t) over the mean square of v, |t| < REACH, which leaves out 1e-17 at either end of every integral here."""
Pairwise = Callable[[Array, Array, Array], Array]


def centred(table: Array) -> Array:
    """G K G."""
    table = table - table.sum(0)[None, :] / len(table)
    return table - table.sum(1)[:, None] / table.shape[1]


@dataclass(frozen=True)
class Batches:
    """Two batches, or one with itself: the tables of v with itself and between both, B eps of each, and a type of numbers."""

    own: tuple[Array, Array]
    cross: Array
    shifts: tuple[Any, Any]
    same: bool
    number: Any

    def second(self, pair: Pairwise) -> Array:
        """E f(x) g(x') from E f(u) g(v)."""
        return self._integral(lambda first, cross, other: {(1, 1): pair(cross, *_variances(first, other))})

    def tangent(self, functions: Sequence[Pairwise], tangent: Array) -> Array:
        """From E f g, E f' g', E f'' g and E f g''; Stein's lemma, E v_i h = sum over j of Cov(v_i, v_j) E dh/dv_j."""
        m = centred(tangent)

        def parts(first: Array, cross: Array, other: Array) -> dict[tuple[int, int], Array]:
            f_g, df_dg, ddf_g, f_ddg = (f(cross, *_variances(first, other)) for f in functions)
            toward, back = m.dot(cross.T), cross.T.dot(m)
            inner = np.trace(toward) * f_g + (first.dot(m).dot(other) + cross.dot(m.T).dot(cross)) * df_dg
            inner = inner + np.diag(first.dot(toward))[:, None] * ddf_g + np.diag(back.dot(other))[None, :] * f_ddg
            one = np.diag(toward)[:, None] * ddf_g + m.dot(other) * df_dg
            other_one = first.dot(m) * df_dg + np.diag(back)[None, :] * f_ddg
            return {(1, 1): m * df_dg, (1, 3): -one, (3, 1): -other_one, (3, 3): inner}

        return self._integral(parts)

    def mean(self, mean: Callable[[Array], Array]) -> Array:
        """E f(x) from E f(u)."""
        n = len(self.own[0])

        def total(step: Any) -> Array:
            return sum(w * (d * mean(np.diag(k))) for (s, w) in self._nodes(0, step, (1,)) for k, d in [self._tilted((s,))])

        return self._refined(total) * self._root(n)

    def _integral(self, parts: Callable[[Array, Array, Array], dict[tuple[int, int], Array]]) -> Array:
        n1, n2 = self.cross.shape

        def within(step: Any) -> Array:
            found = self._number(0)
            for s, weights in self._nodes(0, step, (2, 4, 6)):
                table, density = self._tilted((s,))
                found = found + sum(density * weights[sum(k) // 2 - 1] * v for k, v in parts(table, table, table).items())
            return found

        def across(step: Any) -> Array:
            found = self._number(0)
            for s, first in self._nodes(0, step, (1, 3)):
                for t, second in self._nodes(1, step, (1, 3)):
                    table, density = self._tilted((s, t))
                    blocks = table[:n1, :n1], table[:n1, n1:], table[n1:, n1:]
                    found = found + sum(density * first[i // 2] * second[j // 2] * v for (i, j), v in parts(*blocks).items())
            return found

        return self._refined(within if self.same else across) * self._root(n1) * self._root(n2)

    def _refined(self, total: Callable[[Any], Array]) -> Array:
        """Each halving squares the error of the trapezoidal rule (Trefethen and Weideman 2014)."""
        step = self._number(COARSEST)
        found, close = total(step), 10.0 ** (-(6 if self.number is float else mp.mp.dps // 2 - 5))
        for _ in range(5):
            before, step = found, step / 2
            found = total(step)
            if np.max(np.abs(found - before)) <= close * np.max(np.abs(found)):
                return found
        raise ArithmeticError("an integral over a batch does not converge: its values vary in too few directions")

    def _nodes(self, side: int, step: Any, powers: tuple[int, ...]) -> list[tuple[Any, tuple[Any, ...] | Any]]:
        """s, and s^(k/2) / Gamma(k/2) exp(-s B eps) times ds / s for each k of `powers`; bare where there is one."""
        scale = len(self.own[side]) / (2 * np.trace(self.own[side]))
        exp, sinh, cosh = (np.exp, np.sinh, np.cosh) if self.number is float else (mp.exp, mp.sinh, mp.cosh)
        count, found = int(REACH / step), []
        for i in range(-count, count + 1):
            s = scale * exp(STRETCH * sinh(i * step))
            rest = step * STRETCH * cosh(i * step) * exp(-s * self.shifts[side])
            weights = tuple(rest * s ** (self._number(k) / 2) / self._number(mp.gamma(mp.mpf(k) / 2)) for k in powers)
            found.append((s, weights if len(powers) > 1 else weights[0]))
        return found

    def _tilted(self, rates: tuple[Any, ...]) -> tuple[Array, Any]:
        """The covariance under exp(-s |v|^2 - t |v'|^2), and the expectation of that."""
        omega, root = self._whole if len(rates) == 2 else self._alone
        d = [rate for rate, own in zip(rates, self.own, strict=False) for _ in own]
        if self.number is float:
            upper: Array = np.linalg.qr(np.concatenate([np.eye(len(d)), np.sqrt(2 * np.array(d))[:, None] * root]), mode="r")
            half = np.linalg.solve(upper.T, root.T)
            return half.T @ half, np.exp(-np.sum(np.log(np.abs(np.diag(upper)))))
        with mp.workdps(mp.mp.dps + 40):
            inner = mp.eye(len(d)) + 2 * mp.matrix(omega.tolist()) * mp.diag(d)
            table = mp.inverse(inner) * mp.matrix(omega.tolist())
            return np.array(table.tolist(), dtype=object), 1 / mp.sqrt(mp.det(inner))

    @cached_property
    def _alone(self) -> tuple[Array, Array]:
        return self.own[0], self._factor(self.own[0])

    @cached_property
    def _whole(self) -> tuple[Array, Array]:
        omega = np.block([[self.own[0], self.cross], [self.cross.T, self.own[1]]])
        return omega, self._factor(omega)

    def _factor(self, omega: Array) -> Array:
        """R with R R^T = omega; not needed where there are digits to spare."""
        if self.number is not float:
            return omega
        values, vectors = np.linalg.eigh(omega)
        return vectors * np.sqrt(np.where(values > len(values) * 2e-16 * values[-1], values, 0))

    def _number(self, value: Any) -> Any:
        return self.number(value)

    def _root(self, value: int) -> Any:
        return np.sqrt(value) if self.number is float else mp.sqrt(value)


def _variances(first: Array, second: Array) -> tuple[Array, Array]:
    return np.diag(first)[:, None], np.diag(second)[None, :]


def normalized(
    law: Normalization, kind: str, tables: Sequence[Array], same: bool, call: Callable[..., Any], number: Any
) -> Array:
    """A moment by its kind, "", "_tangent" or "_alone"; `call(x, symbols)` is a function of arrays, x the name of a dual or a
    formula."""
    *moving, cross, first, second = tables if kind != "_alone" else (tables[0],) * 3
    shifts = tuple(len(own) * call(eps, ())() for own, eps in zip((first, second), law.eps, strict=True))
    batches = Batches((first, second), centred(cross), shifts, same, number)
    if kind == "_alone":
        return batches.mean(call(law.mean, (A,)))
    functions = [call(x, (C, A, B)) for x in (*law.pair, *law.bends)]
    return batches.tangent(functions, moving[0]) if kind else batches.second(functions[0])
