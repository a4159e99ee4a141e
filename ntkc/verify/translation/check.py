"""Compilation -> Claims: the emitted code, read back from its jaxpr, equals the recursion.

Both are evaluated on the same symbols. Every equation of the recursion names a value; whatever the code computes is looked up
among these names, and is replaced by the name where the two are proven equal. Loops are read by induction: their start, and one
turn of values of which nothing is known but what every turn keeps. Scans over positions, and loops where that fails, are read
turn by turn, all of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from time import thread_time
from typing import Any

import jax
import mpmath as mp
import numpy as np
import sympy as sp
from jax.extend.core import ClosedJaxpr

from ntkc.backends.normalizations import parameters_of
from ntkc.diagnostics import ArchError
from ntkc.gaussian.series import Series
from ntkc.ir.network import InputNode
from ntkc.ir.normalization import Normalization
from ntkc.ir.recursion import LoopStep
from ntkc.pipeline import Compilation
from ntkc.verify.samples import kinds
from ntkc.verify.small import shallow, small
from ntkc.verify.thin import thin
from ntkc.verify.translation.batches import Batches
from ntkc.verify.translation.claim import Claim
from ntkc.verify.translation.duals import Duals, Wrong
from ntkc.verify.translation.field import DIGITS, Field, Unread, Value
from ntkc.verify.translation.induction import inductive, written_out
from ntkc.verify.translation.jaxpr import Interpreter
from ntkc.verify.translation.lemmas import lemmas
from ntkc.verify.translation.loops import Loops
from ntkc.verify.translation.point import parameters, sample
from ntkc.verify.translation.recursion import Evaluation
from ntkc.verify.translation.trace import MOMENT, jaxpr_of, opened

SECONDS = 16.0
SIZES = (3, 4, 5, 6, 8, 12, 16)
LONGEST, TURNS = 20, 4
"""Turns: loops with more, where they cannot be read by induction or as they are, are read with fewer."""
LARGEST = 4
"""Positions; programs with more are read on fewer."""
APART = 1e-12
"""Relative; what two series of one expectation may leave out."""
BROKEN = (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
MANY = 9
"""Positions; images of more are read as narrow ones."""
WHOSE = (("between samples", "of a sample with itself"), ("between batches", "of a batch with itself"))
GENERAL = "distinct samples in general position"


def translation(compilation: Compilation, seed: int = 0) -> list[Claim]:
    """One claim for each function of the code, and one for each kernel between samples and of a sample with itself."""
    if compilation.derived is None:
        return [
            Claim("emitted code against the recursion", "NOT CHECKED", "it is sampled: there is no recursion and no such code")
        ]
    compilation, size = _smaller(compilation)
    with mp.workdps(DIGITS):
        claims = list(lemmas(compilation))
        for same in (False, True):
            claims += [replace(c, detail=f"{c.detail}{size}") for c in _between(compilation, seed, same)]
    return claims


def _smaller(compilation: Compilation) -> tuple[Compilation, str]:
    """The program on few positions, and what was made smaller."""
    if all((n or 0) <= SIZES[0] for node in compilation.recursion.inputs for n in node.type.positions):
        return compilation, ""
    found = _narrow(small(compilation, SIZES, LARGEST), compilation)
    text = f"; on positions {[n.type.positions for n in found.recursion.inputs]}, windows wider than them narrowed"
    return found, "" if found is compilation else text


def _narrow(found: Compilation, compilation: Compilation) -> Compilation:
    """A narrow image instead, where even the small one has many positions."""
    grids = [[n or 1 for n in i.type.positions] for i in found.recursion.inputs]
    few = max(map(prod, grids)) <= MANY or max(map(len, grids)) < 2
    return found if few else thin(compilation, SIZES) or found


def _between(compilation: Compilation, seed: int, same: bool) -> list[Claim]:
    """By induction; where that gives no proof, turn by turn; and where there are too many turns, of the program with fewer."""
    if any(isinstance(s, LoopStep) and inductive(s) for s in compilation.recursion.steps):
        found = read_back(compilation, seed, same, by_induction=True)
        if all(c.status in ("proven", "checked") for c in found):
            return found
    found = read_back(compilation, seed, same, by_induction=False)
    longest = max((s.count for s in compilation.recursion.steps if isinstance(s, LoopStep)), default=0)
    if longest > LONGEST and all(c.status == "NOT CHECKED" for c in found):
        try:
            found = read_back(shallow(compilation, TURNS), seed, same, by_induction=False)
        except (ArchError, ValueError):
            return found
        return [replace(c, detail=f"{c.detail}; with its consts at most {TURNS}") for c in found]
    return found


def read_back(compilation: Compilation, seed: int, same: bool, *, by_induction: bool) -> list[Claim]:
    """The claims of one way to read its loops."""
    whose = WHOSE[compilation.recursion.batches][same]
    try:
        return list(Proof(compilation, seed, same, by_induction).claims(whose))
    except Unread as found:
        return [Claim(f"emitted {kind} {whose}", "NOT CHECKED", str(found)) for kind in kinds(compilation)]
    except BROKEN as found:
        return [
            Claim(f"emitted {kind} {whose}", "FAILED", f"the code or its reader broke down: {found!r}")
            for kind in kinds(compilation)
        ]
    except Wrong as found:
        return [Claim(f"emitted {kind} {whose}", "FAILED", str(found)) for kind in kinds(compilation)]


class Proof:
    """The recursion's values, then the code's."""

    def __init__(self, compilation: Compilation, seed: int, same: bool, by_induction: bool) -> None:
        self.compilation, self.same, self.kinds = compilation, same, kinds(compilation)
        self.field, source = Field(), np.random.default_rng([seed, 7])
        recursion, self.space = compilation.recursion, vars(compilation.module())
        self.given = parameters(self.field, recursion.parameters, source)
        curved = frozenset(d.name for d in recursion.duals if {f"{d.name}_gap", f"{d.name}_angle"} & self.space.keys())
        self.duals = Duals(self.field, recursion.duals, self.given, curved)
        self.batches = Batches(self.field, *_normalizations(compilation, self.given))
        x1 = sample(self.field, recursion, "x1", source)
        self.samples = (x1, x1 if same else sample(self.field, recursion, "x2", source))
        self.deadline = self.field.deadline = thread_time() + SECONDS
        self.traced = self._traced()
        chosen = written_out(recursion.steps, self.traced[0]) if by_induction else {}
        about = (recursion, self.field, self.duals, self.given, self.samples, self.deadline, chosen, self.batches)
        self.evaluation = Evaluation(*about)
        self.evaluation.run(recursion.steps)
        self.loops = Loops(self.field, self.evaluation.invariants)

    def claims(self, whose: str) -> Iterator[Claim]:
        outputs = self.compilation.recursion.outputs
        wanted = {(k, o.name): self.evaluation.output(getattr(o, k)) for k in self.kinds for o in outputs}
        self.field.seen, self.field.branches = set(), 0
        found = self._code()
        for (kind, name), value in wanted.items():
            label = f"emitted {kind} {name}".strip() + f" {whose}"
            yield self._claim(label, [v[kind][name] for v in found], value)

    def _claim(self, label: str, found: list[Any], wanted: Any) -> Claim:
        field = self.field
        pairs = [
            (u, v)
            for table, like in zip(found, (wanted, np.diagonal(wanted)), strict=False)
            for u, v in zip(np.ravel(table), np.ravel(like), strict=True)
        ]
        equal = all(field.equal(u, v, label) for u, v in pairs)
        met = [i for i, _, _ in self.evaluation.names if i in field.seen]
        met_of = f"{len(met)} of {len(self.evaluation.names)} values of equations met in the code"
        detail = f"{met_of}{self._general()}{self._turns()}"
        if not equal and self._by_two_series(pairs):
            return Claim(label, "checked", f"to {APART:.0e}: one expectation is written by two series; {detail}")
        if not equal:
            return Claim(label, "FAILED", f"{self._first_missing()}; {detail}")
        if field.guesses:
            return Claim(label, "checked", f"to 38 digits at one point, {len(field.guesses)} equalities unproven; {detail}")
        return Claim(label, "proven", detail)

    def _by_two_series(self, pairs: list[tuple[Any, Any]]) -> bool:
        """Of a sample with itself, whose own moments may come by other series than those between samples."""
        series = any(isinstance(dual.law, Series) for dual in self.compilation.recursion.duals)
        return self.same and series and all(abs(u.number - v.number) <= APART * abs(v.number) for u, v in pairs)

    def _general(self) -> str:
        """For which samples, and what of them has a name alone."""
        sizes = [len(x[0]) for x in self.samples] if self.batches.laws else []
        integrals = f"; batches of {' and '.join(map(str, sizes[: 2 - self.same]))}, integrals over them by name" if sizes else ""
        return integrals if self.same else f"; {GENERAL}: {self.field.branches} comparisons as at the point{integrals}"

    def _turns(self) -> str:
        """How loops were read."""
        loops = [s for s in self.compilation.recursion.steps if isinstance(s, LoopStep)]
        chosen = self.evaluation.written_out
        said = [f"{s.count} turns by induction" for s in loops if s.index in chosen]
        said += [f"{s.count} turns one by one" for s in loops if s.index not in chosen]
        return f"; loops: {', '.join(said)}" if said else ""

    def _first_missing(self) -> str:
        missing = next((step for i, _, step in self.evaluation.names if i not in self.field.seen), None)
        if missing is None:
            return "the output differs"
        line, _ = missing.span.source.position(missing.span.start)
        return (
            f"the first value that the code does not compute is {missing.symbol} = {missing.value} [{missing.rule}], line {line}"
        )

    def _traced(self) -> tuple[ClosedJaxpr, Any]:
        names = [f"{d}{kind}" for d in self.duals.duals for kind in ("", "_gap", "_angle")] + [MOMENT]
        space = opened(self.compilation.module(), names, self.batches.names)
        between, alone = space["EVALUATE"]()
        kinds, batches = self.kinds, self.compilation.recursion.batches

        def run(x1: Any, x2: Any, params: Any) -> Any:
            dtype = jax.numpy.dtype("float64")
            if not self.same:
                return [between(x1, x2, params, kinds, False, dtype, "accurate")]
            whole = [between(x1, x1, params, kinds, True, dtype, "accurate")] if batches else []
            return [*whole, alone(x1, params, kinds, dtype)]

        return jaxpr_of(run, *jax.tree.map(_like, self._arguments(), is_leaf=lambda v: isinstance(v, Value)))

    def _arguments(self) -> tuple[Any, ...]:
        return (
            *(self._rows(x) for x in self.samples),
            {p.name: self.given[p.symbol] for p in self.compilation.recursion.parameters},
        )

    def _code(self) -> list[dict[str, dict[str, Any]]]:
        """By kind and name; of a batch with itself the diagonal after the whole table."""
        closed, structure = self.traced
        arguments = jax.tree.leaves(self._arguments(), is_leaf=lambda v: isinstance(v, Value))
        interpreter = Interpreter(self.field, self.duals.emitted, self.deadline, self.loops, self.batches.emitted)
        found: list[dict[str, dict[str, Any]]] = jax.tree.unflatten(
            structure, interpreter.run(closed, [_array(v) for v in arguments])
        )
        return found

    def _rows(self, x: list[Any]) -> tuple[Any, ...]:
        """As the code takes samples: one row; adjacencies transposed."""
        count = len([n for n in self.compilation.network.nodes if isinstance(n, InputNode)])
        if self.compilation.recursion.batches:
            return tuple(x)
        return tuple((v if i < count else np.transpose(v))[None] for i, v in enumerate(x))


def _normalizations(compilation: Compilation, given: Mapping[sp.Basic, Value]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The laws of normalizations by name, and the hyperparameters that each reads."""
    laws = {m.name: m.geometry for m in compilation.recursion.maps if isinstance(m.geometry, Normalization)}
    named = {str(symbol): value for symbol, value in given.items()}
    definitions = compilation.program.definitions
    return laws, {name: [named[p] for p in parameters_of(law, definitions)] for name, law in laws.items()}


def _like(v: Any) -> Any:
    shape, whole = np.shape(v), isinstance(v, np.ndarray) and v.dtype != object
    return jax.ShapeDtypeStruct(shape, np.dtype("int64") if whole else np.dtype("float64"))  # type: ignore[no-untyped-call]


def _array(v: Any) -> Any:
    if isinstance(v, Value):
        box = np.empty((), dtype=object)
        box[()] = v
        return box
    return v
