"""Expectations that an equation reads many times, named: sums over products of gates repeat the same few. Integrals of one kind
are taken together, which makes the code shorter and so the time in which it compiles."""

from itertools import groupby

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.erfs import erf_moment
from ntkc.ir.program import Assign, Instruction

together, part = sp.Function("_erf_moments"), sp.Function("_part")


def called_once(value: sp.Expr, known: dict[sp.Expr, sp.Symbol], before: list[Instruction], end: str) -> sp.Expr:
    """The value with symbols for its expectations; `before` gets the assignments of those that are new."""
    integrals = sorted(value.atoms(erf_moment), key=lambda call: (_kind(call), str(call)))
    pairs = sorted((c for c in value.atoms(AppliedUndef) if c.func.__name__.startswith("dual_")), key=str)
    new = [call for call in (*integrals, *pairs) if call not in known]
    for call in new:
        known[call] = sp.Symbol(f"expected{len(known)}{end}", real=True)
    for _, same in groupby((c for c in new if isinstance(c, erf_moment)), key=_kind):
        calls = list(same)
        table = sp.Symbol(f"{known[calls[0]].name.removesuffix(end)}s{end}")
        before.append(Assign(table, together(calls[0].args[0], *(sp.Tuple(*call.args[1:]) for call in calls))))
        before += [Assign(known[call], part(table, sp.Integer(i))) for i, call in enumerate(calls)]
    before += [Assign(known[call], call) for call in new if not isinstance(call, erf_moment)]
    return value.xreplace({call: known[call] for call in (*integrals, *pairs)})


def _kind(call: sp.Expr) -> tuple[int, int]:
    return int(call.args[0]), len(call.args)
