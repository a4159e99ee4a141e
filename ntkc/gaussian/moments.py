"""E f(u) for u ~ N(0, a), term by term, and Isserlis' moments of a Gaussian pair."""

from collections.abc import Iterator
from functools import cache

import sympy as sp

from ntkc.gaussian.terms import NotClosed, Term, Terms, check_growth, decompose

A = sp.Symbol("a", positive=True)
B = sp.Symbol("b", positive=True)
C = sp.Symbol("c", real=True)


@cache
def mean(function: sp.Expr, z: sp.Symbol) -> sp.Expr:
    """E f(u), u ~ N(0, a), in the symbol `A`; NotClosed where no rule applies."""
    found = mean_of_terms(decompose(function, z))  # real, as f is; the rates of sines are not
    return sp.simplify(found.as_real_imag()[0] if found.has(sp.I) else found)


def mean_of_terms(terms: Terms, variance: sp.Expr = A) -> sp.Expr:
    """The sum of the terms' expectations under N(0, variance)."""
    return sp.Add(*(_mean(term, variance) for term in terms))


def isserlis(n: int, m: int, uu: sp.Expr, vv: sp.Expr, uv: sp.Expr) -> sp.Expr:
    """E u^n v^m of a centred Gaussian pair with the given second moments (Isserlis 1918): pair off k u's with v's, the
    rest among themselves."""
    return sp.Add(*(count * uu ** ((n - k) // 2) * vv ** ((m - k) // 2) * uv**k for k, count in pairings(n, m)))


def pairings(n: int, m: int) -> Iterator[tuple[int, sp.Integer]]:
    """(k, number of perfect pairings of n u's and m v's with exactly k mixed pairs)."""
    for k in range(n % 2, min(n, m) + 1, 2):
        if (m - k) % 2 == 0:
            mixed = sp.binomial(n, k) * sp.binomial(m, k) * sp.factorial(k)
            yield k, mixed * sp.factorial2(n - k - 1) * sp.factorial2(m - k - 1)


def _mean(term: Term, a: sp.Expr) -> sp.Expr:
    k = term.coefficient
    if term.delta is not None:  # (-1)^i d^i/du^i of the density at 0, a moment of the precision
        i = term.delta
        return k * isserlis(i, 0, -1 / a, sp.S.Zero, sp.S.Zero) * (-1) ** i / sp.sqrt(2 * sp.pi * a)
    check_growth(term.quadratic)
    tilt = 1 - 2 * term.quadratic * a
    return k / sp.sqrt(tilt) * _centred(term, a / tilt)


def _centred(term: Term, a: sp.Expr) -> sp.Expr:
    """Without the coefficient and the quadratic exponent, which the caller moved into the variance."""
    n = term.power
    if term.elementary:
        shift = term.linear * a
        moments = (sp.binomial(n, j) * shift ** (n - j) * isserlis(j, 0, a, sp.S.Zero, sp.S.Zero) for j in range(n + 1))
        return sp.exp(term.linear**2 * a / 2) * sp.Add(*moments)
    if term.linear:
        raise NotClosed("an exponential times a step or an erf")
    if not term.scale:  # E z^n H(z), half of an absolute moment
        return (2 * a) ** sp.Rational(n, 2) * sp.gamma(sp.Rational(n + 1, 2)) / (2 * sp.sqrt(sp.pi))
    if not term.step and n % 2 == 0:
        return sp.S.Zero
    return _centred_erf(n, term.scale, term.step, a)


def _centred_erf(n: int, scale: sp.Expr, step: bool, a: sp.Expr) -> sp.Expr:
    """E z^n erf(scale z) [H(z)], down to n = 0 by Stein's lemma E z h(z) = a E h'(z)."""
    if n == 0:
        return sp.atan(scale * sp.sqrt(2 * a)) / sp.pi if step else sp.S.Zero
    gauss = Term(coefficient=2 * scale / sp.sqrt(sp.pi), power=n - 1, step=step, quadratic=-(scale**2))
    lower = (n - 1) * _centred_erf(n - 2, scale, step, a) if n > 1 else sp.S.Zero
    return a * (lower + _mean(gauss, a))
