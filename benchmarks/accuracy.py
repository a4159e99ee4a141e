"""Relative error of the NTK of a deep relu network for inputs at a given distance, against 50 digits."""

import sys

import numpy as np

from ntkc import Compilation, compile_source
from ntkc.backends.reference import evaluate
from ntkc.source import Source

PROGRAM = """arch net {
    input x: vector(64)
    h = dense(x, W_std=sqrt(2), b_std=%s)
    repeat %d {
        h = relu(h) |> dense(W_std=sqrt(2), b_std=%s)
    }
    output h |> relu |> dense
}
"""
DISTANCES = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


def compiled(depth: int, bias: str) -> Compilation:
    """`depth` hidden layers."""
    return compile_source(Source("net.arch", PROGRAM % (bias, depth - 1, bias)))


def errors(net: Compilation, dtype: str, precision: str) -> list[float]:
    """The largest of three pairs at each distance."""
    found = []
    for distance in DISTANCES:
        worst = 0.0
        for seed in range(3):
            source = np.random.default_rng(seed)
            x = source.normal(size=(1, 64)) / 8
            step = source.normal(size=(1, 64))
            y = (x + distance * step / np.linalg.norm(step)).astype(dtype)
            x = x.astype(dtype)
            exact = evaluate(net.recursion, [x[0]], [y[0]], 50).ntk[""]
            value = net.kernel(x, y, precision=precision).ntk[0, 0]
            worst = max(worst, abs(float((float(value) - exact) / exact)))
        found.append(worst)
    return found


if __name__ == "__main__":
    for depth in [int(d) for d in sys.argv[1:]] or [3, 20, 100]:
        for bias in ("none", "0.1"):
            net = compiled(depth, bias)
            for dtype, precision in (("float32", "accurate"), ("float32", "fast"), ("float64", "accurate")):
                cells = " | ".join(f"{e:.0e}" for e in errors(net, dtype, precision))
                print(f"| {depth} | {bias} | {dtype}, {precision} | {cells} |", flush=True)
