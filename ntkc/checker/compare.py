"""Whether two expressions are equal: as text, after expansion, or at random points, which is then said."""

import random
from collections.abc import Mapping
from typing import Any

import mpmath as mp
import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.checker.expected import Z, mean_of

POINTS, DIGITS, TOLERANCE = 3, 40, 1e-25
Point = dict[sp.Symbol, sp.Rational]
_zeros = sp.Function("_zeros")
A, B, C = sp.Symbol("a", positive=True), sp.Symbol("b", positive=True), sp.Symbol("c", real=True)


class Comparison:
    """Equality where expectations stand for their closed forms and maps over positions for nothing but themselves."""

    def __init__(
        self,
        closed: Mapping[str, sp.Expr],
        series: Mapping[str, tuple[sp.Expr, sp.Expr]],
        means: list[sp.Expr],
        variances: set[str],
        diagonals: Mapping[sp.Expr, sp.Expr],
    ) -> None:
        self.closed, self.series, self.means, self.variances, self.diagonals = closed, series, means, variances, diagonals

    def __call__(self, left: sp.Expr, right: sp.Expr) -> str:
        """`proven` by algebra, `checked` at points, or nothing where they differ."""
        left, right = (v.replace(_zeros, lambda *_: sp.S.Zero).xreplace(self.diagonals) for v in (left, right))
        if left == right or sp.expand(left - right) == 0:
            return "proven"
        source = random.Random(0)
        names: dict[sp.Expr, sp.Symbol] = {}
        left, right = (self._opaque(v, names) for v in (left, right))
        formulas = [self.closed[f.func.__name__] for v in (left, right) for f in v.atoms(AppliedUndef) if f.func != mean_of]
        symbols = sorted(set[sp.Symbol]().union(*(v.free_symbols for v in (left, right, *formulas))) - {A, B, C}, key=str)
        for _ in range(POINTS):
            point = {s: self._draw(s, source) for s in symbols}
            with mp.workdps(DIGITS):
                one, two = (self._value(v, point) for v in (left, right))
            if not abs(one - two) <= TOLERANCE * (1 + abs(one)):
                return ""
        return "checked"

    def _opaque(self, value: sp.Expr, names: dict[sp.Expr, sp.Symbol]) -> sp.Expr:
        """Each map over positions, and each series, as a symbol of its own."""
        if isinstance(value, AppliedUndef):
            name = value.func.__name__
            if name not in self.closed and value.func != mean_of:
                key = value.func(*(sp.expand(a) for a in value.args))
                key = self._one_of_equals(name, *key.args) if name in self.series else key
                ones = all(str(s).endswith(("_1", "_2")) for s in key.free_symbols)
                return names.setdefault(key, sp.Symbol(f"opaque{len(names)}{'_variance' if ones else ''}", real=True))
        return value.func(*(self._opaque(a, names) for a in value.args)) if value.args else value

    def _one_of_equals(self, name: str, c: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        """E f(u) g(v) is E g(v) f(u), and beside a constant only the variance of the other one counts."""
        f, g = self.series[name]
        if not (f.has(Z) and g.has(Z)):
            c, a, b = sp.S.Zero, *((a, a) if f.has(Z) else (b, b))
        names = sorted(n for n, pair in self.series.items() if pair in ((f, g), (g, f)))
        if f == g:
            a, b = sorted((a, b), key=str)
        elif self.series[names[0]] == (g, f):
            a, b = b, a
        return sp.Function(names[0])(c, a, b)

    def _draw(self, symbol: sp.Symbol, source: random.Random) -> sp.Rational:
        """Variances above 1 and covariances below 1/2, so that they belong together."""
        name = str(symbol)
        if symbol.is_nonnegative or name in self.variances or name.endswith("_variance"):
            return sp.Rational(source.randrange(1050, 1950), 1000)
        return sp.Rational(source.randrange(-480, 480), 1000)

    def _value(self, value: sp.Expr, point: Point) -> Any:
        def number(v: sp.Expr) -> sp.Expr:
            if isinstance(v, AppliedUndef):
                rule = self._mean if v.func == mean_of else self._pair
                return rule(v, [number(a) for a in v.args], point)
            return v.func(*map(number, v.args)) if v.args else point.get(v, v)

        return mp.mpf(str(sp.re(number(value)).evalf(DIGITS)))

    def _pair(self, value: sp.Expr, arguments: list[sp.Expr], point: Point) -> sp.Expr:
        formula, (c, a, b) = self.closed[value.func.__name__], arguments
        found = formula.subs({**point, C: c, A: a, B: b}, simultaneous=True).evalf(DIGITS)
        if not found.is_finite:  # 0/0 at c = a = b
            near = c * (1 - sp.Rational(1, 10**30))
            found = formula.subs({**point, C: near, A: a, B: b}, simultaneous=True).evalf(3 * DIGITS)
        return found

    def _mean(self, _: sp.Expr, arguments: list[sp.Expr], point: Point) -> sp.Expr:
        """E f(z) of z ~ N(0, variance), by quadrature split at 0."""
        index, variance = arguments
        root = mp.sqrt(mp.mpf(str(sp.N(variance, DIGITS))))
        f = sp.lambdify(Z, self.means[int(index)].subs(point), "mpmath")
        return sp.Float(str(mp.quad(lambda x: f(root * x) * mp.npdf(x), [-14, -6, -2, 0, 2, 6, 14])), DIGITS)
