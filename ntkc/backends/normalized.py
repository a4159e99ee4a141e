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
            back = np.swapaxes(cross, -1, -2)
            toward = m @ back
            inner = (
                np.trace(toward, axis1=-2, axis2=-1)[..., None, None] * f_g + (first @ m @ other + cross @ m.T @ cross) * df_dg
            )
            ends = _variances(first @ toward, back @ m @ other)
            one, two = _variances(toward, back @ m)
            first_end = one * ddf_g + m @ other * df_dg
            second_end = first @ m * df_dg + two * f_ddg
            return {(1, 1): m * df_dg, (1, 3): -first_end, (3, 1): -second_end, (3, 3): inner + ends[0] * ddf_g + ends[1] * f_ddg}

        return self._integral(parts)

    def mean(self, mean: Callable[[Array], Array]) -> Array:
        """E f(x) from E f(u)."""

        def total(step: Any) -> Array:
            nodes, (weights,) = self._nodes(0, step, (1,))
            tables, density = self._tilted(None, nodes)
            return np.sum((weights * density)[:, None] * mean(np.diagonal(tables, axis1=1, axis2=2)), 0)

        return self._refined(total, 1) * self._root(len(self.own[0]))

    def _integral(self, parts: Callable[[Array, Array, Array], dict[tuple[int, int], Array]]) -> Array:
        n1, n2 = self.cross.shape

        def within(step: Any) -> Array:
            nodes, weights = self._nodes(0, step, (2, 4, 6))
            tables, density = self._tilted(None, nodes)
            found = parts(tables, tables, tables).items()
            return sum(np.sum((density * weights[sum(k) // 2 - 1])[:, None, None] * v, 0) for k, v in found)

        def across(step: Any) -> Array:
            total, (nodes, first), (ts, second) = self.number(0), self._nodes(0, step, (1, 3)), self._nodes(1, step, (1, 3))
            for s, w in zip(nodes, np.transpose(first), strict=True):
                tables, density = self._tilted(s, ts)
                for (i, j), v in parts(tables[:, :n1, :n1], tables[:, :n1, n1:], tables[:, n1:, n1:]).items():
                    total = total + np.sum((density * w[i // 2] * second[j // 2])[:, None, None] * v, 0)
            return total

        found = self._refined(within, 1) if self.same else self._refined(across, 2)
        return found * self._root(n1) * self._root(n2)

    def _refined(self, total: Callable[[Any], Array], integrals: int) -> Array:
        """Each halving squares the error of the trapezoidal rule (Trefethen and Weideman 2014), or nearly. Of two integrals, of
        which a halving takes four times as long, it is relied on that the error falls to its power 3/2."""
        digits, step = 12 if self.number is float else mp.mp.dps - 10, self.number(COARSEST)
        found, close = total(step), 10.0 ** (-digits if integrals == 1 else -digits * 2 / 3)
        for _ in range(6):
            before, step = found, step / 2
            found = total(step)
            if np.max(np.abs(found - before)) <= close * np.max(np.abs(found)):
                return found
        raise ArithmeticError("an integral over a batch does not converge: its values vary in too few directions")

    def _nodes(self, side: int, step: Any, powers: tuple[int, ...]) -> tuple[Array, list[Array]]:
        """s, and s^(k/2) / Gamma(k/2) exp(-s B eps) times ds / s for each k of `powers`."""
        scale = len(self.own[side]) / (2 * np.trace(self.own[side]))
        exp, sinh, cosh = (np.exp, np.sinh, np.cosh) if self.number is float else (mp.exp, mp.sinh, mp.cosh)
        at = [i * step for i in range(-int(REACH / step), int(REACH / step) + 1)]
        s = [scale * exp(STRETCH * sinh(t)) for t in at]
        rest = [step * STRETCH * cosh(t) * exp(-v * self.shifts[side]) for t, v in zip(at, s, strict=True)]
        gammas = [self.number(mp.gamma(mp.mpf(k) / 2)) for k in powers]
        weights = [
            [r * v ** (self.number(k) / 2) / g for r, v in zip(rest, s, strict=True)] for k, g in zip(powers, gammas, strict=True)
        ]
        return np.array(s), [np.array(w) for w in weights]

    def _tilted(self, s: Any, ts: Array) -> tuple[Array, Array]:
        """For each t, the covariance under exp(-s |v|^2 - t |v'|^2) and its expectation; without s, of v alone under t."""
        root = self._alone if s is None else self._whole
        n = len(root)
        d = np.array([[t] * n if s is None else [s] * len(self.own[0]) + [t] * len(self.own[1]) for t in ts])
        if self.number is float:
            eye = np.broadcast_to(np.eye(n), (len(ts), n, n))
            upper: Array = np.linalg.qr(np.concatenate([eye, np.sqrt(2 * d)[:, :, None] * root], 1), mode="r")
            half = np.linalg.solve(np.swapaxes(upper, 1, 2), np.broadcast_to(root.T, eye.shape))
            return np.swapaxes(half, 1, 2) @ half, np.exp(-np.sum(np.log(np.abs(np.diagonal(upper, axis1=1, axis2=2))), 1))
        with mp.workdps(mp.mp.dps + 40):
            r = mp.matrix(root.tolist())
            inner = [mp.eye(n) + 2 * r.T * mp.diag(list(row)) * r for row in d]
            tables = [(r * mp.inverse(v) * r.T).tolist() for v in inner]
            return np.array(tables, dtype=object), np.array([1 / mp.sqrt(mp.det(v)) for v in inner])

    @cached_property
    def _alone(self) -> Array:
        return self._factor(self.own[0])

    @cached_property
    def _whole(self) -> Array:
        return self._factor(np.block([[self.own[0], self.cross], [self.cross.T, self.own[1]]]))

    def _factor(self, omega: Array) -> Array:
        """R with R R^T = omega, without what is rounding."""
        if self.number is float:
            values, vectors = np.linalg.eigh(omega)
            return vectors * np.sqrt(np.where(values > len(values) * 2e-16 * values[-1], values, 0))
        found = mp.eigsy(mp.matrix(omega.tolist()))
        least = max(found[0]) * mp.mpf(10) ** (5 - mp.mp.dps)
        roots = [mp.sqrt(v) if v > least else mp.mpf(0) for v in found[0]]
        return np.array((found[1] * mp.diag(roots)).tolist(), dtype=object)

    def _root(self, value: int) -> Any:
        return np.sqrt(value) if self.number is float else mp.sqrt(value)


def _variances(first: Array, second: Array) -> tuple[Array, Array]:
    """Diagonals, along rows and along columns."""
    return np.diagonal(first, axis1=-2, axis2=-1)[..., :, None], np.diagonal(second, axis1=-2, axis2=-1)[..., None, :]


def normalized(
    law: Normalization, kind: str, tables: Sequence[Array], same: bool, call: Callable[..., Any], number: Any
) -> Array:
    """A moment by its kind, "", "_tangent" or "_alone"; `call(x, symbols)` is a function of arrays, x the name of a dual or a
    formula."""
    *moving, cross, first, second = tables if kind != "_alone" else (tables[0],) * 3
    shifts = tuple(len(own) * call(eps, ())() for own, eps in zip((first, second), law.eps, strict=True))
    cross, *moving = (np.broadcast_to(v, (len(first), len(second))) for v in (cross, *moving))
    batches = Batches((first, second), centred(cross), shifts, same, number)
    if kind == "_alone":
        return batches.mean(call(law.mean, (A,)))
    functions = [call(x, (C, A, B)) for x in (*law.pair, *law.bends)]
    return batches.tangent(functions, moving[0]) if kind else batches.second(functions[0])
