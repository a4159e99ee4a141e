"""Jointly Gaussian draws, one block after the other: each block is conditioned on the ones before it."""

import numpy as np

from ntkc.sampling.value import Array

NEGLIGIBLE = 1e-12
"""Of a unit variance: what is less is a rounding error of a combination that does not vary."""


def root(covariance: Array) -> tuple[Array, Array]:
    """(F, its pseudoinverse) with F F^T = covariance, which may be singular; F has a column for each direction that varies."""
    deviation = np.sqrt(np.maximum(np.diagonal(covariance), 0))
    inverse = 1 / np.where(deviation > 0, deviation, np.inf)
    values, vectors = np.linalg.eigh(covariance * inverse[:, None] * inverse)
    kept = values > NEGLIGIBLE
    roots, directions = np.sqrt(values[kept]), vectors[:, kept]
    return deviation[:, None] * directions * roots, (directions / roots).T * inverse


class Joint:
    """Draws of one Gaussian family, whose members come in blocks: the Cholesky factor grows by rows, and so does its inverse."""

    def __init__(self, slices: int, rng: np.random.Generator) -> None:
        self.slices, self.rng = slices, rng
        self.noise: Array = np.zeros((slices, 0))
        self.inverse: Array = np.zeros((0, 0))

    def extend(self, cross: Array, own: Array) -> Array:
        """(slices, m) draws of a new block from its covariances (m, all before) and (m, m)."""
        past = cross @ self.inverse.T
        factor, inverse = root(_rest(own, past))
        fresh = self.rng.standard_normal((self.slices, factor.shape[1]))
        drawn = self.noise @ past.T + fresh @ factor.T
        corner = np.zeros((self.inverse.shape[0], len(own)))
        self.inverse = np.block([[self.inverse, corner], [-inverse @ past @ self.inverse, inverse]])
        self.noise = np.concatenate([self.noise, fresh], 1)
        return np.asarray(drawn)


def _rest(own: Array, past: Array) -> Array:
    """What the blocks before do not determine; exactly 0 where only rounding is left."""
    left = own - past @ past.T
    variance = np.diagonal(own)
    dead = np.diagonal(left) <= 1e3 * NEGLIGIBLE * variance
    return np.where(dead[:, None] | dead, 0.0, left)
