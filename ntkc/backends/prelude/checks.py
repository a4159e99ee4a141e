"""What users hand in, checked."""

import os

import jax
import jax.numpy as jnp


def _largest(v, of=jnp.abs):
    """NaN where an entry is."""
    with jax.ensure_compile_time_eval():  # concrete data stays concrete under an outer jit
        return float(jnp.max(of(v)))


def _check_size(name, v, precision):
    """No NaN, and no numbers so large that a product of two variances overflows, some of which would be finite and wrong.
    Networks that run on angles form no such product; elsewhere the scale of values may grow a thousandfold over the layers.
    No sample that is so small that its variance underflows."""
    with jax.ensure_compile_time_eval():
        rows = jnp.max(jnp.abs(v), tuple(range(1, v.ndim)))
        largest, smallest = float(jnp.max(rows)), float(jnp.min(jnp.where(rows == 0, jnp.inf, rows)))
    if not largest < float("inf"):
        raise ValueError(f"{name}: contains NaN or infinite entries")
    if precision is None:
        return
    dtype = _working_type(v.dtype, precision)
    kept = jnp.promote_types(v.dtype, jnp.float32)
    if smallest < (least := float(jnp.finfo(kept).tiny) ** 0.5 * 1000):
        cure = "scale it up" + ("" if kept == jnp.float64 else ", or give all in float64")
        raise ValueError(f"{name}: a sample of size {smallest:.1e} underflows in {kept} (limit {least:.0e}); {cure}")
    limit = float(jnp.finfo(dtype).max) ** (0.5 if BY_ANGLE else 0.25) / (2 if BY_ANGLE else 1000)
    if (
        largest > limit
        and _largest(v.astype(jnp.float64), lambda w: jnp.sqrt(jnp.mean((w / largest) ** 2, -1))) * largest > limit
    ):
        cure = "scale them down" + ("" if dtype == jnp.float64 else f", or give them in float64{_or_accurate(precision)}")
        raise ValueError(f"{name}: entries of size {largest:.1e} overflow in {jnp.dtype(dtype)} (limit {limit:.0e}); {cure}")


def _or_accurate(precision):
    return " or ask for precision='accurate'" if precision == "fast" and not BY_ANGLE else ""


def _check(name, x, sizes, precision=None):
    """The inputs as a tuple of float arrays, or an error that says what was expected."""
    labels = [label for label, _ in sizes]
    if isinstance(x, dict) and set(x) != set(labels):
        raise ValueError(f"{name}: expected the inputs {', '.join(labels)}, got {', '.join(map(str, x))}")
    if isinstance(x, dict):
        x = [x[label] for label in labels]
    xs = (x,) if len(sizes) == 1 and not isinstance(x, (tuple, list)) else tuple(x)
    if len(xs) != len(sizes):
        raise ValueError(f"{name}: expected {len(sizes)} input arrays, got {len(xs)}")
    xs = tuple(_plain(v, name) for v in xs)
    for v, (label, size) in zip(xs, sizes, strict=True):
        if v.ndim != 1 + len(size) or any(k is not None and k != m for k, m in zip(size, v.shape[1:], strict=True)):
            expected = ", ".join("n" if i == 0 else str(k or "d") for i, k in enumerate((0, *size)))
            raise ValueError(f"{name}, input {label}: expected an array of shape ({expected}), got {v.shape}")
        if label in TOKENS:
            _check_tokens(f"{name}, input {label}", v, TOKENS[label])
        elif not jnp.issubdtype(v.dtype, jnp.floating):
            cure = "stack x.real and x.imag as channels" if jnp.iscomplexobj(v) else "use x.astype('float32')"
            raise TypeError(f"{name}, input {label}: expected floating point numbers, got {v.dtype}; {cure}")
        if v.shape[0] == 0:
            raise ValueError(f"{name}, input {label}: is empty")
        if label not in TOKENS and not isinstance(v, jax.core.Tracer):
            _check_size(f"{name}, input {label}", v, precision)
    if len({v.shape[0] for v in xs}) != 1:
        raise ValueError(f"{name}: the inputs have different numbers of rows: {[v.shape[0] for v in xs]}")
    return xs


