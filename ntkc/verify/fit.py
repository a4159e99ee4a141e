"""Means of finite networks at several widths -> the limit: fitted, tested, with false-alarm rate and power."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

ALPHA = 1e-4
"""How often a right kernel is called wrong: for all entries and kinds of one program together."""
POWER = 0.9


@dataclass(frozen=True, slots=True)
class Means:
    """Of the draws at one width: mean and variance of that mean, entry by entry, relative to the kernel's largest entry. The
    kernel, too, depends on the width under the standard parameterization."""

    width: int
    draws: int
    kernel: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True, slots=True)
class Fit:
    """mean(width) - kernel = offset + slope/width, by weighted least squares; a right kernel has offset 0 up to `remainder`, what
    the next order of the expansion may leave."""

    offset: np.ndarray
    error: np.ndarray
    slope: np.ndarray
    remainder: np.ndarray
    freedom: np.ndarray
    p_value: float
    """Of the largest deviation, times the number of claims tested (Bonferroni)."""
    detects: float
    """The relative change of the whole kernel that is found with probability `POWER`."""


def fit(means: list[Means], tests: int) -> Fit:
    """`tests` is the number of entries of all kinds."""
    inverse = np.array([1 / m.width for m in means])
    values = np.stack([m.mean - m.kernel for m in means])
    variances = np.stack([m.variance for m in means])
    limit, slopes = _coefficients(inverse, variances)
    offset, slope = np.sum(limit * values, 0), np.sum(slopes * values, 0)
    parts = limit**2 * variances
    error = np.sqrt(np.sum(parts, 0))
    freedom = error**4 / np.sum(parts**2 / np.array([m.draws - 1 for m in means])[:, None], 0)  # Welch and Satterthwaite
    remainder = slope**2 * np.abs(np.sum(limit * inverse[:, None] ** 2, 0))
    excess = np.maximum(np.abs(offset) - remainder, 0)
    p_value = float(min(1.0, tests * np.min(2 * t.sf(excess / error, freedom))))
    needed = (t.isf(ALPHA / tests / 2, freedom) + norm.isf(1 - POWER)) * error + remainder
    with np.errstate(divide="ignore"):
        detects = float(np.min(needed / np.abs(means[-1].kernel)))
    return Fit(offset, error, slope, remainder, freedom, p_value, detects)


def _coefficients(inverse: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the means are multiplied with in the least-squares limit and slope; (widths, entries) each."""
    weight = 1 / variances
    x = inverse[:, None]
    s0, s1, s2 = (np.sum(weight * x**k, 0) for k in range(3))
    determinant = s0 * s2 - s1**2
    return weight * (s2 - s1 * x) / determinant, weight * (s0 * x - s1) / determinant
