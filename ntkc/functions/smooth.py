"""Smooth functions."""

import sympy as sp

from ntkc.functions.scalar import scalar


@scalar
def erf(z: sp.Expr) -> sp.Expr:
    return sp.erf(z)


@scalar
def erfc(z: sp.Expr) -> sp.Expr:
    return 1 - sp.erf(z)


@scalar
def gelu(z: sp.Expr) -> sp.Expr:
    """The exact one (Hendrycks and Gimpel 2016)."""
    return z * (1 + sp.erf(z / sp.sqrt(2))) / 2


@scalar
def exp(z: sp.Expr) -> sp.Expr:
    return sp.exp(z)


@scalar
def log(z: sp.Expr) -> sp.Expr:
    return sp.log(z)


@scalar
def sqrt(z: sp.Expr) -> sp.Expr:
    return sp.sqrt(z)


@scalar
def sin(z: sp.Expr) -> sp.Expr:
    return sp.sin(z)


@scalar
def cos(z: sp.Expr) -> sp.Expr:
    return sp.cos(z)


@scalar
def tanh(z: sp.Expr) -> sp.Expr:
    return sp.tanh(z)


@scalar
def sigmoid(z: sp.Expr) -> sp.Expr:
    return (1 + sp.tanh(z / 2)) / 2


@scalar
def softplus(z: sp.Expr) -> sp.Expr:
    return sp.log(1 + sp.exp(z))


@scalar
def silu(z: sp.Expr) -> sp.Expr:
    """Elfwing et al. 2018."""
    return z * (1 + sp.tanh(z / 2)) / 2


@scalar
def poly(z: sp.Expr, *coefficients: sp.Expr) -> sp.Expr:
    """c0 + c1 z + c2 z^2 + ..."""
    return sp.Add(*(k * z**i for i, k in enumerate(coefficients)))


@scalar
def hermite(z: sp.Expr, n: sp.Integer) -> sp.Expr:
    """Probabilists' Hermite polynomial of unit norm under N(0, 1), as `stax.Hermite` of neural-tangents."""
    x = sp.Symbol("x")
    return (sp.hermite_prob(n, x) / sp.sqrt(sp.factorial(n))).subs(x, z).expand()
