"""What a name means at a point of the program."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from ntkc.ir import syntax as ast
from ntkc.ir.layer import Weighted


@dataclass(frozen=True, slots=True)
class NamedLayer:
    """`layer W = ...`: one set of weights. `home` is the loop it was named in."""

    name: str
    layer: Weighted
    weight: str
    home: int | None


@dataclass(frozen=True, slots=True)
class Poison:
    """A name whose definition was at fault; its uses are passed over."""


Meaning: TypeAlias = sp.Expr | NamedLayer | Poison
POISON = Poison()


@dataclass
class Scope:
    """Names of values inside a body; `outer` is where a block may look up parameters and constants."""

    names: dict[str, Meaning] = field(default_factory=dict)
    constants: dict[str, Meaning] = field(default_factory=dict)
    blocks: dict[str, ast.Block] = field(default_factory=dict)
    activations: dict[str, ast.Activation] = field(default_factory=dict)

    def find(self, name: str) -> Meaning | None:
        return self.names.get(name, self.constants.get(name))

    def known(self) -> Iterator[str]:
        yield from self.names
        yield from self.constants
        yield from self.blocks
        yield from self.activations

    def for_block(self) -> "Scope":
        """A fresh body that still sees parameters and constants."""
        return Scope({}, self.constants, self.blocks, self.activations)
