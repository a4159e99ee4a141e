"""Dense ReLU networks beside neural-tangents 0.6.5 in one process: python benchmarks/dense.py FOLDER_OF_peer.py."""

import sys
import time
from collections.abc import Callable

sys.path.insert(0, sys.argv[1])

import jax
import jax.numpy as jnp
import numpy as np
import peer  # noqa: F401  (makes the next import work on a current JAX)
from neural_tangents import stax

from ntkc import compile_source
from ntkc.source import Source

N, D = 4000, 784
PROGRAM = """arch net {
    input x: vector(784)
    h = x
    repeat %d {
        h = relu(dense(h, W_std=1.3, b_std=%s))
    }
    output dense(h)
}
"""


def best(run: Callable[[], object], repeats: int = 3) -> float:
    """The least wall-clock time in seconds, after one run to compile."""
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def compare(x: jax.Array, depth: int) -> None:
    """One row: the peer, ntkc with bias, ntkc without."""
    hidden = [layer for _ in range(depth) for layer in (stax.Dense(512, W_std=1.3, b_std=0.2), stax.Relu())]
    kernel = jax.jit(stax.serial(*hidden, stax.Dense(1))[2], static_argnums=2)
    theirs = best(lambda: kernel(x, None, ("nngp", "ntk")), 2)
    cells = [f"{depth}", f"{theirs:.2f}"]
    for bias in ("0.2", "none"):
        net = compile_source(Source("net.arch", PROGRAM % (depth, bias)))
        for precision in ("accurate", "fast"):
            ours = best(lambda net=net, p=precision: net.kernel(x, precision=p))
            cells.append(f"{ours:.2f} ({theirs / ours:.1f})")
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    points = jnp.asarray(np.random.default_rng(0).normal(size=(N, D)), jnp.float32)
    product = jax.jit(lambda v: v @ v.T)
    print(f"x @ x.T: {best(lambda: product(points)):.2f} s")
    for layers in (3, 10, 30):
        compare(points, layers)
