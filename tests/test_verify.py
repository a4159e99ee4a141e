"""A wall of `ntkc verify` that breaks down is a row that fails; large images are read back on narrow ones."""

from collections.abc import Callable

import pytest

from ntkc import Compilation
from ntkc.diagnostics import ArchError, Diagnostic
from ntkc.source import Source, Span
from ntkc.verify.thin import thin
from ntkc.verify.verify import verify

Compile = Callable[[str], Compilation]
ERF = "arch net {\n    input x: vector(3)\n    output x |> dense |> erf |> dense\n}\n"
IMAGE = """arch net {
    input x: image(28, 28, 1)
    h = x |> conv(5) |> relu |> avg_pool(2) |> conv(3, padding=valid, stride=2) |> relu |> avg_pool(%s)
    output h |> resize(4) |> flatten |> dense
}
"""
WALLS = {
    "prove": "derivation",
    "translation": "translation",
    "agreements": "reference",
    "properties": "properties",
    "simulate": "simulation",
}


@pytest.mark.parametrize("function", WALLS)
def test_a_wall_that_breaks_down_fails(function: str, compile_text: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by a bug")

    others = {name: lambda *_: [] for name in WALLS if name != function}
    for name, run in {**others, function: broken}.items():
        monkeypatch.setattr(f"ntkc.verify.verify.{name}", run)
    (row,) = verify(compile_text(ERF)).rows
    assert (row.claim, row.status, row.ok, row.wall) == (f"{WALLS[function]} comes to its end", "FAILED", False, WALLS[function])
    assert row.detail.startswith("ZeroDivisionError: by a bug (")


@pytest.mark.parametrize("function", ["prove", "translation"])  # the latter in a process of its own
def test_what_the_user_can_cause_stays_an_error(function: str, compile_text: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise ArchError([Diagnostic("data", "is at fault", Span(Source("net.arch", "arch a"), 0, 1))])

    monkeypatch.setattr(f"ntkc.verify.verify.{function}", refused)
    with pytest.raises(ArchError, match="is at fault"):
        verify(compile_text(ERF))


def test_a_narrow_image_keeps_every_layer(compile_text: Compile) -> None:
    found = thin(compile_text(IMAGE % 3), (3, 5, 8, 12, 14))
    assert found is not None
    assert found.network.grids[0] == (14, 2)  # 14, 7 after the pool, 3 after the valid convolution, 1 after the last pool
    windows = [axis.size for m in found.recursion.maps for axis in getattr(m.geometry, "axes", ()) if hasattr(axis, "size")]
    assert windows == [5, 5, 2, 2, 3, 1, 3, 1]


def test_a_wide_pool_is_narrowed_on_every_axis(compile_text: Compile) -> None:
    found = thin(compile_text(IMAGE % 4), (3, 5, 8, 12, 14))
    assert found is not None
    assert found.network.grids[0] == (8, 2)


def test_no_image_is_short_enough(compile_text: Compile) -> None:
    assert thin(compile_text(IMAGE % 3), (3, 5)) is None
