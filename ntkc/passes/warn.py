"""Recursion -> warnings: expectations that are no closed forms, with the error that they may have."""

import sympy as sp

from ntkc.diagnostics import Diagnostic
from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.series import Series
from ntkc.ir.recursion import Recursion, equations

NOTICEABLE = 1e-6


def warn(recursion: Recursion) -> tuple[Diagnostic, ...]:
    found = []
    for dual in recursion.duals:
        if isinstance(dual.law, Series) and max(dual.law.bounds) > NOTICEABLE:
            equation = next((e for e in equations(recursion.steps) if e.value.has(sp.Function(dual.name))), None)
            if equation is not None:
                span = f"variances {VARIANCES[0]} to {VARIANCES[-1]}"
                label = f"its Hermite series has an error of at most {max(dual.law.bounds):.1e} for {span}"
                message = f"`{dual.name}`, which this value needs, has no closed form"
                help = "polynomials, exponentials, erf, and kinks at 0 times polynomials have one"
                help += "; a series is good where the only kinks are at 0"
                found.append(Diagnostic("loose-series", message, equation.span, label, help, severity="warning"))
    return tuple(found)
