"""`ntkc demo`: the main job on real input, the UCI handwritten digits."""

import time
from collections.abc import Callable
from pathlib import Path

import click
import jax
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ntkc.files import writing
from ntkc.ir.show import text
from ntkc.pipeline import Compilation, load
from ntkc.verify.verify import Report, verify

mpl.use("Agg")
RIDGE = 1e-3
PLOT = "ntkc_demo.png"


def examples() -> Path:
    """The folder of examples: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).parent / "examples"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "examples"


def run_demo(show_report: Callable[[Report], None]) -> None:
    """Prints and plots; needs no network access."""
    started = time.perf_counter()
    compilation = load(examples() / "digits.arch")
    click.echo(compilation.source.text)
    click.echo(text(compilation.recursion))
    click.echo(f"\ncompiled in {time.perf_counter() - started:.2f} s; verifying ...")
    report = verify(compilation, budget=0)
    show_report(report)
    _predict(compilation)
    _plot(compilation)
    click.echo(f"the kernel's profile is in {PLOT}")
    if not report.ok:
        raise SystemExit(1)


def _predict(compilation: Compilation) -> None:
    """Every second image is held out."""
    data = np.load(examples() / "digits.npz")
    x = data["images"].reshape(len(data["images"]), -1).astype(np.float32) / 16
    labels = data["labels"]
    started = time.perf_counter()
    kernels = jax.block_until_ready(compilation.kernel(x))  # type: ignore[no-untyped-call]
    click.echo(f"NNGP and NTK of all {len(x)} digits, 8x8 pixels: {time.perf_counter() - started:.2f} s with compilation")
    train, test = np.arange(0, len(x), 2), np.arange(1, len(x), 2)
    linear = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    named = {"NNGP": kernels.nngp, "NTK": kernels.ntk, "linear regression": linear @ linear.T}
    for name, kernel in named.items():
        click.echo(f"{name:>18}: {_accuracy(np.asarray(kernel, np.float64), labels, train, test):6.2%} of {len(test)} held out")


def _accuracy(kernel: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Kernel ridge regression on one-hot labels."""
    targets = np.eye(10)[labels[train]] - 0.1
    inner = kernel[np.ix_(train, train)]
    weights = np.linalg.solve(inner + RIDGE * np.mean(np.diag(inner)) * np.eye(len(train)), targets)
    return float(np.mean(np.argmax(kernel[np.ix_(test, train)] @ weights, 1) == labels[test]))


def _plot(compilation: Compilation) -> None:
    """Both kernels against the angle between two inputs of equal norm."""
    angles = np.linspace(0, np.pi, 181)
    x = np.zeros((len(angles), compilation.recursion.inputs[0].type.channels or 2))
    x[:, 0], x[:, 1] = np.cos(angles), np.sin(angles)
    x *= np.sqrt(x.shape[1])
    found = compilation.kernel(x[:1], x)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, values in (("NNGP", found.nngp[0]), ("NTK", found.ntk[0])):
        axes.plot(np.degrees(angles), np.asarray(values) / float(values[0]), label=name)
    axes.set(xlabel="angle between x and x' (degrees)", ylabel="kernel / kernel at angle 0", title=compilation.network.name)
    axes.legend()
    with writing(PLOT) as new:
        figure.savefig(new, dpi=150)
