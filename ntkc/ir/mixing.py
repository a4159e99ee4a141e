"""Attention coefficients, from the second moments S between the positions of one sample."""

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True, slots=True)
class MixingMatrix:
    """softmax, identity, relu or abs of scale * S + shift * [p = q], over the positions up to the own one where causal."""

    mechanism: str
    scale: sp.Expr
    shift: sp.Expr
    causal: bool


@dataclass(frozen=True, slots=True)
class RandomLogits:
    """Logits of infinitely many heads, Gaussian with Cov(G[p, q], G'[p', q']) = scale * S[p, p'] * S[q, q'], where `position` is
    added to S at matching positions. `mechanism` of them over the positions up to the own one where causal."""

    mechanism: str
    scale: sp.Expr
    position: sp.Expr
    causal: bool
