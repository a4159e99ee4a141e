"""What each layer of the language does to moments, read from the papers and not from the compiler.

Dense and embedding: Novak et al. 2020, appendix E (both parameterizations). Convolutions: Novak et al. 2019; Arora et al. 2019.
Attention: Hron et al. 2020. Norms: Ba et al. 2016; Zhang and Sennrich 2019. Positional maps: linear algebra.
"""

import math
from fractions import Fraction
from typing import Any

import sympy as sp

from ntkc.checker.text import Reader

Grid = tuple[int | None, ...]
Layer = dict[str, Any]


class Unknown(Exception):
    """The checker has no rule: nothing is said of the claim."""


class Contradicted(Unknown):
    """What a rule needs is stated otherwise."""


def weights(layer: Layer, grid: Grid, channels: int | None, read: Reader) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
    """(w, b, w', b') in K = w S + b and Theta = w' S + w T + b', of sums S and T over what the weights read; `channels` are
    those of the operand, where known, with its positions where it is flat."""
    if layer["class"] == "Embedding":
        w = read(layer["std"]) ** 2
        return w, sp.S.Zero, sp.S.One if layer["parameterization"] == "standard" else w, sp.S.Zero
    taps = 1 if layer["class"] == "Dense" else math.prod(each(layer["filter"], grid))
    if layer["class"] not in ("Dense", "Conv", "ConvLocal", "ConvTranspose", "DepthwiseConv"):
        raise Unknown(f"the rule of `{layer['name']}` is taken from its own file")
    if layer.get("taps", 1) != taps:
        raise Contradicted(f"`{layer['name']}` divides by {layer['taps']} taps where its filter has {taps}")
    w = read(layer["W_std"]) ** 2 / taps
    b = sp.S.Zero if layer["b_std"] is None else read(layer["b_std"]) ** 2
    if layer["parameterization"] != "standard":
        return w, b, w, b
    if channels is not None and layer["fan_in"] not in (None, channels * taps):
        raise Contradicted(f"`{layer['name']}` reads {channels * taps} numbers and not {layer['fan_in']}")
    each_tap = sp.S.One if layer["class"] == "DepthwiseConv" else sp.Rational(layer["fan_in"] or 1, taps)
    return w, b, each_tap, sp.S.Zero if layer["b_std"] is None else sp.S.One


def window(layer: Layer, grid: Grid) -> Layer | None:
    """The taps of a convolution; None for a layer that reads each position by itself."""
    if "filter" not in layer:
        return None
    transposed = layer["class"] == "ConvTranspose"
    return {"class": "Window", "axes": _axes(layer, "filter", each(layer["stride"], grid), grid, transposed)}


SHOWN = 128
"""Positions of a sequence for which a certificate says what is present after a window; fewer where there are fewer."""


