"""Source text of the functions that an emitted module needs, found by the names that it mentions."""

import ast
import inspect
import re
from functools import cache
from types import ModuleType

from ntkc.backends.prelude import api, checks, collapse, finite, gradients, numerics, orthants, pairs, positions, tiles

PRELUDE = (numerics, orthants, positions, tiles, gradients, collapse, pairs, checks, api, finite)
WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
ENTRIES = ("kernel", "nngp", "ntk", "diagonal")


def library(
    text: str, others: tuple[ModuleType, ...] = (), entries: tuple[str, ...] = ENTRIES, first: tuple[ModuleType, ...] = ()
) -> str:
    """The definitions that `text` and the entries reach, in the order of the files they come from; those of `first` stand for
    others of the same name."""
    known: dict[str, str] = {}
    for module in (*first, *PRELUDE, *others):
        functions = {
            k: v for k, v in _definitions(module).items() if module in (*first, *PRELUDE) or (k[0] == "_" and k[1].islower())
        }
        known |= {name: source for name, source in functions.items() if name not in known}
    known = {name: source for name, source in known.items() if name in entries or name not in ENTRIES}
    reached: set[str] = set()
    waiting = [*entries, *WORD.findall(text)]
    while waiting:
        name = waiting.pop()
        if name in known and name not in reached:
            reached.add(name)
            waiting += [*WORD.findall(known[name]), f"{name}.defvjp"]
    return "".join(f"\n\n{source}\n" for name, source in known.items() if name in reached)


@cache
def _definitions(module: ModuleType) -> dict[str, str]:
    """Top-level functions, classes and constants with the comment above them; a bare call goes with the name it starts with."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        name = _name(node)
        if name is None:
            continue
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)]) - 1
        while first > 0 and lines[first - 1].startswith("#"):
            first -= 1
        text = "\n".join(lines[first : node.end_lineno])
        found[name] = f"{found[name]}\n\n\n{text}" if name in found else text
    return found


def _name(node: ast.stmt) -> str | None:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return f"{name}.defvjp"
        case _:
            return None
