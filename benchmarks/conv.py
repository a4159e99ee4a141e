"""Convolutional networks beside neural-tangents 0.6.5 in one process: python benchmarks/conv.py FOLDER_OF_peer.py [NAME ...].

Each time is the least of the runs after one to compile; "28 layers" and "memory" are of ntkc alone.
"""

import resource
import sys
import time
from collections.abc import Callable

sys.path.insert(0, sys.argv[1])

import jax
import jax.numpy as jnp
import numpy as np
import peer  # noqa: F401  (makes the next import work on a current JAX)
from neural_tangents import stax

from ntkc import Compilation, compile_source
from ntkc.source import Source

CONV = "conv(3, W_std=sqrt(2), b_std=0.1) |> relu"
RESIDUAL = """block part(h) {
    return h + (h |> relu |> conv(3, W_std=sqrt(2)) |> relu |> conv(3, W_std=sqrt(2)))
}
"""
WIDE = RESIDUAL + (
    "arch wide {\n input x: image(%d, %d, 3)\n h = x |> conv(3, W_std=sqrt(2)) |> part\n"
    " h = h |> relu |> conv(3, stride=2, W_std=sqrt(2)) |> part\n output h |> relu |> global_avg_pool |> dense\n}\n"
)


def straight(end: str) -> str:
    return "arch cnn {\n input x: image(32, 32, 3)\n output x" + f" |> {CONV}" * 5 + f" |> {end} |> dense\n}}\n"


MYRTLE = (
    f"arch myrtle {{\n input x: image(32, 32, 3)\n output x |> {CONV} |> {CONV} |> avg_pool(2) |> {CONV} |> avg_pool(2)"
    f" |> {CONV} |> avg_pool(2) |> avg_pool(4) |> flatten |> dense\n}}\n"
)


def theirs(*layers: object) -> Callable[[jax.Array], object]:
    kernel = stax.serial(*layers)[2]
    return jax.jit(lambda x: kernel(x, None, ("nngp", "ntk")))


def layer() -> list[object]:
    return [stax.Conv(64, (3, 3), padding="SAME", W_std=2**0.5, b_std=0.1), stax.Relu()]


def block() -> object:
    inner = [part for _ in range(2) for part in (stax.Relu(), stax.Conv(64, (3, 3), padding="SAME", W_std=2**0.5))]
    return stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), stax.serial(*inner)), stax.FanInSum())


def wide() -> list[object]:
    first = stax.Conv(64, (3, 3), padding="SAME", W_std=2**0.5)
    second = stax.Conv(64, (3, 3), strides=(2, 2), padding="SAME", W_std=2**0.5)
    return [first, block(), stax.Relu(), second, block(), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(1)]


def pool(n: int) -> object:
    return stax.AvgPool((n, n), (n, n))


CASES = {
    "global pooling": (straight("global_avg_pool"), 6, 32, lambda: [*(layer() * 5), stax.GlobalAvgPool(), stax.Dense(1)]),
    "flatten": (straight("flatten"), 200, 32, lambda: [*(layer() * 5), stax.Flatten(), stax.Dense(1)]),
    "myrtle": (
        MYRTLE,
        3,
        32,
        lambda: [*(layer() * 2), pool(2), *layer(), pool(2), *layer(), pool(2), pool(4), stax.Flatten(), stax.Dense(1)],
    ),
    "wide residual": (WIDE % (16, 16), 6, 16, wide),
}


def best(run: Callable[[], object], repeats: int = 4) -> float:
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def images(n: int, size: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(n, size, size, 3)), jnp.float32)


def compiled(text: str) -> Compilation:
    return compile_source(Source("net.arch", text))


def compare(name: str) -> None:
    text, n, size, layers = CASES[name]
    x, net = images(n, size), compiled(text)
    ours = {p: best(lambda p=p: net.kernel(x, precision=p)) for p in ("accurate", "fast")}
    kernel = theirs(*layers())
    peer_time = best(lambda: kernel(x), 1)
    cells = [f"{t:.2f} ({peer_time / t:.1f})" for t in ours.values()]
    print(f"| {name}, {n} images of {size}x{size} | {peer_time:.2f} | " + " | ".join(cells) + " |", flush=True)


def deep() -> None:
    """28 layers: derivation, emission and XLA compilation together."""
    down, four = " h = h |> relu |> conv(3, stride=2, W_std=sqrt(2))", " |> part" * 4 + "\n"
    head = "arch wide {\n input x: image(8, 8, 3)\n h = x |> conv(3, W_std=sqrt(2))"
    text = f"{RESIDUAL}{head}{four}{down}{four}{down}{four} output h |> relu |> global_avg_pool |> dense\n}}\n"
    start = time.perf_counter()
    net = compiled(text)
    derived = time.perf_counter() - start
    jax.block_until_ready(net.kernel(images(2, 8), precision="fast"))
    total = time.perf_counter() - start
    print(f"28 layers: derived and emitted in {derived:.1f} s, with XLA and the first run {total:.1f} s", flush=True)


def memory() -> None:
    """Peak memory with growing n: 200 images are 100 times the pairs of 20, and take no more."""
    net = compiled(f"arch cnn {{\n input x: image(32, 32, 3)\n output x |> {CONV} |> global_avg_pool |> dense\n}}\n")
    for n in (2, 20, 60):
        start = time.perf_counter()
        jax.block_until_ready(net.kernel(images(n, 32), precision="fast"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"memory: {n} images, peak {peak:.2f} GiB, {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    for case in sys.argv[2:] or ["memory", "28 layers", *CASES]:
        {"memory": memory, "28 layers": deep}.get(case, lambda case=case: compare(case))()
