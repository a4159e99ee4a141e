"""Recursion -> Program: what is computed per sample and what per pair, in which variable, and what is called by name."""

from dataclasses import dataclass, replace

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.small import small
from ntkc.gaussian.terms import Z
from ntkc.ir.intrinsics import with_intrinsics
from ntkc.ir.network import Network
from ntkc.ir.normalization import Normalization
from ntkc.ir.program import Assign, Carry, Definition, For, Instruction, Program
from ntkc.ir.recursion import SAME, Dual, Equation, Output, Recursion, Step
from ntkc.lowering.angles import TOP, Angles, Obtuse, Uncovered
from ntkc.lowering.collapse import collapse
from ntkc.lowering.forms import MATCHED, Forms
from ntkc.lowering.homogeneous import Homogeneous
from ntkc.lowering.moments import Moments
from ntkc.lowering.peel import peel
from ntkc.lowering.prune import calls, ordered, prune, reads, writes
from ntkc.lowering.sides import Sides

D, E = sp.symbols("d e", nonnegative=True)


def lower(recursion: Recursion, network: Network) -> Program:
    chosen = _pair_part(recursion)
    wanted = {s for o in chosen.outputs for value in o.values for s in value.free_symbols}
    pair = prune(ordered(chosen.pair), wanted)
    whole = collapse(recursion, chosen.steps, chosen.angles) if chosen.angles else None
    read = wanted.union(*(reads(i) for i in pair), chosen.sides.data if whole else ())  # the series is scaled by |x|^2
    exports: dict[int, list[sp.Symbol]] = {}
    sample = _sample(chosen, read, exports)
    names = tuple(tuple(s.name[:-2] for s in exports.get(place, [])) for place in range(TOP, max([TOP, *exports]) + 1))
    return Program(
        name=recursion.name,
        network=network,
        inputs=recursion.inputs,
        data=recursion.data,
        givens=recursion.givens,
        gaps=chosen.angles is not None,
        layout=_layout(chosen, pair),
        tables=any(s.name.endswith("_self") for i in sample for s in reads(i)),
        parameters=recursion.parameters,
        definitions=tuple(_definitions(recursion, chosen.curves, [*pair, *sample], chosen.outputs)),
        maps=recursion.maps,
        sample=sample,
        pair=pair,
        exports=names,
        outputs=chosen.outputs,
        batches=recursion.batches,
        collapse=whole,
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """The pair part and what it asks of the sample part, in one of the two variables."""

    steps: tuple[Step, ...]
    sides: Sides
    pair: list[Instruction]
    tables: list[Instruction]
    extra: dict[int, list[Assign]]
    curves: dict[str, Homogeneous]
    outputs: tuple[Output, ...]
    angles: Angles | None = None
    forms: Forms | None = None


def _pair_part(recursion: Recursion) -> Choice:
    """By angles where a kinked function needs them and the rules cover it, else on second moments, for float64."""
    steps = recursion.steps
    while not any(recursion.grids):
        sides = Sides(recursion, steps)
        angles = Angles(recursion, steps, sides)
        try:
            pair = [*angles.inputs(), *angles.run(steps)]
        except Obtuse as found:
            steps = peel(steps, found.loop, sides)
            continue
        except Uncovered:
            break
        if not angles.kinks:
            break
        return Choice(steps, sides, pair, [], angles.extra, angles.curves, recursion.outputs, angles)
    steps = recursion.steps
    sides, forms = Sides(recursion, steps), Forms(recursion, steps)
    moments = Moments(recursion, sides, forms)
    tables, pair = moments.run(steps, "11"), moments.run(steps, "12")
    outputs = tuple(
        replace(o, nngp=moments.output(o.nngp), ntk=None if o.ntk is None else moments.output(o.ntk)) for o in recursion.outputs
    )
    return Choice(steps, sides, pair, tables, moments.extra, moments.curves, outputs, forms=forms)


def _layout(chosen: Choice, pair: tuple[Instruction, ...]) -> str:
    """vectors: no positions. matched: tables at matching positions, for a tile of samples at once. pairs: full tables."""
    if chosen.forms is None or not chosen.forms.positions:
        return "vectors"
    return "pairs" if any(s in chosen.forms.full for i in pair for s in (*reads(i), *writes((i,)))) else "matched"


def _sample(chosen: Choice, read: set[sp.Basic], exports: dict[int, list[sp.Symbol]]) -> tuple[Instruction, ...]:
    """Moments at x that the pair part reads, under their bare names; `exports` collects those names by loop."""
    sides = chosen.sides
    body = _own(chosen, chosen.steps, chosen.tables, TOP)
    needed = read | {s for s in sides.firsts if sides.other(s) in read}
    kept = prune(ordered([_one_sided(i, sides) for i in body]), needed)
    _collect(kept, TOP, needed, exports)
    exports[TOP] = [*(s for s in (*sides.data, *sides.givens) if s in needed), *exports.get(TOP, [])]
    return tuple(_bare(instruction, sides) for instruction in kept)


def _own(chosen: Choice, steps: tuple[Step, ...], tables: list[Instruction], place: int) -> list[Instruction]:
    """Equations at x alone, those of the tables of x with itself, and what the pair part asks for besides."""
    found: list[Instruction] = [t for t in tables if isinstance(t, Assign) or t.cells]
    loops = {t.index: t for t in tables if isinstance(t, For) and not t.cells}
    for step in steps:
        if isinstance(step, Equation):
            if step.pair[3] == "1":
                found.append(Assign(step.symbol, _matched(chosen, step.value, step.pair), None, step.span))
            continue
        inner = loops.get(step.index)
        own = [s for s in step.states if s.pair[3] == "1"]
        carries = tuple(
            Carry(s.symbol, _matched(chosen, s.initial, s.pair), _matched(chosen, s.following, s.pair), s.result) for s in own
        )
        body = _own(chosen, step.body, list(inner.body) if inner else [], step.index)
        count = inner.count if inner else step.count
        found.append(For(step.index, count, (*carries, *(inner.carries if inner else ())), tuple(ordered(body)), step.span))
    return [*found, *chosen.extra.get(place, [])]


def _matched(chosen: Choice, value: sp.Expr, pair: tuple[str, int, int, str]) -> sp.Expr:
    if chosen.forms is None:
        return value
    rank = len(chosen.forms.grids[pair[1]])
    return chosen.forms.rewritten(value, MATCHED, (rank, 0))


def _one_sided(instruction: Instruction, sides: Sides) -> Instruction:
    """Within the sample part x' is x."""

    def same(expr: sp.Expr) -> sp.Expr:
        return sides.first(expr).xreplace({SAME: sp.S.One})

    if isinstance(instruction, Assign):
        return Assign(instruction.symbol, same(instruction.value), None, instruction.span)
    if instruction.cells:
        return instruction  # x stands on both sides, at different steps
    carries = tuple(Carry(c.symbol, same(c.initial), same(c.following), c.result) for c in instruction.carries)
    return replace(instruction, carries=carries, body=tuple(ordered([_one_sided(i, sides) for i in instruction.body])))


def _collect(body: tuple[Instruction, ...], place: int, needed: set[sp.Basic], exports: dict[int, list[sp.Symbol]]) -> None:
    mine = exports.setdefault(place, [])
    mine += [s for s in writes(body) if s in needed]
    for instruction in body:
        if isinstance(instruction, For) and not instruction.cells:
            exports[instruction.index] = [c.symbol for c in instruction.carries if c.symbol in needed]
            _collect(instruction.body, instruction.index, needed, exports)


def _bare(instruction: Instruction, sides: Sides) -> Instruction:
    def name(expr: sp.Expr) -> sp.Expr:
        return sides.bare(expr)

    if isinstance(instruction, Assign):
        return Assign(name(instruction.symbol), name(instruction.value), None, instruction.span)
    if instruction.cells:
        return instruction
    carries = tuple(Carry(*(name(x) for x in (c.symbol, c.initial, c.following, c.result))) for c in instruction.carries)
    return For(instruction.index, instruction.count, carries, tuple(_bare(i, sides) for i in instruction.body), instruction.span)


def _definitions(
    recursion: Recursion, curves: dict[str, Homogeneous], body: list[Instruction], outputs: tuple[Output, ...]
) -> list[Definition]:
    """In the order of the derivation: what is called, on second moments or by angle."""
    called = {c.func.__name__ for i in body for c in calls(i)}
    called |= {c.func.__name__ for o in outputs for v in o.values for c in v.atoms(AppliedUndef)}
    found: list[Definition] = []
    called |= {name for m in recursion.maps if isinstance(m.geometry, Normalization) for name in m.geometry.pair}
    for dual in recursion.duals:
        if dual.name in called:
            found.append(_definition(dual))
        curve = curves.get(dual.name)
        describes = _describe(dual)
        if curve is not None and f"{dual.name}_gap" in called:
            found.append(Definition(f"{dual.name}_gap", (D, E), curve.gap, f"(1 - correlation)/2 after {describes}"))
        if curve is not None and f"{dual.name}_angle" in called:
            scale = {0: "", 1: ", over sqrt(a b)"}.get(int(curve.degree), f", over (a b)^({curve.degree}/2)")
            found.append(Definition(f"{dual.name}_angle", (D, E), curve.value, describes + scale))
    return found


def _definition(dual: Dual) -> Definition:
    law = dual.law
    value = with_intrinsics(law.value, C, A, B) if isinstance(law, Expectation) else law
    return Definition(dual.name, (C, A, B), value, _describe(dual), small(law) if isinstance(law, Expectation) else None)


def _describe(dual: Dual) -> str:
    law = dual.law
    text = f"E f(u) g(v) with f(z) = {law.f}" + (f", g(z) = {law.g}" if law.f != law.g else ", g = f")
    return text.replace(str(Z), "z")
