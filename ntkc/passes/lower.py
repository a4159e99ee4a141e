"""Recursion -> Program: what is computed per sample and what per pair, in which variable, and what is called by name."""

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.terms import Z
from ntkc.ir.intrinsics import with_intrinsics
from ntkc.ir.network import Network
from ntkc.ir.program import Assign, Carry, Definition, For, Instruction, Program
from ntkc.ir.recursion import Dual, Equation, Recursion, Step
from ntkc.lowering.angles import TOP, Angles, Obtuse, Uncovered, plain
from ntkc.lowering.collapse import collapse
from ntkc.lowering.peel import peel
from ntkc.lowering.prune import prune, reads, writes
from ntkc.lowering.sides import Sides

D, E = sp.symbols("d e", nonnegative=True)


def lower(recursion: Recursion, network: Network) -> Program:
    steps, sides, angles, pair = _pair_part(recursion)
    wanted = {s for o in recursion.outputs for value in (o.nngp, o.ntk) if value is not None for s in value.free_symbols}
    pair = list(prune(pair, wanted))
    extra = angles.extra if angles else {}
    exports: dict[int, list[sp.Symbol]] = {}
    whole = collapse(recursion, steps, angles) if angles else None
    read = wanted.union(*(reads(i) for i in pair), sides.data if whole else ())  # the series is scaled by |x|^2
    sample = _sample(steps, sides, extra, read, exports)
    names = tuple(tuple(s.name[:-2] for s in exports.get(place, [])) for place in range(TOP, max([TOP, *exports]) + 1))
    return Program(
        recursion.name,
        network,
        recursion.inputs,
        recursion.data,
        angles is not None,
        recursion.parameters,
        tuple(_definitions(recursion, angles, [*pair, *sample])),
        sample,
        tuple(pair),
        names,
        recursion.outputs,
        whole,
    )


def _pair_part(recursion: Recursion) -> tuple[tuple[Step, ...], Sides, Angles | None, list[Instruction]]:
    """By angles where a kinked function needs them and the rules cover it, else on second moments, for float64."""
    steps = recursion.steps
    while True:
        sides = Sides(recursion, steps)
        angles = Angles(recursion, steps, sides)
        try:
            pair = [*angles.inputs(), *angles.run(steps)]
        except Obtuse as found:
            steps = peel(steps, found.loop)
            continue
        except Uncovered:
            return recursion.steps, Sides(recursion, recursion.steps), None, plain(recursion.steps)
        if not angles.kinks:
            return recursion.steps, Sides(recursion, recursion.steps), None, plain(recursion.steps)
        return steps, sides, angles, pair


def _sample(
    steps: tuple[Step, ...],
    sides: Sides,
    extra: dict[int, list[Assign]],
    read: set[sp.Basic],
    exports: dict[int, list[sp.Symbol]],
) -> tuple[Instruction, ...]:
    """Moments at x that the pair part reads, under their bare names; `exports` collects those names by loop."""
    body = _own(steps, extra, TOP)
    needed = read | {s for s in sides.firsts if sides.other(s) in read}
    kept = prune(body, needed)
    _collect(kept, TOP, needed, exports)
    data = [s for s in sides.data if s in needed]
    exports[TOP] = [*data, *exports.get(TOP, [])]
    return tuple(_bare(instruction, sides) for instruction in kept)


def _own(steps: tuple[Step, ...], extra: dict[int, list[Assign]], place: int) -> list[Instruction]:
    found: list[Instruction] = []
    for step in steps:
        if isinstance(step, Equation):
            if step.pair[3] == "1":
                found.append(Assign(step.symbol, step.value, None, step.span))
            continue
        carries = tuple(Carry(s.symbol, s.initial, s.following, s.result) for s in step.states if s.pair[3] == "1")
        found.append(For(step.index, step.count, carries, tuple(_own(step.body, extra, step.index)), step.span))
    return [*found, *extra.get(place, [])]


def _collect(body: tuple[Instruction, ...], place: int, needed: set[sp.Basic], exports: dict[int, list[sp.Symbol]]) -> None:
    mine = exports.setdefault(place, [])
    mine += [s for s in writes(body) if s in needed]
    for instruction in body:
        if isinstance(instruction, For):
            exports[instruction.index] = [c.symbol for c in instruction.carries if c.symbol in needed]
            _collect(instruction.body, instruction.index, needed, exports)


def _bare(instruction: Instruction, sides: Sides) -> Instruction:
    def name(expr: sp.Expr) -> sp.Expr:
        return sides.bare(expr)

    if isinstance(instruction, Assign):
        return Assign(name(instruction.symbol), name(instruction.value), None, instruction.span)
    carries = tuple(Carry(*(name(x) for x in (c.symbol, c.initial, c.following, c.result))) for c in instruction.carries)
    return For(instruction.index, instruction.count, carries, tuple(_bare(i, sides) for i in instruction.body), instruction.span)


def _definitions(recursion: Recursion, angles: Angles | None, body: list[Instruction]) -> list[Definition]:
    """In the order of the derivation: what is called, on second moments or by angle."""
    called = {c.func.__name__ for i in body for value in _values(i) for c in value.atoms(AppliedUndef)}
    called |= {
        c.func.__name__ for o in recursion.outputs for v in (o.nngp, o.ntk) if v is not None for c in v.atoms(AppliedUndef)
    }
    found: list[Definition] = []
    for dual in recursion.duals:
        if dual.name in called:
            found.append(_definition(dual))
        curve = angles.curves.get(dual.name) if angles else None
        describes = _describe(dual)
        if curve is not None and f"{dual.name}_gap" in called:
            found.append(Definition(f"{dual.name}_gap", (D, E), curve.gap, f"(1 - correlation)/2 after {describes}"))
        if curve is not None and f"{dual.name}_angle" in called:
            scale = {0: "", 1: ", over sqrt(a b)"}.get(int(curve.degree), f", over (a b)^({curve.degree}/2)")
            found.append(Definition(f"{dual.name}_angle", (D, E), curve.value, describes + scale))
    return found


def _values(instruction: Instruction) -> list[sp.Expr]:
    if isinstance(instruction, Assign):
        return [instruction.value]
    inner = [value for i in instruction.body for value in _values(i)]
    return [*inner, *(x for c in instruction.carries for x in (c.initial, c.following))]


def _definition(dual: Dual) -> Definition:
    law = dual.law
    value = with_intrinsics(law.value, C, A, B) if isinstance(law, Expectation) else law
    return Definition(dual.name, (C, A, B), value, _describe(dual))


def _describe(dual: Dual) -> str:
    law = dual.law
    text = f"E f(u) g(v) with f(z) = {law.f}" + (f", g(z) = {law.g}" if law.f != law.g else ", g = f")
    return text.replace(str(Z), "z")
