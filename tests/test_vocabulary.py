"""Every word of the language is found, and a new one takes one new file."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkc import compile_source, functions, layers
from ntkc.gaussian.price import expectation
from ntkc.gaussian.series import series
from ntkc.gaussian.terms import NotClosed, Z
from ntkc.source import Source
from ntkc.vocabulary import layer_types, scalar_functions

LAYER = '''"""A dense layer of which only a share of the weights is there (sparse initialization, Martens 2010)."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from ntkc.ir.layer import Weighted, number
from ntkc.ir.sample import Sample


@dataclass(frozen=True)
class Sparse(Weighted):
    name = "sparse"

    share: sp.Expr = number("1/2")

    def moment(self, square: sp.Expr) -> sp.Expr:
        return self.share * square

    def tangent(self, square: sp.Expr, tangent: sp.Expr) -> sp.Expr:
        return self.share * (square + tangent)

    def sample(self) -> Sample:
        return Sample(_sparse, (None, self.share))


def _sparse(weights: Any, name: str, h: Any, width: int | None, share: Any) -> Any:
    there = weights(name + "/there", (h.shape[-1], width or weights.width)) > 0  # half of them
    return h @ (there * weights(name + "/W", there.shape)) / h.shape[-1] ** 0.5
'''
FUNCTION = """import sympy as sp

from ntkc.functions.scalar import scalar


@scalar
def squareplus(z: sp.Expr) -> sp.Expr:
    return (z + sp.sqrt(z**2 + 4)) / 2
"""


@pytest.fixture
def extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package with one more file in two of its folders."""
    for package, name, text in ((layers, "sparse", LAYER), (functions, "squareplus", FUNCTION)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    layer_types.cache_clear()
    scalar_functions.cache_clear()
    yield
    layer_types.cache_clear()
    scalar_functions.cache_clear()


@pytest.mark.usefixtures("extended")
def test_a_layer_and_a_function_are_one_file_each() -> None:
    text = "arch net {\ninput x: vector(3)\noutput x |> dense |> erf |> sparse |> squareplus |> dense\n}"
    net, x = compile_source(Source("net.arch", text)), np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    module = net.module()
    draw = jax.jit(lambda key: (lambda y: y @ y.T / 256)(module._forward(module._Weights({}, key, 512), [x], {}, 256)))
    sampled = jnp.stack([draw(key) for key in jax.random.split(jax.random.key(0), 32)])
    np.testing.assert_allclose(sampled.mean(0), net.nngp(x), atol=6 * float((sampled.std(0) / 32**0.5).max()))


@pytest.mark.parametrize("name", layer_types())
def test_layers_say_what_they_are(name: str) -> None:
    kind = layer_types()[name]
    assert kind.__doc__
    assert kind.name == name


@pytest.mark.parametrize("name", sorted(set(scalar_functions()) - {"max", "min", "log", "sqrt"}))
def test_functions_have_an_expectation(name: str) -> None:
    function = scalar_functions()[name]
    f = function.formula(Z, *[2] * (3 if function.arity[1] is None else function.arity[0] - 1))
    try:
        assert expectation(f, f).chains
    except NotClosed:
        assert max(series(f, f).bounds) < 1e-2
