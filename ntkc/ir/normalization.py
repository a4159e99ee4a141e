"""What stands in equations for a function of values that are normalized over the batch."""

from dataclasses import dataclass

import sympy as sp

QUADRATURE = 1e-11
"""The relative error of the rules that integrate over powers of |v|^2 (`backends.prelude.batches`), at most; measured in
`tests/test_batch_norm.py`."""
FOUR = 1e-8
"""The same of an NTK of four values of a channel: E |v|^-2 has three dimensions then, and a tail that the rules cut off; a gap of
4e-9 to the reference was seen."""
centred = sp.Function("_centred")
"""The covariance, between the samples of a batch, of values less their means over the batch."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """f(x) and g(x') of degree 1, of x = sqrt(B) v / sqrt(|v|^2 + B eps) with v a value of one channel less its mean over the
    batch of B. `NAME`, `NAME_tangent` and `NAME_alone` in equations are E f g, the tangent moment and E f of these; they are
    made of expectations of a pair (u, v) ~ N(0, [[a, c], [c, b]])."""

    f: sp.Expr
    g: sp.Expr
    pair: tuple[str, str]
    """The names of the duals E f(u) g(v) and E f'(u) g'(v)."""
    bends: tuple[sp.Expr, sp.Expr]
    """E f''(u) g(v) and E f(u) g''(v)."""
    mean: sp.Expr
    """E f(u)."""
    eps: tuple[sp.Expr, sp.Expr]
    """Of both sides."""
