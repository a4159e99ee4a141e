"""Maps over positions -> the functions of the emitted module that apply them."""

from collections.abc import Iterator

from sympy.core.function import AppliedUndef

from ntkc.backends.printer import text
from ntkc.ir.geometry import Axis, Geometry, Given, GlobalPool, Linear, Matrix, Pool, Select, Shift, Start, Window
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.normalization import Normalization
from ntkc.ir.program import Program
from ntkc.ir.sinusoids import Sinusoids
from ntkc.lowering.prune import calls


def position_maps(program: Program) -> Iterator[str]:
    """One function for each map over positions."""
    called = {c.func.__name__ for i in (*program.sample, *program.pair) for c in calls(i)}
    called |= {c.func.__name__ for o in program.outputs for v in o.values for c in v.atoms(AppliedUndef)}
    for found in program.maps:
        name, geometry = found.name, found.geometry
        if isinstance(geometry, Normalization):
            continue
        if f"{name}_present" in called:
            yield from _presence(name, geometry)
        if isinstance(geometry, Window):
            yield from _window(name, geometry, called, program.batches)
        elif isinstance(geometry, Sinusoids):
            yield from _encoding(name, geometry, called)
        elif isinstance(geometry, MixingMatrix):
            yield from _attention(name, geometry)
        elif not isinstance(geometry, Given):  # whose table comes with the sample
            yield f"\n\ndef {name}(x, first):"
            yield '    """Along the axes of one side, which start at `first`."""'
            yield f"    return {_one_side(geometry, found.rank)}"
        if isinstance(geometry, Select):
            yield from _both_sides(name, geometry, found.rank, called, int(program.batches))


def _one_side(geometry: Linear, rank: int) -> str:
    match geometry:
        case Pool(axes=axes, average=average, normalize=normalize):
            return f"_pooled(x, first, {_specs(axes)}, {average}, {normalize})"
        case GlobalPool(average=average):
            return f"_global_pooled(x, first, {rank}, {average})"
        case Select(axes=axes):
            return f"_selected(x, first, {axes!r})"
        case Start(count=count):
            return f"_started(x, first, {count})"
        case Shift():
            return "_shifted(x, first)"
        case Matrix(axes=axes):
            rows = tuple(None if m is None else tuple(tuple(float(v) for v in row) for row in m) for m in axes)
            return f"_resampled(x, first, {rows!r})"
        case Given():
            raise NotImplementedError(geometry)


def _window(name: str, geometry: Window, called: set[str], batches: bool) -> Iterator[str]:
    for form in (f for f in ("full", "matched") if f"{name}_{f}" in called):
        yield f"\n\ndef {name}_{form}(x):"
        yield f'    """{_describe_axes(geometry.axes)}."""'
        windowed = "_windowed_each" if batches else "_windowed"
        yield f"    return {windowed}(x, {_specs(geometry.axes)}, {form == 'full'})"


def _both_sides(name: str, geometry: Select, rank: int, called: set[str], ahead: int) -> Iterator[str]:
    for form in (f for f in ("full", "matched") if f"{name}_{f}" in called):
        yield f"\n\ndef {name}_{form}(x):"
        yield '    """The selected positions."""'
        inner = f"{name}(x, {ahead})"
        yield f"    return {f'{name}({inner}, {rank - geometry.dropped + 2 * ahead})' if form == 'full' else inner}"


def _attention(name: str, geometry: MixingMatrix) -> Iterator[str]:
    free = "".join(f", {s}" for s in map_parameters(geometry))
    coefficients = f'"{geometry.mechanism}", {text(geometry.scale)}, {text(geometry.shift)}, {geometry.causal}'
    yield f"\n\ndef {name}(table{free}, present=None):"
    yield '    """Attention from the second moments between the positions of one sample."""'
    yield f"    return _attention(table, {coefficients}, present)"


def _encoding(name: str, geometry: Sinusoids, called: set[str]) -> Iterator[str]:
    if name in called:
        moments = tuple(map(float, geometry.moments()))
        yield f"\n\ndef {name}(like):"
        yield '    """Second moments of sinusoids between positions, by their distance."""'
        yield f"    return _toeplitz(like, {geometry.rows}, {geometry.columns}, {moments!r})"
    if f"{name}_alone" in called:
        yield f"\n\ndef {name}_alone(like):"
        yield '    """Means of sinusoids over channels, by position."""'
        yield f"    return jnp.asarray({tuple(map(float, geometry.means()))!r}, like.dtype)"


def _presence(name: str, geometry: Geometry | MixingMatrix | Sinusoids) -> Iterator[str]:
    assert isinstance(geometry, Window | Pool)
    yield f"\n\ndef {name}_present(mask):"
    yield '    """Which positions are present after it."""'
    yield f"    return _present_after(mask, {_specs(geometry.axes)[1:-2]})"


def map_parameters(matrix: MixingMatrix) -> list[str]:
    """Hyperparameters that attention coefficients read."""
    return sorted(s.name for s in matrix.scale.free_symbols | matrix.shift.free_symbols)


def _specs(axes: tuple[Axis, ...]) -> str:
    """(size, stride, dilation, padding, transposed) of each axis."""
    return repr(tuple((a.size, a.stride, a.dilation, a.padding, a.transposed) for a in axes))


def _describe_axes(axes: tuple[Axis, ...]) -> str:
    return "A window of " + " x ".join(str(a.size) for a in axes) + " taps"
