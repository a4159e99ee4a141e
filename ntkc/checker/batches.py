"""Normalization over the batch (Ioffe and Szegedy 2015; Yang et al. 2019, "A mean field theory of batch normalization").

The samples of a batch are positions. Of one channel of a Gaussian h they are v = h less its mean over the batch, normalized to
y = sqrt(B) v / sqrt(|v|^2 + B eps). What follows is a function of the law of all of v at once, which is that of h's table less
its means; the integral itself has a name in the certificate, and `normalized` compares it with its own.
"""

from collections.abc import Iterator

import sympy as sp

from ntkc.checker.expected import Z, same_function
from ntkc.checker.layers import Contradicted, Unknown
from ntkc.checker.text import SAME
from ntkc.checker.weighted import Weighted

centred = sp.Function("_centred")


class Batches(Weighted):
    """The rules for normalized values and functions of them."""

    def deviations(self, p: int) -> sp.Expr:
        """The table at x of the values that a normalization reads, less their means over the batch."""
        h = self._gaussian_operand(p)
        return centred(self.of("S", h, h, "11"))

    def _normalized(self, kind: str, p: int, q: int, side: str) -> Iterator[sp.Expr]:
        """E f(y) g(y'), its tangent and E f(y), where y and y' are whole batches."""
        joints = [self.statement.normalization(i) for i in (p, q)]
        if joints == [None, None]:
            return
        if None in joints:
            raise Unknown(f"v{p} and v{q} are correlated, and only one is normalized over the batch")
        i, j = (k for k in joints if k is not None)
        name = self._law(p, q)
        if kind == "m":
            yield sp.Function(f"{name}_alone")(self.of("A", i, i, side))
        elif side == "12":
            u, v = self._gaussian_operand(i), self._gaussian_operand(j)
            tables = self.of("S", u, v, "12"), self.of("A", i, i, "1"), self.of("A", j, j, "2")
            one = SAME if i == j else sp.S.Zero  # else two normalizations, even of one batch, have two deviations
            if kind == "S":
                yield sp.Function(name)(*tables, one)
            elif (moved := self.of("T", u, v, "12")) != 0:
                yield sp.Function(f"{name}_tangent")(moved, *tables, one)
            else:
                yield sp.S.Zero

    def _gaussian_operand(self, joint: int) -> int:
        h = int(self.statement.nodes[joint]["operand"])
        if not self.statement.gaussian[h]:
            raise Contradicted(f"v{h} is normalized over the batch, and is not known to be Gaussian")
        return h

    def _law(self, p: int, q: int) -> str:
        """What the certificate calls the moments of these two functions of values that are normalized with these `eps`."""
        wanted, joint = [self._of_normalized(i) for i in (p, q)], self.statement.normalization(p) or 0
        for entry in self.statement.data["maps"]:
            law = entry["geometry"]
            if law["class"] == "Normalization" and entry["grid"] == self.statement.data["grids"][joint]:
                listed = [(self.read(law[f]), self.read(eps)) for f, eps in zip(("f", "g"), law["eps"], strict=True)]
                if all(same_function(f, g) and e == d for (f, e), (g, d) in zip(wanted, listed, strict=True)):
                    return str(entry["name"])
        raise Contradicted(f"the certificate names no moments of the functions v{p} and v{q} of normalized values")

    def _of_normalized(self, p: int) -> tuple[sp.Expr, sp.Expr]:
        node, joint = self.statement.nodes[p], self.statement.normalization(p)
        if node.get("operands", [joint]) != [joint]:
            raise Unknown(f"v{p} is a function of a normalized value and of others")
        function = self.read(node["function"]).subs(self.read.symbol(node["symbols"][0]), Z) if "function" in node else Z
        return function, self.read(self.statement.layer(joint or 0)["eps"])
