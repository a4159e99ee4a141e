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
    runs on angles, which do not lose them; "fast" computes all of it in the type of the inputs. Hyperparameters are keyword
    arguments; changing one does not recompile, and jax.grad reaches it (forward mode only with `jax_enable_x64`).
    """
    get = _kinds(get, precision)
    evaluate = _compiled if jax.config.jax_enable_x64 else _differentiable
    with jax.enable_x64(True):
        a = _check("x1", x1, INPUTS)
        b = a if x2 is None else _check("x2", x2, INPUTS)
        for u, v in zip(a, b, strict=True):
            if u.shape[-1] != v.shape[-1] or u.dtype != v.dtype:
                raise ValueError(f"x1 and x2 differ in kind: {u.shape[-1]} features of {u.dtype}, {v.shape[-1]} of {v.dtype}")
        out = evaluate(a, b, _hyperparameters(params), get, x2 is None, precision)
    return Kernel(*(_unwrap(out[kind]) if kind in get else None for kind in ("nngp", "ntk")))


def nngp(x1, x2=None, **options):
    """The NNGP kernel alone."""
    return kernel(x1, x2, get="nngp", **options).nngp


def ntk(x1, x2=None, **options):
    """The neural tangent kernel alone."""
    return kernel(x1, x2, get="ntk", **options).ntk


def diagonal(x, *, get=("nngp", "ntk"), precision="accurate", **params):
    """The kernels of each row with itself, of shape (n,)."""
    get = _kinds(get, precision)
    with jax.enable_x64(True):
        xs = _check("x", x, INPUTS)
        dtype = jnp.float64 if precision == "accurate" and not BY_ANGLE else xs[0].dtype
        own = jax.jit(EVALUATE()[1], static_argnames=("get", "dtype"))
        out = jax.tree.map(lambda v: v.astype(xs[0].dtype), own(xs, _hyperparameters(params), get, dtype))
    return Kernel(*(_unwrap(out[kind]) if kind in get else None for kind in ("nngp", "ntk")))
