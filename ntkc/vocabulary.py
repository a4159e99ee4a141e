"""How layers, functions and backends are found: every public one in a module of its folder, no list to keep."""

import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType

from ntkc import functions, layers
from ntkc.functions.scalar import ScalarFunction
from ntkc.ir.layer import Layer

PLANNED: frozenset[str] = frozenset([])
"""Words of the language whose layers are still to come."""


@cache
def layer_types() -> dict[str, type[Layer]]:
    """Layer classes by their name in the language."""
    found = (item for module in _modules(layers) for item in vars(module).values())
    return {
        item.name: item
        for item in found
        if inspect.isclass(item)
        and issubclass(item, Layer)
        and not inspect.isabstract(item)
        and isinstance(getattr(item, "name", None), str)
    }


@cache
def scalar_functions() -> dict[str, ScalarFunction]:
    """Scalar functions by their name in the language."""
    found = (item for module in _modules(functions) for item in vars(module).values())
    return {item.name: item for item in found if isinstance(item, ScalarFunction)}


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(package.__path__):
        yield import_module(f"{package.__name__}.{info.name}")