def _plain(v, name):
    """An array; sparse ones in full."""
    try:
        return _concrete(v.todense() if hasattr(v, "todense") else v)
    except (TypeError, ValueError):  # ValueError: lists of different lengths
        dtype = getattr(v, "dtype", type(v).__name__)
        cure = "; use x.astype('float64')" if getattr(dtype, "kind", "") == "f" else ""
        raise TypeError(f"{name}: expected an array of numbers, got {dtype}{cure}") from None


def _concrete(v):
    """An array, which is no tracer under an outer jit unless it was one."""
    if isinstance(v, jax.core.Tracer):
        return v
    if not getattr(getattr(v, "dtype", None), "isnative", True):
        v = v.astype(v.dtype.newbyteorder("="))  # files of other machines
    with jax.ensure_compile_time_eval():
        return jnp.asarray(v)


def _check_memory(x1, x2, get, dtype):
    """The kernels fit into the memory of the devices that hold the samples."""
    if isinstance(x1, jax.core.Tracer) or isinstance(x2, jax.core.Tracer):
        return
    size = len(get) * len(x1) * len(x2) * jnp.dtype(dtype).itemsize
    if size > (memory := sum(map(_memory, x1.devices()))):
        what = f"{' and '.join(get)} of {len(x1)} x {len(x2)} samples take {size / 1e9:.4g} GB of memory"
        cure = "ask for blocks of rows and columns: kernel(x[:1000], x[1000:2000])"
        raise ValueError(f"{what}, and there are {memory / 1e9:.4g} GB; {cure}")


