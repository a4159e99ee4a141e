"""The whole compiler on one page."""

import hashlib
import linecache
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from warnings import warn

import jax

from ntkc.backends.jax import emit, emit_finite
from ntkc.backends.stated import stated
from ntkc.certificate import certificate
from ntkc.deriving.batches import whole_batches
from ntkc.deriving.fuse import fuse
from ntkc.diagnostics import ArchError, ArchWarning, Diagnostic
from ntkc.ir.network import Network
from ntkc.ir.program import Program
from ntkc.ir.recursion import Recursion
from ntkc.ir.syntax import File
from ntkc.passes.derive import LONGEST_UNROLLED, Entangled, check_turns, derive
from ntkc.passes.lower import lower
from ntkc.passes.parse import parse
from ntkc.passes.read import read
from ntkc.passes.resolve import Gated, resolve
from ntkc.passes.warn import reached
from ntkc.passes.warn import warn as warnings_of
from ntkc.sampling.inputs import Side
from ntkc.sampling.sampled import Sampled, diagonal, sampled
from ntkc.source import Source, Span

DEEPEST = 20_000


@dataclass(frozen=True, slots=True)
class Compilation:
    """Every form that a program took. Where its expectations are sampled (`option expectation = sampled`) nothing is derived, the
    code is that of the finite network alone, and the kernels come with standard errors."""

    source: Source
    syntax: File
    network: Network
    derived: tuple[Recursion, Program] | None
    code: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is valid and may not be what was meant."""
        return (*self.network.warnings, *(warnings_of(self.derived[0]) if self.derived else ()))

    def with_masks(self) -> "Compilation":
        """The same network whose sequences come with masks."""
        return _masked(self.source, self.network.name, tuple(self.overrides.items()), self.derived is None)

    def of(self, network: Network) -> "Compilation":
        """The same of a changed network, which is derived and emitted anew."""
        recursion = derive(network)
        program = lower(recursion, network)
        return replace(self, network=network, derived=(recursion, program), code=emit(program))

    def _taking(self, options: Mapping[str, Any]) -> ModuleType:
        """The module that takes these options."""
        return (self.with_masks() if "mask" in options else self).module()

    def checked(self, x1: Any, x2: Any = None, **given: Any) -> list[Side]:
        """x1 and x2 as `kernel` reads them, with the adjacencies and masks that are given, or an error that says what was
        expected."""
        module, number = self.module(), None if x2 is None else 0
        sides = [("x1", x1, number)] if x2 is None else [("x1", x1, number), ("x2", x2, 1)]
        with jax.enable_x64(True):
            return [Side.of(module._inputs(name, x, given, i), module.INPUTS, module.GIVENS) for name, x, i in sides]

    @property
    def recursion(self) -> Recursion:
        return self.derivation()[0]

    @property
    def program(self) -> Program:
        return self.derivation()[1]

    def derivation(self) -> tuple[Recursion, Program]:
        """What was derived; an error where nothing was."""
        if self.derived is None:
            message = f"`{self.network.name}` is sampled: its kernels are not derived, and there is no code of theirs"
            help = "evaluate it with `ntkc eval`; where all of it closes, leave out `option expectation = sampled`"
            span = self.network.sampled or self.syntax.span
            raise ArchError([Diagnostic("sampled", message, span, help=help)])
        return self.derived

    def certificate(self) -> dict[str, Any]:
        """Every equation with its rule and premises, as data that `ntkc.checker` proves anew. Scans that share weights stand in
        it as the one scan that they were derived as."""
        return certificate(whole_batches(fuse(self.network)), self.recursion, stated(self.recursion))

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
        """`kernel` of the emitted module: a named tuple of `nngp` and `ntk`, each of shape (n1, n2); `Sampled` where sampled.
        With `mask`, a boolean array (n, T), absent positions of sequences are passed over."""
        if self.derived is None:
            return self.sampled(x1, x2, **options)
        return reached(self.recursion, self._taking(options).kernel(x1, x2, **options))

    def sampled(self, x1: Any, x2: Any = None, **options: Any) -> Sampled:
        """The same by Monte Carlo over `samples=4096` slices of the infinitely wide network, with standard errors; `seed=0`."""
        masked = options.get("mask") is not None
        limit = _masked(self.source, self.network.name, tuple(self.overrides.items()), True) if masked else self
        given, options = limit.module()._split({k: v for k, v in options.items() if k != "mask" or masked})
        return sampled(limit.network, limit.checked(x1, x2, **given), masked=masked, **options)

    def nngp(self, x1: Any, x2: Any = None, **options: Any) -> Any:
        """The NNGP kernel, (n1, n2)."""
        return self.kernel(x1, x2, get="nngp", **options).nngp

    def ntk(self, x1: Any, x2: Any = None, **options: Any) -> Any:
        """The neural tangent kernel, (n1, n2)."""
        return self.kernel(x1, x2, get="ntk", **options).ntk

    def diagonal(self, x: Any, **options: Any) -> Any:
        """Both kernels of each row with itself, (n,)."""
        if self.derived is None:
            return diagonal(self.sampled(x, **options))
        return reached(self.recursion, self._taking(options).diagonal(x, **options))


def compile_source(
    source: Source,
    name: str | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    masked: bool = False,
    sampled: bool = False,
) -> Compilation:
    """`sampled` as by `option expectation = sampled` in the file."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEEPEST))  # long programs make deep recursions of small frames
    return compile_syntax(source, parse(source), name, overrides, masked=masked, sampled=sampled)


