"""Functions that need care in floating point. Backends give each its own code; here is what they mean."""

import sympy as sp


class gram_root(sp.Function):  # noqa: N801
    """sqrt(a b - c^2): exactly 0 where a = b = c; its derivative there is taken as 0 (the kernel has a cone at x = x')."""

    nargs = 3


class scaled_cosh(sp.Function):  # noqa: N801
    """cosh(x) exp(y) without overflow between the two."""

    nargs = 2


class scaled_sinh(sp.Function):  # noqa: N801
    """sinh(x) exp(y), with the digits of sinh where x is small and without overflow where it is large."""

    nargs = 2


class ratio(sp.Function):  # noqa: N801
    """x / y, 0 where y is 0; both nonnegative."""

    nargs = 2

    @classmethod
    def eval(cls, x: sp.Expr, y: sp.Expr) -> sp.Expr | None:
        return (sp.S.Zero if y == 0 else x / y) if x.is_number and y.is_number else None

    def _eval_is_nonnegative(self) -> bool:
        return True


def with_intrinsics(value: sp.Expr, c: sp.Symbol, a: sp.Symbol, b: sp.Symbol) -> sp.Expr:
    """The same expression with the delicate pieces named."""
    root = sp.sqrt(a * b - c**2)
    value = value.replace(
        lambda e: e.is_Pow and e.base == root.base and e.exp.is_Rational and e.exp.q == 2,
        lambda e: gram_root(c, a, b) ** (2 * e.exp),
    )
    return value.replace(lambda e: e.is_Mul and any(isinstance(x, sp.exp) for x in e.args), _merge_exponential)


def _merge_exponential(product: sp.Expr) -> sp.Expr:
    """exp(y) times sums of cosh and sinh."""
    exponent = sp.Add(*(x.exp for x in product.args if isinstance(x, sp.exp)))
    rest = sp.Mul(*(x for x in product.args if not isinstance(x, sp.exp)))
    if not rest.has(sp.cosh, sp.sinh):
        return product
    flat = sp.expand(rest)
    named = {sp.cosh: scaled_cosh, sp.sinh: scaled_sinh}
    for kind, intrinsic in named.items():
        flat = flat.replace(kind, lambda x, intrinsic=intrinsic: intrinsic(x, exponent))
    bare = sp.Add(*(t for t in sp.Add.make_args(flat) if not t.has(scaled_cosh, scaled_sinh)))
    return flat - bare + bare * sp.exp(exponent)
