"""E f(u) g(v) of functions of Gaussian values, and the chain rule: Yang 2019 (values at one coordinate are jointly Gaussian) and
2020 (the derivative by a weight meets an independent copy of it)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import sympy as sp

from ntkc.checker import erfs
from ntkc.checker.layers import Unknown
from ntkc.checker.statement import Statement
from ntkc.checker.text import Reader

Z = sp.Symbol("z", real=True)
mean_of = sp.Function("mean_of")
"""mean_of(k, a): E of the k-th function of `Expected.means` of N(0, a)."""
Variable = tuple[int, str]
Term = tuple[sp.Expr, dict[int, sp.Expr]]
"""A coefficient, and a function of `Z` for each Gaussian node."""


class Expected(ABC):
    """The rule for nonlinear values, in terms of the expectations that the certificate lists and of one-dimensional integrals."""

    statement: Statement
    read: Reader
    means: list[sp.Expr]

    @abstractmethod
    def of(self, kind: str, p: int, q: int, side: str) -> sp.Expr:
        """The meaning of a moment."""

    @property
    def expectations(self) -> list[dict[str, Any]]:
        return self.statement.data["expectations"]  # type: ignore[no-any-return]

    def _function(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        nonlinear = [self.statement.kind(i) == "NonlinearNode" and self.statement.normalization(i) is None for i in (p, q)]
        if not any(nonlinear) or not all(n or self.statement.gaussian[i] for n, i in zip(nonlinear, (p, q), strict=True)):
            return
        ends = ("1", "2") if side == "12" else (side, side)
        if kind == "m":
            yield self._summed([(f, (sp.S.One, {})) for f in self._terms(p)], (side, side))
        elif kind == "S":
            yield self._summed([(f, g) for f in self._terms(p) for g in self._terms(q)], ends)
        else:
            yield self._chained(p, q)

    def _chained(self, p: int, q: int) -> sp.Expr:
        total: sp.Expr = sp.S.Zero
        for u, f in self._slopes(p):
            for v, g in self._slopes(q):
                if not self.statement.independent(u, v):
                    total += self._summed([(s, t) for s in f for t in g], ("1", "2")) * self.of("T", u, v, "12")
        return total

    def _parts(self, p: int) -> tuple[sp.Expr, dict[sp.Symbol, int]]:
        node = self.statement.nodes[p]
        if node["class"] != "NonlinearNode":
            return Z, {Z: p}
        if not all(self.statement.gaussian[i] for i in node["operands"]):
            raise Unknown(f"an argument of v{p} is not known to be Gaussian")
        symbols = [self.read.symbol(name) for name in node["symbols"]]
        return self.read(node["function"]), dict(zip(symbols, node["operands"], strict=True))

    def _terms(self, p: int) -> list[Term]:
        return self._split(*self._parts(p))

    def _slopes(self, p: int) -> list[tuple[int, list[Term]]]:
        """The partial derivative by each Gaussian argument, which exists as a function where the value has no jump."""
        function, where = self._parts(p)
        for symbol in where:
            if any(_jumps(function, symbol, kink) for kink in _kinks(function, symbol)):
                raise Unknown(f"v{p} jumps, so its derivative is no function")
        found = []
        for symbol, node in where.items():
            slope = sp.diff(function, symbol).replace(sp.DiracDelta, lambda *_: sp.S.Zero)  # without a jump they cancel
            found.append((node, self._split(slope, where)))
        return found

    def _split(self, function: sp.Expr, where: dict[sp.Symbol, int]) -> list[Term]:
        """A sum of products of functions of one Gaussian value each."""
        present = [s for s in where if function.has(s)]
        if not present:
            return [(function, {})]
        if len(present) == 1:
            return [(sp.S.One, {where[present[0]]: function.subs(present[0], Z)})]
        found = []
        for term in sp.Add.make_args(sp.expand(function)):
            factors: dict[int, sp.Expr] = {}
            coefficient: sp.Expr = sp.S.One
            for factor in sp.Mul.make_args(term):
                used = [s for s in where if factor.has(s)]
                if len(used) > 1:
                    raise Unknown(f"{factor} mixes several Gaussian values")
                if used:
                    node = where[used[0]]
                    factors[node] = factors.get(node, sp.S.One) * factor.subs(used[0], Z)
                else:
                    coefficient *= factor
            if not any(_never(f) for f in factors.values()):
                found.append((coefficient, factors))
        return found

    def _summed(self, pairs: list[tuple[Term, Term]], ends: tuple[str, str]) -> sp.Expr:
        """The sum of E of the products, the first factors at the first end and the second ones at the second."""
        total: sp.Expr = sp.S.Zero
        for (c, f), (d, g) in pairs:
            left = {(node, ends[0]): h for node, h in f.items()}
            right = {(node, ends[1]): h for node, h in g.items()}
            total += c * d * self._product(left, right)
        return total

    def _product(self, left: dict[Variable, sp.Expr], right: dict[Variable, sp.Expr]) -> sp.Expr:
        """E of a product: independent groups of variables factor."""
        rest = {v for v in (*left, *right) if (left.get(v, sp.S.One) * right.get(v, sp.S.One)).has(Z)}
        value: sp.Expr = sp.Mul(*(h for v, h in (*left.items(), *right.items()) if v not in rest))
        while rest:
            group = {min(rest)}
            while more := {v for v in rest - group if any(not self.statement.independent(v[0], u[0]) for u in group)}:
                group |= more
            rest -= group
            value *= self._group(sorted(group), left, right)
        return value

    def _group(self, group: list[Variable], left: dict[Variable, sp.Expr], right: dict[Variable, sp.Expr]) -> sp.Expr:
        factors = {v: left.get(v, sp.S.One) * right.get(v, sp.S.One) for v in group}
        if len(group) == 1:
            (u,) = group
            variance = self.covariance(u, u)
            if sp.expand(factors[u] + factors[u].subs(Z, -Z)) == 0:  # odd
                return sp.S.Zero
            law = self._listed(left.get(u, sp.S.One), right.get(u, sp.S.One))
            if law is not None:
                return sp.Function(law[0])(variance, variance, variance)
            if (value := erfs.moment(factors, self.covariance, least=3)) is not None:
                return value
            return mean_of(self._numbered(factors[u]), variance)
        if len(group) > 2:
            value = erfs.moment(factors, self.covariance)
            return self._isserlis(group, factors) if value is None else value
        u, v = sorted(group, key=lambda w: (w[1], w[0]))
        c, a, b = self.covariance(u, v), self.covariance(u, u), self.covariance(v, v)
        law = self._listed(factors[u], factors[v])
        if law is not None:
            return sp.Function(law[0])(c, *((a, b) if law[1] else (b, a)))
        if factors[u].is_polynomial(Z):
            return self._regressed(factors[u], factors[v], c, a, b)
        if factors[v].is_polynomial(Z):
            return self._regressed(factors[v], factors[u], c, b, a)
        if (value := erfs.moment(dict(sorted(factors.items())), self.covariance, least=3)) is not None:
            return value
        raise Unknown(f"the certificate has no E f(u) g(v) for f = {factors[u]}, g = {factors[v]}")

    def _regressed(self, f: sp.Expr, g: sp.Expr, c: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        """E f(u) g(v) of a polynomial f, by u = (c/b) v + sqrt(a - c^2/b) x with x independent of v."""
        x = sp.Dummy("x")
        inside = sp.Poly(sp.expand(f.subs(Z, c / b * Z + sp.sqrt(a - c**2 / b) * x)), x, Z)
        total: sp.Expr = sp.S.Zero
        for (k, j), coefficient in inside.terms():
            if k % 2 == 0:  # E x^k
                total += coefficient * sp.factorial2(k - 1) * mean_of(self._numbered(Z**j * g), b)
        return total

    def covariance(self, u: Variable, v: Variable) -> sp.Expr:
        if u[1] == v[1]:
            return self.of("S", u[0], v[0], u[1])
        return self.of("S", u[0], v[0], "12") if u[1] == "1" else self.of("S", v[0], u[0], "12")

    def _listed(self, f: sp.Expr, g: sp.Expr) -> tuple[str, bool] | None:
        """The name of E f(u) g(v) in the certificate, and whether its f is this f (and not this g)."""
        for entry in self.expectations:
            listed = self.read(entry["f"]), self.read(entry["g"])
            for straight, pair in ((True, (f, g)), (False, (g, f))):
                if all(same_function(s, t) for s, t in zip(pair, listed, strict=True)):
                    return entry["name"], straight
        return None

    def _numbered(self, function: sp.Expr) -> sp.Integer:
        if function not in self.means:
            self.means.append(function)
        return sp.Integer(self.means.index(function))

    def _isserlis(self, group: list[Variable], factors: dict[Variable, sp.Expr]) -> sp.Expr:
        """Of a polynomial in several correlated values: the sum over all pairings (Isserlis 1918)."""
        if not all(factors[v].is_polynomial(Z) for v in group):
            raise Unknown("more than two correlated values in functions that are no polynomials")
        total: sp.Expr = sp.S.Zero
        terms: list[tuple[sp.Expr, list[Variable]]] = [(sp.S.One, [])]
        for v in group:
            powers = [(sp.Poly(factors[v], Z).coeff_monomial(Z**k), k) for k in range(sp.degree(factors[v], Z) + 1)]
            terms = [(c * d, [*vs, *[v] * k]) for c, vs in terms for d, k in powers if d != 0]
        for c, variables in terms:
            total += c * self._pairings(variables)
        return total

    def _pairings(self, variables: list[Variable]) -> sp.Expr:
        if not variables:
            return sp.S.One
        first, rest = variables[0], variables[1:]
        return sp.Add(*(self.covariance(first, v) * self._pairings(rest[:k] + rest[k + 1 :]) for k, v in enumerate(rest)))


def same_function(f: sp.Expr, g: sp.Expr) -> bool:
    """The same text, or the same values to 30 digits at six points."""
    if f == g:
        return True
    if f.free_symbols != g.free_symbols:
        return False
    points = [sp.Rational(n, 100) for n in (-231, -117, -38, 29, 103, 264)]
    others = {s: sp.Rational(137 + 11 * k, 100) for k, s in enumerate(sorted(f.free_symbols - {Z}, key=str))}
    return all(abs((f - g).subs({**others, Z: p}).evalf(40)) < 1e-30 for p in points)


def _kinks(function: sp.Expr, symbol: sp.Symbol) -> set[sp.Expr]:
    """Points where a piece of the function may change."""
    arguments = {h.args[0] for h in function.atoms(sp.Heaviside, sp.Abs, sp.sign)}
    arguments |= {a - b for m in function.atoms(sp.Max, sp.Min) for a, b in combinations(m.args, 2)}
    for piece in function.atoms(sp.Piecewise):
        arguments |= {c.lhs - c.rhs for _, c in piece.args if isinstance(c, sp.core.relational.Relational)}
    return {root for a in arguments if a.has(symbol) for root in sp.solve(a, symbol) if root.is_number and root.is_real}


def _never(function: sp.Expr) -> bool:
    """Whether the steps among its factors are 0 between any two of their places."""
    steps = sp.Mul(*(factor for factor in sp.Mul.make_args(function) if isinstance(factor, sp.Heaviside)))
    places = sorted(_kinks(steps, Z)) if steps.free_symbols == {Z} else []
    between = [(p + q) / 2 for p, q in pairwise(places)]
    return bool(places) and all(steps.subs(Z, x) == 0 for x in (places[0] - 1, *between, places[-1] + 1))


def _jumps(function: sp.Expr, symbol: sp.Symbol, at: sp.Expr) -> bool:
    step = sp.Rational(1, 10**30)
    others = {s: sp.Rational(3, 2) for s in function.free_symbols - {symbol}}
    gap = (function.subs(others).subs(symbol, at + step) - function.subs(others).subs(symbol, at - step)).evalf(40)
    return bool(abs(gap) > 1e-20)
