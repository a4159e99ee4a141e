"""Properties of kernels hold, and their violation is seen."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import sympy as sp

from ntkc import Compilation, compile_source
from ntkc.deriving.masks import Masks
from ntkc.layers.dense import Dense
from ntkc.source import Source
from ntkc.verify.invariance import homogeneity
from ntkc.verify.properties import properties

Compile = Callable[[str], Compilation]
DEEP = "arch net {\n    input x: vector(5)\n    h = x\n    repeat 4 { h = relu(dense(h, W_std=1.4)) }\n    output dense(h)\n}\n"


def test_a_homogeneous_network_scales(compile_text: Compile) -> None:
    found = properties(compile_text(DEEP))
    assert [row.claim.split(" is ")[0].split(" grows")[0] for row in found] == [
        "nngp",
        "nngp",
        "ntk",
        "ntk",
        "nngp of one set of samples",
        "ntk of one set of samples",
        "ntk - nngp",
        "nngp",
        "ntk",
    ]
    assert all(row.ok for row in found)


def test_a_wrong_degree_is_found(compile_text: Compile) -> None:
    compilation = compile_text(DEEP)
    assert compilation.program.collapse is not None
    wrong = replace(compilation.program, collapse=replace(compilation.program.collapse, degree=2))
    assert [row.ok for row in properties(replace(compilation, derived=(compilation.recursion, wrong)))][-2:] == [False, False]


def test_a_tangent_below_the_moment_is_found(monkeypatch: pytest.MonkeyPatch, compile_text: Compile) -> None:
    def halved(layer: Dense, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        return layer.W_std**2 * (square + tangent) / 2

    monkeypatch.setattr(Dense, "tangent", halved)
    found = properties(compile_text("arch net {\n    input x: vector(5)\n    output dense(relu(dense(x)))\n}\n"))
    assert not all(row.ok for row in found if row.claim.startswith("ntk - nngp"))


def test_a_circular_network_may_be_shifted(monkeypatch: pytest.MonkeyPatch, compile_text: Compile) -> None:
    text = "arch net {{\n    input x: sequence(5, 2)\n"
    text += "    output x |> conv(3, padding={}) |> relu |> conv(2, padding={}) |> {} |> dense\n}}\n"

    def shifts(padding: str, end: str) -> list[bool]:
        return [r.ok for r in properties(compile_text(text.format(padding, padding, end))) if "shifted" in r.claim]

    assert shifts("circular", "global_avg_pool") == [True, True]
    assert shifts("same", "global_avg_pool") == shifts("circular", "flatten") == []
    monkeypatch.setattr("ntkc.verify.properties.circular", lambda network: True)
    assert shifts("same", "global_avg_pool") == [False, False]


def test_a_graph_may_be_renumbered(monkeypatch: pytest.MonkeyPatch, compile_text: Compile) -> None:
    text = "arch net {{\n    input x: graph(4, 3) with A\n    output x |> aggregate(A) |> dense |> relu |> {} |> dense\n}}\n"

    def renumbered(end: str) -> list[bool]:
        return [r.ok for r in properties(compile_text(text.format(end))) if "renumbered" in r.claim]

    assert renumbered("global_sum_pool") == [True, True]
    assert renumbered("flatten") == []
    monkeypatch.setattr("ntkc.verify.properties.unordered", lambda network: True)
    assert renumbered("flatten") == [False, False]


def test_absent_positions_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "arch net {\n    input x: sequence(4, 3)\n    output x |> conv(3) |> relu |> global_avg_pool |> dense\n}\n"

    def unseen() -> list[bool]:
        found = properties(compile_source(Source("net.arch", text), masked=True))
        return [r.ok for r in found if "absent" in r.claim]

    assert unseen() == [True, True]
    monkeypatch.setattr(Masks, "masked", lambda self, moment, p, q, side: moment)
    assert unseen() == [False, False]


def test_tokens_have_properties(compile_text: Compile) -> None:
    text = "arch net {\n    input t: tokens(4, 5)\n    output t |> embedding |> conv(2) |> relu |> global_avg_pool |> dense\n}\n"
    found = properties(compile_text(text))
    assert len(found) == 7
    assert all(row.ok for row in found)


@pytest.mark.parametrize(
    ("body", "degree"),
    [
        ("x |> dense |> relu |> dense", 1),
        ("x |> dense |> square |> dense", 2),
        ("x |> dense |> sign |> dense", 0),
        ("x |> dense(b_std=0.1) |> relu |> dense", None),
        ("x |> dense |> erf |> dense", None),
        ("dense(relu(dense(x)) + square(dense(x)))", None),
    ],
)
def test_homogeneity_is_read_off(compile_text: Compile, body: str, degree: float | None) -> None:
    text = f"activation square(z) = z^2\n\narch net {{\n    input x: vector(3)\n    output {body}\n}}\n"
    assert homogeneity(compile_text(text).network) == degree


def test_a_tile_that_is_not_mirrored_is_found(compile_text: Compile) -> None:
    compilation = compile_text("arch net {\n    input x: vector(5)\n    output dense(relu(dense(x, b_std=0.3)))\n}\n")
    assert all(row.ok for row in properties(compilation))
    old, new = "jnp.where(lower, t.T, t)", "jnp.where(lower, t.T * (1 + 3e-7), t)"
    assert old in compilation.code
    found = properties(replace(compilation, code=compilation.code.replace(old, new)))
    assert [row.claim for row in found if not row.ok] == [
        f"{kind} of one set of samples is symmetric in float32" for kind in ("nngp", "ntk")
    ]
