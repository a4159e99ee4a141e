"""Recursion -> text or LaTeX for people."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import sympy as sp

from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.erfs import erf_moment
from ntkc.gaussian.price import Expectation
from ntkc.ir.normalization import FOUR, QUADRATURE, Normalization
from ntkc.ir.recursion import Dual, Equation, Recursion, Step, equations

NOTHING: Mapping[sp.Symbol, str] = MappingProxyType({})


def text(recursion: Recursion, demand: Mapping[sp.Symbol, str] = NOTHING) -> str:
    """The recursion, one equation a line, with the rule it comes from, and what of its table is needed where `demand` says."""
    lines = [f"{recursion.name}: (u, v) ~ N(0, [[a, c], [c, b]]); _1 is at x, _2 at x', the rest between x and x'", ""]
    lines += [_dual(dual) for dual in recursion.duals]
    lines += [_normalization(m.name, m.geometry) for m in recursion.maps if isinstance(m.geometry, Normalization)]
    lines += _integrals(recursion)
    lines += ["", *_steps(recursion.steps, "", demand)]
    for output in recursion.outputs:
        label = f" of {output.name}" if output.name else ""
        lines.append(f"NNGP{label} = {output.nngp}")
        lines.append(f"NTK{label} = {output.ntk}" if output.ntk is not None else f"no NTK{label}: {output.refusal}")
    return "\n".join(lines)


def latex(recursion: Recursion) -> str:
    """The same as an `align*` environment."""
    rows = [rf"{sp.latex(e.symbol)} &= {sp.latex(e.value)}" for e in equations(recursion.steps)]
    definitions = [
        rf"\operatorname{{{d.name.replace('_', chr(92) + '_')}}}(c, a, b) &= {sp.latex(d.law.value)}"
        for d in recursion.duals
        if isinstance(d.law, Expectation)
    ]
    return "\\begin{align*}\n" + " \\\\\n".join([*definitions, *rows]) + "\n\\end{align*}"


def _integrals(recursion: Recursion) -> list[str]:
    """What `erf_moment` means, where it is used."""
    if not any(equation.value.has(erf_moment) for equation in equations(recursion.steps)):
        return []
    head = "erf_moment(k, s11, s12, ..., snn) = E exp(-v_1^2) ... exp(-v_k^2) erf(v_k+1) ... erf(v_n), v ~ N(0, S)"
    return [head, "    = closed for two erfs; for four and six, integrals by 32 nodes, error <= 1e-11 for variances up to 64"]


def _dual(dual: Dual) -> str:
    law = dual.law
    of = f"f(z) = {law.f}" + ("" if law.f == law.g else f", g(z) = {law.g}")
    head = f"{dual.name}(c, a, b) = E f(u) {'f' if law.f == law.g else 'g'}(v), {of}"
    if isinstance(law, Expectation):
        return f"{head}\n    = {law.value}"
    span = f"variances {VARIANCES[0]} to {VARIANCES[-1]}"
    return f"{head}\n    = {law.method}, error <= {max(law.bounds):.1e} for {span}"


def _normalization(name: str, law: Normalization) -> str:
    of = f"f(z) = {law.f}" + ("" if law.f == law.g else f", g(z) = {law.g}")
    head = f"{name} = E f(y) {'f' if law.f == law.g else 'g'}(y') of values y normalized over the batch, {of}"
    eps = str(law.eps[0]) if law.eps[0] == law.eps[1] else f"{law.eps[0]} and {law.eps[1]}"
    rule = f"integrals by quadrature, relative error <= {QUADRATURE:.0e} (NTK of four values: {FOUR:.0e})"
    return f"{head}\n    y = sqrt(B) v / sqrt(|v|^2 + B eps), v less its mean over the batch of B, eps = {eps}; {rule}"


def _steps(steps: tuple[Step, ...], indent: str, demand: Mapping[sp.Symbol, str]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Equation):
            needed = f"; {demand[step.symbol]}" if step.symbol in demand else ""
            yield f"{indent}{step.symbol} = {step.value}    [{step.rule}{needed}]"
            continue
        yield f"{indent}repeat {step.count}:"
        for state in step.states:
            needed = f"    [{demand[state.symbol]}]" if state.symbol in demand else ""
            yield f"{indent}    {state.symbol}: {state.initial} -> {state.following}, at the end {state.result}{needed}"
        yield from _steps(step.body, indent + "    ", demand)
