"""The rules for scalar functions of Gaussian values (facts F1 and F2)."""

import sympy as sp

from ntkc.deriving.memory import CROSS, FIRST, Memory, Underivable, ends
from ntkc.gaussian.moments import A, B, C, mean
from ntkc.gaussian.price import Expectation, expectation
from ntkc.gaussian.product import Factors, Monomial, expect, monomials
from ntkc.gaussian.series import Series, series
from ntkc.gaussian.slope import slope
from ntkc.gaussian.small import cancels
from ntkc.gaussian.terms import MayGrow, NotClosed, Z
from ntkc.ir.network import CarriedNode, FinalNode, Law, NonlinearNode
from ntkc.ir.recursion import Dual


class Nonlinear(Memory):
    """Expectations of products of functions, and the chain rule for tangents."""

    def _refuse_history(self, p: int, q: int) -> None:
        """Two Gaussian values that no rule takes apart: one is the history of a loop through the other's weights."""
        if self.network.laws[p] is Law.GAUSSIAN and self.network.laws[q] is Law.GAUSSIAN:
            raise self._history(p, q)

    def _history(self, *nodes: int) -> Underivable:
        """The finding, with the `repeat` that one of the nodes belongs to."""
        found = [self.network.nodes[i] for i in nodes]
        loops = [n.loop for n in found if isinstance(n, CarriedNode | FinalNode) and not self.network.loops[n.loop].scan]
        loops += [n.origin.loop for n in found if n.origin.loop is not None and not self.network.loops[n.origin.loop].scan]
        reason = "the value carried by this loop is correlated with the weights used inside it"
        return Underivable(max(nodes), reason, loops[0] if loops else None)

    def _chained(self, p: int, q: int) -> sp.Expr:
        total: sp.Expr = sp.S.Zero
        for left, u in self._slopes(p):
            for right, v in self._slopes(q):
                if self.sources[u] & self.sources[v]:
                    total += self._product(p, left, right, CROSS) * self.tangent(u, v)
        return total

    def _slopes(self, p: int) -> list[tuple[list[tuple[Monomial, dict[sp.Symbol, int]]], int]]:
        """(partial derivative as monomials, argument) for each Gaussian argument."""
        function, where = self._function(p)
        found = []
        for symbol, argument in where.items():
            derivative = slope(function, symbol)
            if len(where) == 1:
                self.names.derived(function.subs(symbol, Z), derivative.subs(symbol, Z))
            found.append(([(m, where) for m in monomials(derivative, tuple(where))], argument))
        return found

    def _expected(self, p: int, q: int, side: str) -> sp.Expr:
        left, right = ([(m, where) for m in monomials(f, tuple(where))] for f, where in map(self._function, (p, q)))
        return self._product(p, left, right, side)

    def _function(self, p: int) -> tuple[sp.Expr, dict[sp.Symbol, int]]:
        """A value as a function of Gaussian nodes; a Gaussian one is the identity of itself."""
        node = self.network.nodes[p]
        if isinstance(node, NonlinearNode):
            return node.function, dict(zip(node.symbols, node.operands, strict=True))
        if self.network.laws[p] is Law.GAUSSIAN:
            return Z, {Z: p}
        raise self._history(p)

    def _product(
        self,
        p: int,
        left: list[tuple[Monomial, dict[sp.Symbol, int]]],
        right: list[tuple[Monomial, dict[sp.Symbol, int]]],
        side: str,
    ) -> sp.Expr:
        here, there = ends(side)
        total: sp.Expr = sp.S.Zero
        for f, at_f in left:
            for g, at_g in right:
                factors: Factors = {}
                for end, monomial, where in ((here, f, at_f), (there, g, at_g)):
                    for symbol, function in monomial.factors:
                        variable = (where[symbol], end)
                        other = factors.get(variable, sp.S.One)
                        factors[variable] = other * function
                        self._splits[other * function] = other, function
                try:
                    total += f.coefficient * g.coefficient * expect(factors, self)
                except NotClosed as error:
                    raise Underivable(p, str(error)) from error
        return total

    # the interface of gaussian.product.Gaussians; a variable is (node, side)

    def independent(self, u: tuple[int, str], v: tuple[int, str]) -> bool:
        return not self.sources[u[0]] & self.sources[v[0]]

    def covariance(self, u: tuple[int, str], v: tuple[int, str]) -> sp.Expr:
        if u[1] == v[1]:
            return self.second(u[0], v[0], u[1])
        return self.second(u[0], v[0], CROSS) if u[1] == FIRST else self.second(v[0], u[0], CROSS)

    def single(self, f: sp.Expr, variance: sp.Expr) -> sp.Expr:
        try:
            closed = mean(f, Z)
        except NotClosed:
            closed = None
        if closed is not None and not cancels(closed):
            return closed.subs(A, variance)
        left, right = self._splits.get(f, (sp.S.One, f))  # of E f(u) g(u), each may have an expectation with itself
        return self.pair(left, right, sp.S.Zero if left == 1 else variance, variance, variance)

    def pair(self, f: sp.Expr, g: sp.Expr, c: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        dual = self._dual(f, g)
        if isinstance(dual.law, Expectation) and dual.law.value.is_polynomial(C) and dual.law.value.count_ops() < 10:
            return dual.law.value.subs({C: c, A: a, B: b}, simultaneous=True)
        return sp.Function(dual.name)(c, a, b)

    def _dual(self, f: sp.Expr, g: sp.Expr) -> Dual:
        if (f, g) not in self.duals:
            names = dict.fromkeys((self.names.of(f), self.names.of(g)))
            law: Expectation | Series
            try:
                law = expectation(f, g)
            except MayGrow:
                raise
            except NotClosed:
                law = series(f, g)
            self.duals[f, g] = Dual("dual_" + "_".join(names), law)
        return self.duals[f, g]
