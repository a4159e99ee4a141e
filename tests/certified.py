"""Certificates as data, and changes of them."""

import json
from collections.abc import Callable
from typing import Any

from ntkc.pipeline import Compilation

Data = dict[str, Any]


def certified(compilation: Compilation) -> Data:
    """Its certificate as it is read from a file."""
    data: Data = json.loads(json.dumps(compilation.certificate()))
    return data


def step_of(data: Data, symbol: str) -> Data:
    """The equation of a symbol, inside of loops too."""
    steps = [*data["steps"], *(inner for step in data["steps"] for inner in step.get("body", []))]
    return next(step for step in steps if step.get("symbol") == symbol)


def replaced(symbol: str, old: str, new: str) -> Callable[[Data], None]:
    """A change of an equation's value, once."""

    def change(data: Data) -> None:
        step = step_of(data, symbol)
        assert old in step["value"], step
        step["value"] = step["value"].replace(old, new, 1)

    return change


def put(path: tuple[Any, ...], value: Any) -> Callable[[Data], None]:
    """A change of what stands at a path."""

    def change(data: Data) -> None:
        place: Any = data
        for key in path[:-1]:
            place = place[key]
        assert place[path[-1]] != value
        place[path[-1]] = value

    return change
