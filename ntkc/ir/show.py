"""Recursion -> text or LaTeX for people."""

from collections.abc import Iterator

import sympy as sp

from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import VARIANCES
from ntkc.ir.recursion import Dual, Equation, Recursion, Step


def text(recursion: Recursion) -> str:
    """The recursion, one equation a line, with the rule it comes from."""
    lines = [f"{recursion.name}: (u, v) ~ N(0, [[a, c], [c, b]]); _1 is at x, _2 at x', the rest between x and x'", ""]
    lines += [_dual(dual) for dual in recursion.duals]
    lines += ["", *_steps(recursion.steps, "")]
    for output in recursion.outputs:
        label = f" of {output.name}" if output.name else ""
        lines.append(f"NNGP{label} = {output.nngp}")
        lines.append(f"NTK{label} = {output.ntk}" if output.ntk is not None else f"no NTK{label}: {output.refusal}")
    return "\n".join(lines)


def latex(recursion: Recursion) -> str:
    """The same as an `align*` environment."""
    rows = [rf"{sp.latex(e.symbol)} &= {sp.latex(e.value)}" for e in _flat(recursion.steps)]
    definitions = [
        rf"\operatorname{{{d.name.replace('_', chr(92) + '_')}}}(c, a, b) &= {sp.latex(d.law.value)}"
        for d in recursion.duals
        if isinstance(d.law, Expectation)
    ]
    return "\\begin{align*}\n" + " \\\\\n".join([*definitions, *rows]) + "\n\\end{align*}"


def _dual(dual: Dual) -> str:
    law = dual.law
    of = f"f(z) = {law.f}" + ("" if law.f == law.g else f", g(z) = {law.g}")
    head = f"{dual.name}(c, a, b) = E f(u) {'f' if law.f == law.g else 'g'}(v), {of}"
    if isinstance(law, Expectation):
        return f"{head}\n    = {law.value}"
    span = f"variances {VARIANCES[0]} to {VARIANCES[-1]}"
    return f"{head}\n    = Hermite series of {law.terms} terms, error <= {max(law.bounds):.1e} for {span}"


def _steps(steps: tuple[Step, ...], indent: str) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Equation):
            yield f"{indent}{step.symbol} = {step.value}    [{step.rule}]"
            continue
        yield f"{indent}repeat {step.count}:"
        for state in step.states:
            yield f"{indent}    {state.symbol}: {state.initial} -> {state.following}, at the end {state.result}"
        yield from _steps(step.body, indent + "    ")


def _flat(steps: tuple[Step, ...]) -> Iterator[Equation]:
    for step in steps:
        if isinstance(step, Equation):
            yield step
        else:
            yield from _flat(step.body)
