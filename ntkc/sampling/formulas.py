"""Formulas of the network as functions of arrays, hyperparameters at their values; compiled once for all runs."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeAlias

import jax
import numpy as np
import sympy as sp

from ntkc.backends import matrices
from ntkc.backends.prelude import numerics
from ntkc.backends.printer import Printer
from ntkc.ir.geometry import GlobalPool, Matrix, Pool, Select, Shift, Start, Window
from ntkc.ir.network import NonlinearNode
from ntkc.ir.sample import Sample
from ntkc.sampling.value import Array

SQUARE, TANGENT = sp.symbols("S T", real=True)
NAMESPACE = {"jax": jax, "jnp": jax.numpy, "math": math, **{k: v for k, v in vars(numerics).items() if k.startswith("_")}}
Pushed: TypeAlias = Callable[[tuple[Array, ...], tuple[Array, ...]], tuple[Array, Array]]


class Formulas:
    """What a formula of the network becomes, kept under what it was made from."""

    def __init__(self, params: Mapping[sp.Symbol, float]) -> None:
        self.params = dict(params)
        self._kept: dict[Any, Any] = {}

    def number(self, value: sp.Expr | int | None) -> float:
        key = ("number", value)
        if key not in self._kept:
            self._kept[key] = 0.0 if value is None else float((sp.S.One * value).subs(self.params))
        return float(self._kept[key])

    def linear(self, rule: sp.Expr) -> tuple[float, float, float]:
        """(constant, factor of S, factor of T) of a layer's rule for K or Theta."""
        key = ("rule", rule)
        if key not in self._kept:
            self._kept[key] = self._split(sp.expand(rule))
        return self._kept[key]  # type: ignore[no-any-return]

    def _split(self, rule: sp.Expr) -> tuple[float, float, float]:
        factors = [rule.coeff(symbol, 1) for symbol in (SQUARE, TANGENT)]
        constant = rule - factors[0] * SQUARE - factors[1] * TANGENT
        assert not sp.expand(constant).has(SQUARE, TANGENT), f"{rule} is not linear in second moments"
        return self.number(sp.expand(constant)), self.number(factors[0]), self.number(factors[1])

    def pushed(self, node: NonlinearNode) -> Pushed:
        """A scalar function with its derivative along the tangents."""
        read = sorted((s for s in node.function.free_symbols if s in self.params), key=str)
        push = _compiled(node.function, (*node.symbols, *read))
        return partial(_pushed, push, tuple(self.params[s] for s in read))

    def layered(self, sample: Sample) -> Pushed:
        """A finite layer without weights, on arrays whose last axis is channels, with its derivative."""
        arguments = tuple(self.number(a) if isinstance(a, sp.Expr) else a for a in sample.arguments)
        return partial(_pushed, _compiled_layer(sample.function, arguments), ())

    def matrix(self, geometry: Pool | GlobalPool | Select | Matrix | Shift | Start, grid: tuple[int, ...]) -> Array:
        """Coefficients (out, in) of a linear map over positions."""
        key = (geometry, grid)
        if key not in self._kept:
            self._kept[key] = np.array(matrices.matrix(geometry, grid), dtype=float)
        return np.asarray(self._kept[key])

    def taps(self, geometry: Window, grid: tuple[int, ...]) -> list[list[int | None]]:
        """For each tap, which position each output position reads."""
        key = (geometry, grid)
        if key not in self._kept:
            self._kept[key] = matrices.taps(geometry, grid)
        return self._kept[key]  # type: ignore[no-any-return]


@lru_cache(maxsize=1024)
def _compiled(function: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Callable[..., Any]:
    return _with_derivative(sp.lambdify(symbols, function, [NAMESPACE], printer=Printer()))


@lru_cache(maxsize=1024)
def _compiled_layer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    return _with_derivative(lambda h: function(h, *arguments))


def _with_derivative(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of values and their tangents; the rest of the arguments does not move."""
    return jax.jit(lambda rest, values, tangents: jax.jvp(lambda *v: function(*v, *rest), values, tangents))


def _pushed(
    push: Callable[..., Any], rest: tuple[float, ...], values: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    value, tangent = push(rest, values, tangents)
    return np.asarray(value), np.asarray(tangent)


def pushed_once(function: Callable[..., Any], values: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """A function and its derivative, without compiling it."""
    value, tangent = jax.jvp(function, values, tangents)
    return np.asarray(value), np.asarray(tangent)