def _memory(device):
    """Bytes, as far as they can be known."""
    if (stats := device.memory_stats()) and "bytes_limit" in stats:
        return stats["bytes_limit"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else float("inf")


def _check_tokens(name, v, vocabulary):
    if not jnp.issubdtype(v.dtype, jnp.integer):
        raise TypeError(f"{name}: expected integers, the tokens, got {v.dtype}")
    if isinstance(v, jax.core.Tracer) or v.size == 0:
        return
    with jax.ensure_compile_time_eval():
        low, high = int(v.min()), int(v.max())
    if low < 0 or (vocabulary is not None and high >= vocabulary):
        limit = "" if vocabulary is None else f" and below {vocabulary}"
        raise ValueError(f"{name}: tokens must be at least 0{limit}, got {low if low < 0 else high}")


def _split(params):
    """(what comes with each sample, the hyperparameters) of the keyword arguments of a call."""
    if "mask" in params and not MASKS:
        raise TypeError("this module was written without masks; write one that takes them: ntkc build --mask")
    return tuple({k: v for k, v in params.items() if (k in GIVENS or k == "mask") == given} for given in (True, False))


def _inputs(name, x, given, side=None, precision=None):
    """The inputs and what comes with them, checked; `side` is 0 or 1 where there are x1 and x2."""
    xs = _check(name, x, INPUTS, precision)
    return (*xs, *((_mask if key in MASKS else _adjacency)(key, given, xs[GIVENS[key]], side) for key in GIVENS))


def _mask(key, given, x, side):
    """1 where a position is present, 0 where not; everywhere where nothing is said."""
    v = given.get("mask")
    v = v.get(key.removeprefix("mask_")) if isinstance(v, dict) else v
    if side is not None and v is not None and not isinstance(v, (tuple, list)):
        raise ValueError("mask: with x1 and x2, give mask=(of x1, of x2), either of which may be None")
    v = v[side] if side is not None and v is not None else v
    dtype = jnp.float64 if _are_tokens(x) else x.dtype
    if v is None:
        return jnp.ones(x.shape[:2], dtype)
    v = _concrete(v)
    if v.shape != x.shape[:2] or v.dtype != bool:
        raise ValueError(f"mask: expected a boolean array of shape {x.shape[:2]}, true where present; got {v.dtype}, {v.shape}")
    if isinstance(v, jax.core.Tracer):
        return v.astype(dtype)
    with jax.ensure_compile_time_eval():
        _check_lengths(v, NO_GAPS, FROM_FIRST, LEAST, MULTIPLE)
        return v.astype(dtype)


def _check_lengths(v, *asked):
    """Each sample has the kernels that it has without its padding."""
    for fits, message in _lengths(v, *asked):
        if not bool(fits.all()):
            raise ValueError(f"mask: {message}")


def _lengths(v, no_gaps, from_first, least, multiple):
    """Of each sample whether the network can take its mask, and what is said where not."""
    whole = jnp.sum(jnp.diff(v.astype(int), axis=1) != 0, 1) + v[:, 0] + v[:, -1] <= 2
    missing = v.shape[1] - v.sum(1)
    yield v.any(1), "a sample has no position that is present"
    if no_gaps:
        yield whole, "a recurrent network needs its absent positions before or after all others, not between"
    if from_first:
        yield ~whole | v[:, 0], "this network counts positions from the first, so absent ones must stand after all others"
    yield v.sum(1) >= least, f"this network needs at least {least} positions that are present in each sample"
    cure = f"lengths of {v.shape[1]} less a multiple of {multiple}"
    message = f"strides would meet the positions of a sample elsewhere than without padding; give {cure}"
    yield ~whole | (missing % multiple == 0), message


def _adjacency(key, given, x, side):
    """Of each sample, transposed: y_t = sum over s of A[s, t] h_s."""
    n, positions = x.shape[:2]
    if key not in given:
        raise TypeError(f"this network needs {key}, the adjacency of its graphs: {key}=array of shape ({positions}, {positions})")
    v = given[key]
    if side is not None and isinstance(v, (tuple, list)):
        v = v[side]
    elif side is not None and getattr(v, "ndim", 2) == 3:
        raise ValueError(f"{key}: with x1 and x2, give {key}=(of x1, of x2), or one matrix for all")
    v = _plain(v, key)
    if jnp.iscomplexobj(v):
        raise TypeError(f"{key}: expected real numbers, got {v.dtype}")
    if v.shape not in ((positions, positions), (n, positions, positions)):
        shapes = f"({positions}, {positions}), one for all, or ({n}, {positions}, {positions}), one per sample"
        raise ValueError(f"{key}: expected an array of shape {shapes}; got {v.shape}")
    if not isinstance(v, jax.core.Tracer) and not _largest(v) < float("inf"):
        raise ValueError(f"{key}: contains NaN or infinite entries")
    return jnp.broadcast_to(jnp.swapaxes(v, -1, -2), (n, positions, positions)).astype(x.dtype)


def _inside_domains(given):
    """Every given hyperparameter has a known name and a value in its domain."""
    for name, value in given.items():
        if name not in PARAMS:
            raise TypeError(f"no hyperparameter is named {name!r}; there are: {', '.join(PARAMS) or 'none'}")
        low, high, open_low, open_high = DOMAINS[name]
        if jnp.ndim(value):
            raise TypeError(f"{name}: expected one number, got an array of shape {jnp.shape(value)}; jax.vmap takes many")
        if not isinstance(value, jax.core.Tracer) and not _inside(name, float(value)):
            domain = f"{'(' if open_low else '['}{low}, {high}{')' if open_high else ']'}"
            raise ValueError(f"{name} = {float(value)} is outside its domain {domain}")


def _inside(name, value):
    low, high, open_low, open_high = DOMAINS[name]
    return (value > low if open_low else value >= low) & (value < high if open_high else value <= high)


def _valid(xs, params):
    """What only a run can tell of what is traced, for each sample or for all: whether the network can take its mask, and the
    hyperparameters lie in their domains. None where nothing is traced."""
    found = [_inside(name, value) for name, value in params.items() if isinstance(value, jax.core.Tracer)]
    for key, v in zip(GIVENS, xs[len(INPUTS) :], strict=True):
        if key in MASKS and isinstance(v, jax.core.Tracer):
            found += [fits for fits, _ in _lengths(v > 0, NO_GAPS, FROM_FIRST, LEAST, MULTIPLE)]
    return jnp.all(jnp.stack(jnp.broadcast_arrays(jnp.ones(1, bool), *found)), 0) if found else None


def _else_nan(out, rows, columns=None):
    """NaN for what is not valid; `columns` are the samples of x2."""

    def told(v):
        valid = jnp.ones(1, bool) if rows is None else rows
        valid = valid.reshape(-1, *(1,) * (v.ndim - 1))
        valid = valid if columns is None else valid & columns
        return v * jnp.where(valid, 1, jnp.nan).astype(v.dtype)  # gradients are NaN, too

    return out if rows is None and columns is None else jax.tree.map(told, out)


def _hyperparameters(given):
    """PARAMS updated by the given ones, each inside its domain."""
    _inside_domains(given)
    return {name: jnp.asarray(given.get(name, value), jnp.float64) for name, value in PARAMS.items()}


def _finite_parameters(given):
    """The same in the type that they are given in."""
    _inside_domains(given)
    return {**PARAMS, **given}
