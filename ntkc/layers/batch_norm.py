"""Batch normalization by the statistics of the evaluation batch (Ioffe and Szegedy 2015; Yang et al. 2019)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import sympy as sp

from ntkc.ir.layer import Joint, number
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class BatchNorm(Joint):
    """Mean and variance of each channel over the samples of the batch and over positions; x1 and x2 are two batches. With fewer
    than 4 values the expectation of 1 / variance, and with it the tangent kernel, is infinite."""

    name = "batch_norm"
    least: ClassVar[int] = 4

    eps: sp.Expr = number("1e-12")

    def unclosed_of(self, gaussian: bool, positions: bool) -> str:
        return (
            ""
            if gaussian
            else "it is derived for Gaussian values, and none has been mixed by a layer since the last nonlinearity"
        )

    def problem(self) -> str:
        return "" if self.eps.is_nonnegative else "`eps` must not be negative; give its `param` a domain, `in [0, inf)`"

    def sample(self) -> Sample:
        return Sample(_batch_norm, (self.eps,))


def _batch_norm(h: Any, eps: Any) -> Any:
    over = tuple(range(h.ndim - 1))
    h = h - jnp.mean(h, over, keepdims=True)
    return h / jnp.sqrt(jnp.mean(h**2, over, keepdims=True) + eps)
