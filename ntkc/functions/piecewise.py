"""Functions with a kink or a jump."""

import sympy as sp

from ntkc.functions.scalar import scalar

_HALF = sp.Rational(1, 2)


@scalar
def relu(z: sp.Expr) -> sp.Expr:
    return sp.Max(z, 0)


@scalar
def leaky_relu(z: sp.Expr, slope: sp.Expr) -> sp.Expr:
    return sp.Max(z, 0) - slope * sp.Max(-z, 0)


@scalar
def abs_(z: sp.Expr) -> sp.Expr:
    return sp.Abs(z)


@scalar
def sign(z: sp.Expr) -> sp.Expr:
    return sp.sign(z)


@scalar
def step(z: sp.Expr) -> sp.Expr:
    return sp.Heaviside(z, _HALF)


@scalar
def max_(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return sp.Max(a, b)


@scalar
def min_(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    return sp.Min(a, b)


@scalar
def elu(z: sp.Expr) -> sp.Expr:
    """Clevert et al. 2016."""
    return sp.Piecewise((z, z > 0), (sp.exp(z) - 1, True))


@scalar
def selu(z: sp.Expr) -> sp.Expr:
    """Klambauer et al. 2017, with the constants of its equation 14."""
    alpha, scale = sp.Rational("1.6732632423543772848170429916717"), sp.Rational("1.0507009873554804934193349852946")
    return scale * sp.Piecewise((z, z > 0), (alpha * (sp.exp(z) - 1), True))
