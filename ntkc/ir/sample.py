"""The finite-width layer: a JAX function that is copied into the emitted module, and its arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp


@dataclass(frozen=True, slots=True)
class Sample:
    """`function(weights, name, h, width, *arguments)` for a layer with weights, else `function(h, *arguments)`; its source, with
    that of the functions of the same file that it calls, goes into the emitted module."""

    function: Callable[..., Any]
    arguments: tuple[sp.Expr | bool | int | str | tuple[Any, ...] | None, ...] = ()
