"""Which positions of a value are present: absent ones are 0, and left out of what is averaged or attended."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ntkc.backends.matrices import present_after
from ntkc.ir.geometry import Geometry, Given, GlobalPool, Pool, Select, Start, Window, counts_present
from ntkc.ir.network import (
    CombineNode,
    ConcatNode,
    MapNode,
    MixingNode,
    Network,
    NonlinearNode,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.sampling.value import Array, Value


def present(index: int, network: Network, values: Mapping[int, Value]) -> Array | None:
    """The mask of a node's value from those of its operands; None where every position is present."""
    match network.nodes[index]:
        case WeightedNode(layer=layer, operand=h):
            return _moved(layer.geometry(values[h].grid), values[h])
        case PositionalNode(layer=layer, operand=h):
            return _moved(layer.geometry(values[h].grid), values[h])
        case MapNode(operand=h) | MixingNode(operand=h) | VectorNode(like=h):
            return values[h].present
        case CombineNode(row=row) if row is not None:
            return values[row].present
        case CombineNode() | ConcatNode() | NonlinearNode():
            found = [mask for h in network.operands(index) if (mask := values[h].present) is not None]
            return np.prod(found, axis=0) if found else None
    return None


def _moved(geometry: Geometry | None, value: Value) -> Array | None:
    mask = value.present
    if mask is None or geometry is None or isinstance(geometry, Given):
        return mask
    if isinstance(geometry, Window | Pool):
        return np.stack([present_after(geometry, row) for row in mask])
    if isinstance(geometry, Select) and not isinstance(geometry.axes[0], int):
        return mask[:, list(geometry.axes[0])]
    return None if isinstance(geometry, GlobalPool | Select | Start) else mask


def hidden(value: Value, mask: Array | None) -> Value:
    """The value with 0 where a position is absent."""
    if mask is None:
        return value
    return replace(value, val=np.where(mask, value.val, 0), tan=np.where(mask, value.tan, 0), present=mask)


def averaged(value: Value, mask: Array | None, geometry: Geometry, matrix: Array) -> Value:
    """Where it is a mean that leaves the edges out, one over what was present."""
    if mask is None or not counts_present(geometry):
        return value
    share = 1 - (1 - mask) @ matrix.T
    scale = np.divide(1, share, out=np.zeros_like(share), where=share > 0)
    return replace(value, val=value.val * scale, tan=value.tan * scale)


def last_present(value: Value) -> Value:
    """Each sample at its last present position."""
    assert value.present is not None
    count = value.present.shape[1]
    where = (count - 1 - np.argmax(value.present[:, ::-1] > 0, axis=1))[:, None]
    val, tan = (np.take_along_axis(v, where[None, None], -1) for v in (value.val, value.tan))
    return Value(val, tan, (), value.shares)


def mean_of_present(moment: Array, mask: Array | None) -> Array:
    """Over the positions, (samples, 1)."""
    if mask is None:
        return np.asarray(moment.mean(-1, keepdims=True))
    return np.asarray((moment * mask).sum(-1, keepdims=True) / mask.sum(-1, keepdims=True))


def share_of_both(mask: Array | None) -> Array | float:
    """Of the matching positions of two samples, those that are present in both; as the divisor of a mean."""
    if mask is None:
        return 1.0
    both = mask @ mask.T / mask.shape[1]
    return np.where(both > 0, both, np.inf)
