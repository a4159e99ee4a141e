"""SymPy -> JAX expressions. Strict: what it does not know is an error, not text."""

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.numpy import JaxPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pycode import PythonCodePrinter

_NUMBERS = PythonCodePrinter({"fully_qualified_modules": True})


class Printer(JaxPrinter):
    """Numbers through `math`, so that they stay weakly typed; roots and angles through the guarded functions of the prelude."""

    _module = "jnp"

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": True})

    def _print(self, expr: sp.Basic, **kwargs: object) -> str:
        if isinstance(expr, sp.Expr) and expr.is_number and not expr.is_Rational and not expr.is_Symbol:
            text = _NUMBERS.doprint(expr)
            return f"({text})" if expr.is_Mul or expr.is_Add else text
        return str(super()._print(expr, **kwargs))

    def _print_Pow(self, expr: sp.Pow, rational: bool = False, sqrt: str = "") -> str:
        base, exponent = expr.as_base_exp()
        if exponent.is_Rational and exponent.q == 2:
            root = f"_sqrt({self._print(base)})"
            power = abs(int(exponent.p))
            raised = root if power == 1 else f"{root}**{power}"
            return raised if exponent > 0 else f"1/{raised}"
        if exponent.is_Integer and exponent < 0:
            return f"1/{self.parenthesize(base**-exponent, PRECEDENCE['Pow'])}"
        return f"{self.parenthesize(base, PRECEDENCE['Pow'])}**{self.parenthesize(exponent, PRECEDENCE['Pow'])}"

    def _print_atan2(self, expr: sp.atan2) -> str:
        """The prelude's is for angles of at most a right one, which sines of squares exceed."""
        return self._call("_atan2" if _is_root(expr.args[1]) else "jnp.arctan2", expr)

    def _print_gram_root(self, expr: sp.Expr) -> str:
        return self._call("_gram_root", expr)

    def _print_ratio(self, expr: sp.Expr) -> str:
        return self._call("_ratio", expr)

    def _print_scaled_cosh(self, expr: sp.Expr) -> str:
        return self._call("_scaled_cosh", expr)

    def _print_scaled_sinh(self, expr: sp.Expr) -> str:
        return self._call("_scaled_sinh", expr)

    def _print_erf_moment(self, expr: sp.Expr) -> str:
        return self._call("_erf_moment", expr)

    def _print_erf(self, expr: sp.erf) -> str:
        return self._call("jax.scipy.special.erf", expr)

    def _print_Heaviside(self, expr: sp.Heaviside) -> str:
        return f"jnp.heaviside({self._print(expr.args[0])}, 0.5)"

    def _print_Max(self, expr: sp.Max) -> str:
        return self._folded("jnp.maximum", expr)

    def _print_Min(self, expr: sp.Min) -> str:
        return self._folded("jnp.minimum", expr)

    def _print_Function(self, expr: AppliedUndef) -> str:
        return self._call(expr.func.__name__, expr)

    def _folded(self, name: str, expr: sp.Expr) -> str:
        first, *others = sorted(expr.args, key=lambda x: bool(x.is_number))
        text = self._print(first)
        for other in others:
            text = f"{name}({text}, {self._print(other)})"
        return text

    def _call(self, name: str, expr: sp.Expr) -> str:
        return f"{name}({', '.join(self._print(arg) for arg in expr.args)})"


def _is_root(expr: sp.Expr) -> bool:
    """Whether it cannot be negative, as no root is that the prelude takes."""
    factors = sp.Mul.make_args(expr)
    return all(
        f.is_nonnegative or f.func.__name__ == "gram_root" or (f.is_Pow and f.exp.is_Rational and f.exp.q == 2) for f in factors
    )


def text(expr: sp.Expr) -> str:
    """The JAX expression."""
    return str(Printer().doprint(expr))
