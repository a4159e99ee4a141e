"""Self-attention in the limit of infinitely many channels and heads (Hron et al. 2020, sections 3 and 4)."""

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import sympy as sp

from ntkc.ir.layer import Caution, Mixing, MixingMatrix, RandomLogits, choice, flag, inherited, number, optional, size
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Attention(Mixing):
    """Logits q_p . k_q / d are deterministic in the limit; with untied queries and keys they vanish. Queries, keys and values
    have the layer's own width."""

    name = "attention"

    mechanism: str = choice("softmax", "identity", "relu", "abs")
    scaling: str = choice("linear", "sqrt")
    tied_query_key: bool = flag()
    query_std: sp.Expr = number(1)
    key_std: sp.Expr | None = optional()
    value_std: sp.Expr = number(1)
    out_std: sp.Expr = number(1)
    b_std: sp.Expr | None = optional()
    causal: bool = flag()
    position_std: sp.Expr | None = optional()
    width: int | None = size()
    parameterization: str | None = inherited("ntk", "standard")
    fan_in: int | None = None

    @property
    def standard(self) -> bool:
        return self.parameterization == "standard"

    def problem(self) -> str:
        if self.scaling == "sqrt" and self.tied_query_key:
            return "logits q . k / sqrt(d) with tied query and key grow without bound; use `scaling=linear`"
        if self.tied_query_key and self.key_std is not None and self.key_std != self.query_std:
            return "with `tied_query_key` one matrix serves both, so `key_std` equals `query_std`"
        return ""

    def unclosed(self) -> str:
        return (
            "logits q . k / sqrt(d) stay random in the limit; with `scaling=linear` they do not" if self.scaling == "sqrt" else ""
        )

    def random_logits(self) -> RandomLogits | None:
        if self.scaling == "linear":
            return None
        scale = self.query_std**2 * (1 if self.key_std is None else self.key_std) ** 2
        return RandomLogits(self.mechanism, scale, (self.position_std or sp.S.Zero) ** 2, self.causal)

    def caution(self) -> Caution | None:
        if self.tied_query_key or self.scaling == "sqrt":
            return None
        effect = "attends uniformly" if self.mechanism == "softmax" else "attends to nothing"
        return Caution(
            "untied-attention",
            f"with untied query and key and `scaling=linear` this layer {effect}",
            "its logits vanish as the width grows",
            "write `tied_query_key=true` to let them depend on the input",
        )

    def coefficients(self) -> MixingMatrix:
        scale = self.query_std**2 if self.tied_query_key else sp.S.Zero
        return MixingMatrix(self.mechanism, scale, scale * (self.position_std or 0) ** 2, self.causal)

    def moment(self, square: sp.Expr) -> sp.Expr:
        return self.value_std**2 * self.out_std**2 * square + (self.b_std or 0) ** 2

    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        scale = self.value_std**2 * self.out_std**2
        trained_value = sp.Integer(self.fan_in or 1) * self.out_std**2 if self.standard else scale
        trained_out = sp.Integer(self.width or 1) * self.value_std**2 if self.standard else scale
        trained_bias = sp.Integer(self.b_std is not None) if self.standard else (self.b_std or 0) ** 2
        return (trained_value + trained_out) * square + scale * tangent + trained_bias

    def sample(self) -> Sample:
        tied = self.tied_query_key
        logits = (self.mechanism, self.scaling, tied, self.query_std, self.key_std, self.causal, self.position_std)
        return Sample(_attend, (self.width, self.width, self.standard, self.value_std, self.out_std, self.b_std, *logits))


def _attend(
    weights: Any,
    name: str,
    h: Any,
    width: int | None,
    between: int | None,
    standard: bool,
    value_std: Any,
    out_std: Any,
    b_std: Any,
    mechanism: str,
    scaling: str,
    tied: bool,
    query_std: Any,
    key_std: Any,
    causal: bool,
    position_std: Any,
    present: Any = None,
) -> Any:
    """Positions in row-major order. One head as wide as the layer, or with logits over sqrt(d), which stay random, as many heads
    as each of them is wide."""
    shape, d = h.shape[1:-1], h.shape[-1]
    inner, n = between or weights.width, math.prod(h.shape[1:-1])
    heads = 1 if scaling == "linear" else math.isqrt(inner - 1) + 1
    size = inner if heads == 1 else heads
    h = h.reshape(h.shape[0], n, d)
    at = h if position_std is None else h + position_std * _from_first(weights(name + "/positions", (n, d)), present)
    query = _heads(at @ weights.scaled(name + "/Q", (d, heads * size), query_std / math.sqrt(d), standard), heads)
    key_std = query_std if key_std is None and tied else 1 if key_std is None else key_std
    key = query if tied else _heads(at @ weights.scaled(name + "/K", (d, heads * size), key_std / math.sqrt(d), standard), heads)
    logits = jnp.einsum("nhpc,nhqc->nhpq", query, key) / (size if scaling == "linear" else math.sqrt(size))
    mix = _mix(logits, mechanism, causal, present)
    value = _heads(h @ weights.scaled(name + "/V", (d, heads * size), value_std / math.sqrt(d), standard), heads)
    joined = jnp.swapaxes(mix @ value, 1, 2).reshape(h.shape[0], n, heads * size)
    y = joined @ weights.scaled(name + "/O", (heads * size, width or inner), out_std / math.sqrt(heads * size), standard)
    if b_std is not None:
        y = y + weights.scaled(name + "/b", y.shape[-1:], b_std, standard)
    return y.reshape(h.shape[0], *shape, y.shape[-1])


def _from_first(table: Any, present: Any) -> Any:
    """A row for each position, counted from the first one that is present in each sample."""
    if present is None:
        return table
    first = jnp.argmax(present, 1)[:, None]
    return table[jnp.maximum(jnp.arange(len(table)) - first, 0)]


def _mix(logits: Any, mechanism: str, causal: bool, present: Any) -> Any:
    n = logits.shape[-1]
    seen = jnp.tril(jnp.ones((n, n), bool)) if causal else jnp.ones((n, n), bool)
    seen = seen if present is None else seen & (present[:, None, None, :] > 0)
    if mechanism != "softmax":
        return {"identity": logits, "relu": jnp.maximum(logits, 0), "abs": jnp.abs(logits)}[mechanism] * seen
    top = jnp.max(logits, -1, keepdims=True, where=seen, initial=-1e30)
    mix = jnp.exp(jnp.where(seen, logits - top, -jnp.inf))
    total = mix.sum(-1, keepdims=True)
    return mix / jnp.where(total > 0, total, 1)


def _heads(v: Any, heads: int) -> Any:
    """(n, positions, heads x size) -> (n, heads, positions, size)."""
    return jnp.swapaxes(v.reshape(*v.shape[:2], heads, -1), 1, 2)
