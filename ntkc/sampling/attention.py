"""Attention in a slice: coefficients that are deterministic in the limit, or logits that are drawn anew for every head."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ntkc.ir.layer import MixingMatrix, RandomLogits
from ntkc.sampling.formulas import Formulas, pushed_once
from ntkc.sampling.gaussian import root
from ntkc.sampling.value import Array, Value


def mixed(value: Value, matrix: MixingMatrix, formulas: Formulas) -> Value:
    """A(x) h, A from the second moments between the positions of each sample."""
    table = np.einsum("gnbp,gnbq->bpq", value.weights * value.val, value.val)
    logits = formulas.number(matrix.scale) * table + formulas.number(matrix.shift) * np.eye(table.shape[-1])
    a = np.asarray(_mechanism(matrix.mechanism, matrix.causal, value.present)(logits))
    val, tan = (np.einsum("bpq,gnbq->gnbp", a, v) for v in (value.val, value.tan))
    return Value(val, tan, value.grid, value.shares)


def random_heads(value: Value, law: RandomLogits, formulas: Formulas, slices: int, rng: np.random.Generator) -> Value:
    """sum_q A[p, q] v_q of infinitely many heads (Hron et al. 2020, section 3): each slice is a head of its own with a Gaussian v
    of covariance E h h'. The weights' own derivatives are in the layer's rule, except those of queries and keys."""
    b, p = value.val.shape[2:]
    square, tangent = (np.einsum("gnbp,gncq->bpcq", value.weights * v, v).reshape(b * p, b * p) for v in (value.val, value.tan))
    place = formulas.number(law.position) * _same_place(value.present, b, p)
    scale = np.sqrt(formulas.number(law.scale))

    def kronecker(left: Array, right: Array) -> Array:
        """Cov = left x right between positions, (slices, samples, positions, positions)."""
        rows, columns = (f.reshape(b, p, -1) for f in (left, right))
        noise = rng.standard_normal((slices, rows.shape[-1], columns.shape[-1]))
        return np.asarray(scale * np.einsum("bpi,nij,bqj->nbpq", rows, noise, columns, optimize=True))

    s, t, plain = root(square + place)[0], root(tangent + place)[0], root(square)[0]
    logits = kronecker(s, s)
    moving = np.sqrt(2) * kronecker(s, s) + kronecker(t, s) + kronecker(s, t)
    carried = [(rng.standard_normal((slices, f.shape[1])) @ f.T).reshape(slices, b, p) for f in (plain, root(tangent)[0])]
    attend = _mechanism(law.mechanism, law.causal, value.present)
    val, tan = pushed_once(lambda g, v: jnp.einsum("nbpq,nbq->nbp", attend(g), v), (logits, carried[0]), (moving, carried[1]))
    return Value(val[None], tan[None], value.grid)


def _same_place(present: Array | None, samples: int, positions: int) -> Array:
    """Where two positions have one number, counted from the first one that is present in each sample."""
    first = np.zeros(samples, int) if present is None else np.argmax(present, 1)
    number = (np.arange(positions) - first[:, None]).ravel()
    return np.asarray(number[:, None] == number, float)


def _mechanism(name: str, causal: bool, present: Array | None) -> Callable[[Any], Any]:
    """Of logits (..., samples, positions, positions)."""

    def weigh(logits: Any) -> Any:
        n = logits.shape[-1]
        seen = jnp.tril(jnp.ones((n, n), bool)) if causal else jnp.ones((n, n), bool)
        seen = seen if present is None else seen & (present[:, None, :] > 0)
        if name != "softmax":
            return {"identity": logits, "relu": jnp.maximum(logits, 0), "abs": jnp.abs(logits)}[name] * seen
        raised = seen * jnp.exp(jnp.where(seen, logits - jnp.max(logits, -1, keepdims=True, where=seen, initial=-jnp.inf), 0))
        total = raised.sum(-1, keepdims=True)
        return raised / jnp.where(total > 0, total, 1)  # 0 for a position that sees none

    return weigh
