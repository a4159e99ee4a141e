"""What nobody reads is not computed."""

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.ir.program import Assign, For, Instruction
from ntkc.ir.recursion import at_second


def reads(instruction: Instruction) -> set[sp.Basic]:
    """Free symbols on the right-hand sides."""
    if isinstance(instruction, Assign):
        diagonal = instruction.on_diagonal.free_symbols if instruction.on_diagonal is not None else set()
        return set(instruction.value.free_symbols) | diagonal
    carried = {s for c in instruction.carries for s in (c.initial.free_symbols | c.following.free_symbols)}
    found = carried.union(*(reads(inner) for inner in instruction.body))
    return found | ({m for m in instruction.cells.moments if at_second(m) in found} if instruction.cells else set())


def calls(instruction: Instruction) -> set[sp.Basic]:
    """Applied functions on the right-hand sides."""
    if isinstance(instruction, Assign):
        return set(instruction.value.atoms(AppliedUndef))
    carried = {c for carry in instruction.carries for v in (carry.initial, carry.following) for c in v.atoms(AppliedUndef)}
    return carried.union(*(calls(inner) for inner in instruction.body))


def ordered(instructions: list[Instruction]) -> list[Instruction]:
    """Each after what it reads; otherwise as they stand."""
    writer = {symbol: i for i, instruction in enumerate(instructions) for symbol in writes((instruction,))}
    found: list[Instruction] = []
    done: set[int] = set()

    def visit(i: int) -> None:
        if i in done:
            return
        done.add(i)
        for j in sorted({writer[s] for s in reads(instructions[i]) if s in writer}):
            visit(j)
        found.append(instructions[i])

    for i in range(len(instructions)):
        visit(i)
    return found


def writes(instructions: tuple[Instruction, ...]) -> Iterator[sp.Symbol]:
    """Symbols given a value at this level, not inside loops."""
    for instruction in instructions:
        if isinstance(instruction, Assign):
            yield instruction.symbol
        else:
            yield from (carry.result for carry in instruction.carries)


def prune(instructions: list[Instruction] | tuple[Instruction, ...], needed: set[sp.Basic]) -> tuple[Instruction, ...]:
    """The instructions that the needed symbols depend on."""
    kept: list[Instruction] = []
    needed = set(needed)
    for instruction in reversed(instructions):
        if isinstance(instruction, Assign):
            if instruction.symbol not in needed:
                continue
            kept.append(instruction)
            needed |= reads(instruction)
        elif (loop := _loop(instruction, needed)) is not None:
            kept.append(loop)
            needed |= reads(loop)
    return tuple(reversed(kept))


def _loop(loop: For, needed: set[sp.Basic]) -> For | None:
    """Carries that their results or other carries need."""
    carries = tuple(c for c in loop.carries if c.result in needed)
    while True:
        wanted = {s for c in carries for s in c.following.free_symbols}
        body = prune(loop.body, wanted | needed)
        read = wanted.union(*(reads(inner) for inner in body))
        more = tuple(c for c in loop.carries if c in carries or loop.reads_of(c) & (read | needed))
        if more == carries:
            return replace(loop, carries=carries, body=body) if carries or body else None
        carries = more
