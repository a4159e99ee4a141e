"""Recursion -> warnings: expectations that are no closed forms, with the error that they may have, and closed forms that lose
digits at small variances."""

import sympy as sp

from ntkc.diagnostics import Diagnostic
from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series
from ntkc.gaussian.small import cancels, small
from ntkc.ir.recursion import Recursion, equations

NOTICEABLE = 1e-6


def warn(recursion: Recursion) -> tuple[Diagnostic, ...]:
    found = []
    for dual in recursion.duals:
        equation = next((e for e in equations(recursion.steps) if e.value.has(sp.Function(dual.name))), None)
        if equation is None:
            continue
        if isinstance(dual.law, Series) and max(dual.law.bounds) > NOTICEABLE:
            span = f"variances {VARIANCES[0]} to {VARIANCES[-1]}"
            label = f"its Hermite series has an error of at most {max(dual.law.bounds):.1e} for {span}"
            message = f"`{dual.name}`, which this value needs, has no closed form"
            help = "polynomials, exponentials, erf, and kinks at 0 times polynomials have one"
            help += "; a series is good where the only kinks are at 0"
            found.append(Diagnostic("loose-series", message, equation.span, label, help, severity="warning"))
        if isinstance(dual.law, Expectation) and cancels(dual.law.value) and small(dual.law) is None:
            label = "its terms are larger than their sum where variances are small"
            message = f"`{dual.name}`, which this value needs, loses digits at small inputs"
            help = "keep inputs near size 1 and in float64; with numbers for its hyperparameters it may have a series there"
            found.append(Diagnostic("cancellation", message, equation.span, label, help, severity="warning"))
    return tuple(found)