@cache
def _masked(source: Source, name: str, overrides: tuple[tuple[str, str], ...], sampled: bool) -> Compilation:
    return compile_source(source, name, dict(overrides), masked=True, sampled=sampled)


def compile_syntax(
    source: Source,
    syntax: File,
    name: str | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    masked: bool = False,
    sampled: bool = False,
) -> Compilation:
    """What follows from the syntax tree."""
    network, recursion = _derived(syntax, name, overrides, masked, sampled)
    if recursion is None:
        return Compilation(source, syntax, network, None, emit_finite(network), dict(overrides or {}))
    program = lower(recursion, network)  # Recursion -> Program
    code = emit(program)  # Program -> text
    return Compilation(source, syntax, network, (recursion, program), code, dict(overrides or {}))


def _derived(
    syntax: File, name: str | None, overrides: Mapping[str, str] | None, masked: bool, sampled: bool
) -> tuple[Network, Recursion | None]:
    """A `repeat` whose turns are entangled (weights tied across them, and a skip) is written out turn by turn, if it is short; so
    is a short `scan` whose states are products of gates. Where that does not help, the first refusal stands."""
    unrolled: frozenset[Span] = frozenset()
    refusal: Gated | None = None
    while True:
        try:
            network = resolve(syntax, name, overrides, masked=masked, sampled=sampled, unrolled=unrolled)  # File -> Network
            if network.sampled is not None:
                check_turns(network)
                return network, None
            return network, derive(network)  # Network -> Recursion
        except Entangled as error:
            if error.loop.count > LONGEST_UNROLLED or error.loop.span in unrolled:
                raise refusal or error from None
            unrolled |= {error.loop.span}
        except Gated as error:
            refusal = refusal or error
            if error.scans <= unrolled:
                raise refusal from None
            unrolled |= error.scans
        except ArchError as error:
            raise (error if refusal is None or error.diagnostics[0].code == "no-mask" else refusal) from error.__cause__


def load(path: str | Path, name: str | None = None, **overrides: object) -> Compilation:
    """Compiles a `.arch` file; `overrides` set its consts and the defaults of its params. What does not close needs
    `option expectation = sampled` in the file."""
    compilation = compile_source(read(Path(path)), name, {key: str(value) for key, value in overrides.items()})
    for warning in compilation.warnings:
        warn(str(warning), ArchWarning, stacklevel=2)
    return compilation
