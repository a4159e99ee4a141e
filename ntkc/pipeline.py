"""The whole compiler on one page."""

import hashlib
import linecache
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from warnings import warn

from ntkc.backends.jax import emit
from ntkc.diagnostics import ArchWarning, Diagnostic
from ntkc.ir.network import Network
from ntkc.ir.program import Program
from ntkc.ir.recursion import Recursion
from ntkc.ir.syntax import File
from ntkc.passes.derive import derive
from ntkc.passes.lower import lower
from ntkc.passes.parse import parse
from ntkc.passes.read import read
from ntkc.passes.resolve import resolve
from ntkc.source import Source

DEEPEST = 20_000


@dataclass(frozen=True, slots=True)
class Compilation:
    """Every form that a program took."""

    source: Source
    syntax: File
    network: Network
    recursion: Recursion
    program: Program
    code: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is valid and may not be what was meant."""
        return self.network.warnings

    def module(self) -> ModuleType:
        """The emitted code, imported; tracebacks show its lines."""
        name = f"ntkc_{self.network.name}_{hashlib.sha256(self.code.encode()).hexdigest()[:12]}"
        if name not in sys.modules:
            file = f"<{name}>"
            linecache.cache[file] = (len(self.code), None, self.code.splitlines(keepends=True), file)
            module = ModuleType(name)
            exec(compile(self.code, file, "exec"), vars(module))  # the compiler's own text, never the user's
            sys.modules[name] = module
        return sys.modules[name]

    def kernel(self, x1: Any, x2: Any = None, **options: Any) -> Any:
        """`kernel` of the emitted module: a named tuple of `nngp` and `ntk`, each of shape (n1, n2)."""
        return self.module().kernel(x1, x2, **options)

    def nngp(self, x1: Any, x2: Any = None, **options: Any) -> Any:
        """The NNGP kernel, (n1, n2)."""
        return self.module().nngp(x1, x2, **options)

    def ntk(self, x1: Any, x2: Any = None, **options: Any) -> Any:
        """The neural tangent kernel, (n1, n2)."""
        return self.module().ntk(x1, x2, **options)

    def diagonal(self, x: Any, **options: Any) -> Any:
        """Both kernels of each row with itself, (n,)."""
        return self.module().diagonal(x, **options)


def compile_source(source: Source, name: str | None = None, overrides: Mapping[str, str] | None = None) -> Compilation:
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEEPEST))  # long programs make deep recursions of small frames
    return compile_syntax(source, parse(source), name, overrides)


def compile_syntax(
    source: Source, syntax: File, name: str | None = None, overrides: Mapping[str, str] | None = None
) -> Compilation:
    """What follows from the syntax tree."""
    network = resolve(syntax, name, overrides)  # File -> Network
    recursion = derive(network)  # Network -> Recursion
    program = lower(recursion, network)  # Recursion -> Program
    code = emit(program)  # Program -> text
    return Compilation(source, syntax, network, recursion, program, code, dict(overrides or {}))


def load(path: str | Path, name: str | None = None, **overrides: object) -> Compilation:
    """Compiles a `.arch` file; `overrides` set its consts and the defaults of its params."""
    compilation = compile_source(read(Path(path)), name, {key: str(value) for key, value in overrides.items()})
    for warning in compilation.warnings:
        warn(str(warning), ArchWarning, stacklevel=2)
    return compilation
