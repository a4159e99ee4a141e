"""The functions that users call."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Kernel(NamedTuple):
    """Kernels of shape (n1, n2); None where not asked for, a dict by name where there are several outputs."""

    nngp: jax.Array | None
    ntk: jax.Array | None


def _unwrap(kernels):
    """One output bare, several by name."""
    return kernels[""] if set(kernels) == {""} else kernels


def _kinds(get, precision):
    """What was asked for, checked."""
    get = (get,) if isinstance(get, str) else tuple(get)
    unknown = [kind for kind in get if kind not in ("nngp", "ntk")]
    if unknown or not get or precision not in ("accurate", "fast"):
        raise ValueError(f"get is 'nngp', 'ntk' or both, precision 'accurate' or 'fast'; got {get}, {precision!r}")
    if "ntk" in get and NO_NTK:
        raise ValueError(f"this network has an NNGP but no NTK: {NO_NTK}; ask for get='nngp'")
    return get


def kernel(x1, x2=None, *, get=("nngp", "ntk"), precision="accurate", **params):
    """NNGP and NTK between the rows of x1 (n1, d) and x2 (n2, d), or of x1 with itself.

    precision="accurate" keeps inner products in float64 where float32 would lose digits, and the recursion, too, unless it
    runs on angles, which do not lose them; "fast" computes all of it in the type of the inputs, at least float32.
    Hyperparameters are keyword arguments; changing one does not recompile, and jax.grad reaches it (forward mode only with
    `jax_enable_x64`). Where one is traced and outside its domain the result is NaN, and so it is for samples whose traced mask
    the network cannot take; outside of jax.jit and jax.grad both are errors.
    """
    get, (given, params), wide = _kinds(get, precision), _split(params), jax.config.jax_enable_x64
    with jax.enable_x64(True):
        a = _sized(_inputs("x1", x1, given, None if x2 is None else 0, precision), wide)
        b = a if x2 is None else _sized(_inputs("x2", x2, given, 1, precision), wide)
        for u, v in zip(a[: len(INPUTS)], b, strict=False):
            if u.dtype != v.dtype or (u.shape[-1] != v.shape[-1] and not _are_tokens(u)):
                raise ValueError(f"x1 and x2 differ in kind: {u.shape[-1]} features of {u.dtype}, {v.shape[-1]} of {v.dtype}")
        _check_memory(a[0], b[0], get, _type_of(a))
        out = _evaluated(_compiled, wide, (a, b, _hyperparameters(params)), (get, x2 is None, precision))
        out = _else_nan(out, _valid(a, params), _valid(b, params))
    return Kernel(*(_unwrap(out[kind]) if kind in get else None for kind in ("nngp", "ntk")))


def _evaluated(evaluate, wide, arrays, static):
    """Differentiable in reverse mode alone where the caller has not enabled 64-bit types, which the derivative has."""
    return evaluate(*arrays, *static) if wide else _differentiable(evaluate, arrays, static)


def _sized(xs, wide):
    """Tokens in the width of the kernels wanted, 32 bits unless the caller has enabled 64."""
    return tuple(x.astype(jnp.int64 if wide else jnp.int32) if _are_tokens(x) else x for x in xs)


def nngp(x1, x2=None, **options):
    """The NNGP kernel alone."""
    return kernel(x1, x2, get="nngp", **options).nngp


def ntk(x1, x2=None, **options):
    """The neural tangent kernel alone."""
    return kernel(x1, x2, get="ntk", **options).ntk


def diagonal(x, *, get=("nngp", "ntk"), precision="accurate", **params):
    """The kernels of each row with itself, of shape (n,); the options are those of `kernel`."""
    get, (given, params), wide = _kinds(get, precision), _split(params), jax.config.jax_enable_x64
    with jax.enable_x64(True):
        xs = _sized(_inputs("x", x, given, precision=precision), wide)
        out = _evaluated(_compiled_own, wide, (xs, _hyperparameters(params)), (get, precision))
        out = _else_nan(out, _valid(xs, params))
    return Kernel(*(_unwrap(out[kind]) if kind in get else None for kind in ("nngp", "ntk")))
