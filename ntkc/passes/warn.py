"""Recursion -> warnings: expectations that are no closed forms, with the error that they may have, and closed forms that lose
digits at small variances."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import sympy as sp

from ntkc.diagnostics import Diagnostic
from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.price import Expectation
from ntkc.gaussian.series import Series
from ntkc.gaussian.small import cancels, small
from ntkc.ir.recursion import Recursion, equations

NOTICEABLE = 1e-6
Kernels = TypeVar("Kernels")


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


def reached(recursion: Recursion, kernels: Kernels) -> Kernels:
    """The same, or an error where a series was too short for its arguments, which makes them NaN; traced ones stay so."""
    series = [f"`{dual.name}`" for dual in recursion.duals if isinstance(dual.law, Series)]
    values = [v for v in jax.tree.leaves(kernels) if not isinstance(v, jax.core.Tracer)] if series else []
    lost = sum(int(jnp.sum(jnp.isnan(v))) for v in values)
    if lost:
        count = sum(v.size for v in values)
        message = (
            f"{lost} of {count} numbers are not known: the Hermite series of {', '.join(series)} are too short for the variances"
        )
        raise ValueError(f"{message} and near duplicates of these inputs; scale down the inputs or the weights")
    return kernels
