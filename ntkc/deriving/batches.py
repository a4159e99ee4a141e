"""The rule for normalization over the batch, which is a function of all samples of a batch at once (Yang et al. 2019).

The samples of a batch are then the first axis of its positions: a moment between two of them stands in a table, as between
positions of a sequence, and a pair (x, x') is a pair of batches. Statistics are over samples and positions alike.
"""

from dataclasses import replace

import sympy as sp

from ntkc.deriving.bends import bends, is_linear_in_pieces
from ntkc.deriving.memory import CROSS, FIRST, SECOND, Finding, Underivable
from ntkc.deriving.nonlinear import Nonlinear
from ntkc.gaussian.moments import mean
from ntkc.gaussian.price import expectation
from ntkc.gaussian.slope import slope
from ntkc.gaussian.terms import Z
from ntkc.ir.network import InputNode, ItemNode, JointNode, Law, MixingNode, Network, Node, NonlinearNode, VectorNode
from ntkc.ir.normalization import Normalization, centred
from ntkc.ir.recursion import SAME, own_table

BATCH = (None,)
"""The samples of a batch, before the positions of each."""
WHOLE = "normalization is one function of the values of a whole batch"


def joint_of(network: Network, index: int) -> int | None:
    """The normalization that a value is a function of, or is."""
    node = network.nodes[index]
    if isinstance(node, JointNode):
        return index
    operands = node.operands if isinstance(node, NonlinearNode) else ()
    return next((i for i in operands if isinstance(network.nodes[i], JointNode)), None)


def whole_batches(network: Network) -> Network:
    """The network whose samples are whole batches, if it normalizes over the batch."""
    if not any(isinstance(node, JointNode) for node in network.nodes):
        return network
    for index, node in enumerate(network.nodes):
        _refuse(network, index, node)
    nodes, grids = tuple(map(_with_batch, network.nodes)), tuple(BATCH + grid for grid in network.grids)
    return replace(network, nodes=nodes, grids=grids, masked=False, batches=True)


def _with_batch(node: Node) -> Node:
    return replace(node, type=replace(node.type, positions=BATCH + node.type.positions)) if isinstance(node, InputNode) else node


def _refuse(network: Network, index: int, node: Node) -> None:
    """What has its own statistics at each position, or coefficients of its own for each sample."""
    if isinstance(node, JointNode) and network.flat[node.operand] and network.grids[node.operand]:
        reason = "a flattened value is normalized at each position apart, over the samples only"
        raise Underivable(index, f"{reason}; normalize before `flatten`", sampled=True)
    if network.masked and any(network.grids):
        raise Underivable(
            index, "masks of a network that normalizes over the batch", help="give sequences of one length, unmasked"
        )
    if isinstance(node, MixingNode | VectorNode | ItemNode) or (isinstance(node, InputNode) and node.adjacency):
        what = {MixingNode: "attention", VectorNode: "an embedding of positions", ItemNode: "a scan"}.get(type(node), "a graph")
        raise Underivable(index, f"{what} in a network that normalizes over the batch", sampled=True)


class Batches(Nonlinear):
    """S, T and m of functions of normalized values."""

    def _normalized(self, p: int, q: int, tangent: bool) -> Finding | None:
        """Between x and x'; None where neither is a function of a normalized value."""
        joints = joint_of(self.network, p), joint_of(self.network, q)
        if joints == (None, None):
            return None
        if joints[0] is None or joints[1] is None:
            alone = p if joints[1] is None else q
            raise Underivable(alone, "this normalized value is correlated with one that is not normalized", sampled=True)
        u, v = self._operand(joints[0]), self._operand(joints[1])
        if len(self.network.grids[u]) != len(self.network.grids[v]):
            raise Underivable(q, "this normalized value is correlated with one that has other positions", sampled=True)
        name = self._normalization(p, q)
        same = SAME if joints[0] == joints[1] else sp.S.Zero
        rest = self.second(u, v, CROSS), self._centred(joints[0], FIRST), self._centred(joints[1], SECOND), same
        if not tangent:
            return sp.Function(name)(*rest), "batch_norm", (WHOLE,)
        moved = self.tangent(u, v)
        return sp.Function(f"{name}_tangent")(moved, *rest) if moved != 0 else sp.S.Zero, "batch_norm", (WHOLE,)

    def _normalized_mean(self, p: int, side: str) -> Finding:
        joint = joint_of(self.network, p)
        assert joint is not None
        return sp.Function(f"{self._normalization(p, p)}_alone")(self._centred(joint, side)), "batch_norm", (WHOLE,)

    def _normalization(self, p: int, q: int) -> str:
        """The name of the map."""
        (f, i), (g, j) = self._function_of(p), self._function_of(q)
        law = expectation(f, g)
        pair = self._dual(f, g).name, self._dual(slope(f, Z), slope(g, Z)).name
        eps = self.network.nodes[i].layer.eps, self.network.nodes[j].layer.eps  # type: ignore[union-attr]
        return self._map(Normalization(f, g, pair, bends(law), mean(f, Z), eps), "batch", i)

    def _function_of(self, p: int) -> tuple[sp.Expr, int]:
        """The function of a normalized value that a node is, and the normalization."""
        node, joint = self.network.nodes[p], joint_of(self.network, p)
        assert joint is not None
        function = node.function.subs(node.symbols[0], Z) if isinstance(node, NonlinearNode) else Z
        if isinstance(node, NonlinearNode) and len(node.symbols) > 1:
            raise Underivable(p, "a function of a normalized value and of others", sampled=True)
        if not is_linear_in_pieces(function):
            reason = (
                "not a multiple of z on each side of 0, so the deviation that `batch_norm` divides by does not come out of it"
            )
            help = "let relu, leaky_relu or abs follow `batch_norm`"
            raise Underivable(p, f"{str(function).replace(str(Z), 'z')} is {reason}", help=help, sampled=True)
        self.names.derived(function, slope(function, Z))
        return function, joint

    def _operand(self, joint: int) -> int:
        (operand,) = self.network.operands(joint)
        if self.network.laws[operand] is not Law.GAUSSIAN:
            raise Underivable(joint, "`batch_norm` of a value that is not Gaussian", sampled=True)
        return operand

    def _centred(self, joint: int, side: str) -> sp.Expr:
        """The covariance of a batch's values less their means."""
        key = ("A", joint, joint, side)
        if key not in self._memo:
            operand = self._operand(joint)
            table = self.second(operand, operand, CROSS)
            if not table.free_symbols - {parameter.symbol for parameter in self.network.parameters}:
                raise Underivable(joint, "this value is the same for all samples, so it has no deviation over the batch")
            value = centred(own_table(table))
            self._memo[key] = self._record(key, value, "batch_norm", ())
        return self._memo[key]
