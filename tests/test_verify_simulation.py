"""The simulation wall: its stated false-alarm rate and power hold, and a broken rule is found."""

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

from ntkc import Compilation
from ntkc.layers.dense import Dense
from ntkc.layers.dropout import Dropout
from ntkc.verify.fit import ALPHA, Fit, Means, fit
from ntkc.verify.simulate import Exhausted, simulate

KERNEL = np.array([1.0, 0.4, 0.7])
PROGRAM = "arch net {\n    input x: vector(3)\n    output dense(relu(dense(x, b_std=0.8)))\n}\n"
Compile = Callable[[str], Compilation]


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end by the number of draws, not by the clock, which is another on a busy machine."""
    monkeypatch.setattr("ntkc.verify.simulate.WIDTHS", (32, 64))
    monkeypatch.setattr("ntkc.verify.simulate.MOST", 1600)


def _fit(source: np.random.Generator, factor: float = 1.0) -> Fit:
    """Means at three widths of a limit that is the kernel times a factor, with a bias of 2/width."""
    means = []
    for width, draws, error in ((64, 2000, 0.002), (128, 800, 0.003), (256, 200, 0.006)):
        mean = factor * KERNEL + 2 / width + error * source.normal(size=3)
        means.append(Means(width, draws, KERNEL, mean, np.full(3, error**2)))
    return fit(means, 3)


def test_a_right_kernel_is_rarely_called_wrong() -> None:
    source = np.random.default_rng(0)
    p_values = np.array([_fit(source).p_value for _ in range(4000)])
    assert np.mean(p_values < 0.05) < 0.06
    assert p_values.min() >= ALPHA / 4


def test_the_stated_power_is_reached() -> None:
    source = np.random.default_rng(1)
    detects = _fit(source).detects
    found = np.mean([_fit(source, 1 + detects).p_value < ALPHA for _ in range(400)])
    assert found > 0.85
    assert np.mean([_fit(source, 1 + detects / 4).p_value < ALPHA for _ in range(400)]) < 0.1


def test_a_right_network_agrees(compile_text: Compile) -> None:
    found = simulate(compile_text(PROGRAM), budget=300)
    assert [s.kind for s in found] == ["nngp", "ntk"]
    assert all(s.fit.p_value >= ALPHA for s in found)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("moment", lambda layer, square: layer.W_std**2 * square),
        ("tangent", lambda layer, square, tangent: layer.W_std**2 * tangent + (layer.b_std or 0) ** 2),
    ],
)
def test_a_broken_linear_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, compile_text: Compile, rule: str, wrong: Callable[..., sp.Expr]
) -> None:
    monkeypatch.setattr(Dense, rule, wrong)
    found = simulate(compile_text(PROGRAM), budget=300)
    assert min(s.fit.p_value for s in found) < ALPHA


def test_widths_of_the_file_grow(compile_text: Compile) -> None:
    text = "arch net {\n    option parameterization = standard\n    input x: vector(3)\n"
    text += "    output dense(relu(dense(x, width=512, b_std=0.3)), width=1)\n}\n"
    found = simulate(compile_text(text), budget=300)
    assert all(s.fit.p_value >= ALPHA for s in found)


@pytest.mark.parametrize(
    "body",
    [
        "input t: tokens(4, 5)\n    output t |> embedding |> conv(2) |> relu |> global_avg_pool |> dense",
        "input x: graph(4, 3) with A\n    output x |> aggregate(A) |> dense |> relu |> global_sum_pool |> dense",
    ],
)
def test_tokens_and_graphs_are_drawn(compile_text: Compile, body: str) -> None:
    found = simulate(compile_text(f"arch net {{\n    {body}\n}}\n"), budget=300)
    assert [s.kind for s in found] == ["nngp", "ntk"]
    assert all(s.fit.p_value >= ALPHA for s in found)


def test_a_spent_budget_is_said(compile_text: Compile) -> None:
    with pytest.raises(Exhausted, match="the budget was spent before"):
        simulate(compile_text(PROGRAM), budget=0.01)


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch, compile_text: Compile) -> None:
    monkeypatch.setattr("ntkc.verify.simulate.MEMORY", 100)
    with pytest.raises(Exhausted, match="take more than 0 MiB"):
        simulate(compile_text(PROGRAM), budget=300)


def test_an_unknown_vocabulary_is_said(compile_text: Compile) -> None:
    text = "arch net {\n    input t: tokens(4, _)\n    output t |> embedding |> global_avg_pool |> dense\n}\n"
    with pytest.raises(Exhausted, match="size of the vocabulary of `t`"):
        simulate(compile_text(text), budget=300)


def test_dropout_before_a_nonlinearity(monkeypatch: pytest.MonkeyPatch, compile_text: Compile) -> None:
    text = "arch net {\n    input x: vector(3)\n    h = dense(x) |> relu |> dropout(keep=0.5)\n"
    text += "    output h |> dense |> relu |> dense\n}\n"
    assert all(s.fit.p_value >= ALPHA for s in simulate(compile_text(text), budget=300))
    monkeypatch.setattr(Dropout, "coincident", lambda layer: layer.keep)
    assert min(s.fit.p_value for s in simulate(compile_text(text), budget=300)) < ALPHA
