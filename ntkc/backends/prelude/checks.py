"""What users hand in, checked."""

import jax
import jax.numpy as jnp


def _finite(v):
    with jax.ensure_compile_time_eval():  # concrete data stays concrete under an outer jit
        return bool(jnp.isfinite(v).all())


def _check(name, x, sizes):
    """The inputs as a tuple of float arrays, or an error that says what was expected."""
    xs = (
        (x,)
        if len(sizes) == 1 and not isinstance(x, (tuple, list, dict))
        else tuple(x.values())
        if isinstance(x, dict)
        else tuple(x)
    )
    if len(xs) != len(sizes):
        raise ValueError(f"{name}: expected {len(sizes)} input arrays, got {len(xs)}")
    xs = tuple(jnp.asarray(v) for v in xs)
    for v, (label, size) in zip(xs, sizes, strict=True):
        if v.ndim != 1 + len(size) or any(k is not None and k != m for k, m in zip(size, v.shape[1:], strict=True)):
            expected = ", ".join("n" if i == 0 else str(k or "d") for i, k in enumerate((0, *size)))
            raise ValueError(f"{name}, input {label}: expected an array of shape ({expected}), got {v.shape}")
        if not jnp.issubdtype(v.dtype, jnp.floating):
            raise TypeError(f"{name}, input {label}: expected floating point numbers, got {v.dtype}; use x.astype('float32')")
        if v.shape[0] == 0:
            raise ValueError(f"{name}, input {label}: is empty")
        if not isinstance(v, jax.core.Tracer) and not _finite(v):
            raise ValueError(f"{name}, input {label}: contains NaN or infinite entries")
    if len({v.shape[0] for v in xs}) != 1:
        raise ValueError(f"{name}: the inputs have different numbers of rows: {[v.shape[0] for v in xs]}")
    return xs


def _inside_domains(given):
    """Every given hyperparameter has a known name and a value in its domain."""
    for name, value in given.items():
        if name not in PARAMS:
            raise TypeError(f"no hyperparameter is named {name!r}; there are: {', '.join(PARAMS) or 'none'}")
        low, high, open_low, open_high = DOMAINS[name]
        if not isinstance(value, jax.core.Tracer):
            value = float(value)
            below = value <= low if open_low else value < low
            above = value >= high if open_high else value > high
            if below or above or value != value:
                raise ValueError(
                    f"{name} = {value} is outside its domain {'(' if open_low else '['}{low}, {high}{')' if open_high else ']'}"
                )


def _hyperparameters(given):
    """PARAMS updated by the given ones, each inside its domain."""
    _inside_domains(given)
    return {name: jnp.asarray(given.get(name, value), jnp.float64) for name, value in PARAMS.items()}


def _finite_parameters(given):
    """The same in the type that they are given in."""
    _inside_domains(given)
    return {**PARAMS, **given}