def needs(geometry: Layer, n: int) -> list[list[int]]:
    """Of a sequence of n, the positions that must be there for each position after a window: the one in its place, or with
    `valid` padding all that it reads. A short sequence has as many positions after the window."""
    (axis,) = geometry["axes"]
    size, stride, dilation = axis["size"], axis["stride"], axis["dilation"]
    if axis["transposed"]:
        return [[p // stride] for p in range(n * stride)]
    if axis["padding"] != "valid":
        return [[p] for p in range(0, n, stride)]
    return [[p + k * dilation for k in range(size)] for p in range(0, n - (size - 1) * dilation, stride)]


def keeps(geometry: Layer) -> bool:
    """Whether all positions stay in their places."""
    (axis,) = geometry["axes"]
    return axis["stride"] == 1 and axis["padding"] != "valid" and not axis["transposed"]


def each(value: Any, grid: Grid) -> list[int]:
    """One number for each axis."""
    return [value] * len(grid) if isinstance(value, int) else list(value)


def _axes(layer: Layer, size: str, strides: list[int], grid: Grid, transposed: bool) -> list[Layer]:
    specs = zip(each(layer[size], grid), strides, each(layer["dilation"], grid), strict=True)
    rest = {"padding": layer["padding"], "transposed": transposed}
    return [{"class": "Axis", "size": n, "stride": s, "dilation": d, **rest} for n, s, d in specs]


def positional(layer: Layer, grid: Grid) -> Layer:
    """The linear map over positions that a layer is."""
    match layer["class"]:
        case "GlobalAvgPool" | "GlobalSumPool" as kind:
            return {"class": "GlobalPool", "average": kind == "GlobalAvgPool"}
        case "AvgPool" | "SumPool" as kind:
            strides = each(layer["window"] if layer["stride"] is None else layer["stride"], grid)
            normalize = bool(layer.get("normalize_edges", False))
            axes = _axes(layer, "window", strides, grid, False)
            return {"class": "Pool", "axes": axes, "average": kind == "AvgPool", "normalize": normalize}
        case "Last":
            return {"class": "Select", "axes": [-1] * len(grid)}
        case "Reverse":
            return {"class": "Select", "axes": [list(range(n or 0))[::-1] for n in grid]}
        case "Slice" | "Step":
            padded = [*layer["indices"], *[[None, None, None]] * (len(grid) - len(layer["indices"]))]
            return {"class": "Select", "axes": [_indexed(i, n or 0) for i, n in zip(padded, grid, strict=True)]}
        case "Aggregate":
            return {"class": "Given", "name": layer["adjacency"]}
        case "Begin":
            return {"class": "Start", "count": layer["count"]}
        case "Embed":
            rows = _placed(layer["start"], grid[layer["axis"]] or 0, layer["total"])
            return {"class": "Matrix", "axes": [rows if k == layer["axis"] else None for k in range(len(grid))]}
        case "Resize":
            rows_of = _triangles if layer["method"] == "linear" else _nearest
            sizes = zip(grid, each(layer["shape"], grid), strict=True)
            return {"class": "Matrix", "axes": [rows_of(n or 0, m) for n, m in sizes]}
    raise Unknown(f"the rule of `{layer['name']}` is taken from its own file")


def _indexed(index: Any, n: int) -> Any:
    return index % n if isinstance(index, int) else list(range(n))[slice(*index)]


def _placed(start: int, n: int, total: int) -> list[list[str]]:
    return [[str(int(i == p - start)) for i in range(n)] for p in range(total)]


def _nearest(n: int, m: int) -> list[list[str]]:
    return [[str(int(i == math.floor(Fraction(2 * p + 1, 2) * Fraction(n, m)))) for i in range(n)] for p in range(m)]


def _triangles(n: int, m: int) -> list[list[str]]:
    """Triangles of the coarser spacing around half-pixel centres, each row of sum 1 (`jax.image.resize`, antialiased)."""
    spacing, rows = max(Fraction(1), Fraction(n, m)), []
    for p in range(m):
        weight = [max(Fraction(0), 1 - abs(Fraction(2 * p + 1, 2) * n / m - Fraction(2 * i + 1, 2)) / spacing) for i in range(n)]
        rows.append([str(w / sum(weight)) for w in weight])
    return rows


def mixing(layer: Layer, read: Reader) -> Layer:
    """The matrix of an attention layer."""
    if layer["class"] != "Attention" or layer["scaling"] != "linear":
        raise Unknown(f"the rule of `{layer['name']}` is taken from its own file")
    logits = read(layer["query_std"]) ** 2 if layer["tied_query_key"] else sp.S.Zero
    shift = logits * (0 if layer["position_std"] is None else read(layer["position_std"]) ** 2)
    matrix = {"class": "MixingMatrix", "mechanism": layer["mechanism"], "scale": str(logits), "shift": str(shift)}
    return {**matrix, "causal": layer["causal"]}


def attending(layer: Layer, read: Reader) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
    """(s, b, s', b') of y = O V (A h) + bias: K = s A S A' + b and Theta = s' A S A' + s A T A' + b'.

    Under standard, an entry of V meets O^2 (A h)^2, summed over the operand's channels, and one of O meets (V A h)^2, summed over
    the layer's."""
    value, out = read(layer["value_std"]) ** 2, read(layer["out_std"]) ** 2
    b = sp.S.Zero if layer["b_std"] is None else read(layer["b_std"]) ** 2
    if layer["parameterization"] != "standard":
        return value * out, b, 2 * value * out, b
    trained = (layer["fan_in"] or 1) * out + (layer["width"] or 1) * value
    return value * out, b, trained, sp.S.Zero if layer["b_std"] is None else sp.S.One


def normalizer(layer: Layer, square: sp.Expr, center: sp.Expr, read: Reader) -> sp.Expr:
    """What h - center is multiplied by."""
    match layer["class"]:
        case "Flatten" | "Unflatten" | "Dropout":
            return sp.S.One
        case "RmsNorm":
            return 1 / sp.sqrt(square + read(layer["eps"]))
        case "LayerNorm":
            return 1 / sp.sqrt(square - center**2 + read(layer["eps"]))
    raise Unknown(f"the rule of `{layer['name']}` is taken from its own file")
