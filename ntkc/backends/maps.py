"""Maps over positions -> the functions of the emitted module that apply them."""

from collections.abc import Iterator

from sympy.core.function import AppliedUndef

from ntkc.backends.printer import text
from ntkc.ir.geometry import Axis, Geometry, Given, GlobalPool, Matrix, Pool, Select, Shift, Start, Window
from ntkc.ir.layer import MixingMatrix
from ntkc.ir.program import Program
from ntkc.lowering.prune import calls


def position_maps(program: Program) -> Iterator[str]:
    """One function for each map over positions."""
    called = {c.func.__name__ for i in (*program.sample, *program.pair) for c in calls(i)}
    called |= {c.func.__name__ for o in program.outputs for v in o.values for c in v.atoms(AppliedUndef)}
    for found in program.maps:
        name, geometry = found.name, found.geometry
        if f"{name}_present" in called:
            yield from _presence(name, geometry)
        match geometry:
            case Window(axes=axes):
                for form in (f for f in ("full", "matched") if f"{name}_{f}" in called):
                    yield f"\n\ndef {name}_{form}(x):"
                    yield f'    """{_describe_axes(axes)}."""'
                    yield f"    return _windowed(x, {_specs(axes)}, {form == 'full'})"
                continue
            case Pool(axes=axes, average=average, normalize=normalize):
                body = f"_pooled(x, first, {_specs(axes)}, {average}, {normalize})"
            case GlobalPool(average=average):
                body = f"_global_pooled(x, first, {found.rank}, {average})"
            case Select(axes=axes):
                body = f"_selected(x, first, {axes!r})"
                for form in (f for f in ("full", "matched") if f"{name}_{f}" in called):
                    yield f"\n\ndef {name}_{form}(x):"
                    yield '    """The selected positions."""'
                    inner = f"{name}(x, 0)"
                    both = f"{name}({inner}, {found.rank - geometry.dropped})"
                    yield f"    return {both if form == 'full' else inner}"
            case Given():
                continue  # its table comes with the sample
            case Start(count=count):
                body = f"_started(x, first, {count})"
            case Shift():
                body = "_shifted(x, first)"
            case Matrix(axes=axes):
                rows = tuple(None if m is None else tuple(tuple(float(v) for v in row) for row in m) for m in axes)
                body = f"_resampled(x, first, {rows!r})"
            case MixingMatrix(mechanism=mechanism, scale=scale, shift=shift, causal=causal):
                free = "".join(f", {s}" for s in map_parameters(geometry))
                yield f"\n\ndef {name}(table{free}, present=None):"
                yield '    """Attention from the second moments between the positions of one sample."""'
                yield f'    return _attention(table, "{mechanism}", {text(scale)}, {text(shift)}, {causal}, present)'
                continue
        yield f"\n\ndef {name}(x, first):"
        yield '    """Along the axes of one side, which start at `first`."""'
        yield f"    return {body}"


def _presence(name: str, geometry: Geometry | MixingMatrix) -> Iterator[str]:
    assert isinstance(geometry, Window | Pool)
    yield f"\n\ndef {name}_present(mask):"
    yield '    """Which positions are present after it."""'
    yield f"    return _present_after(mask, {_specs(geometry.axes)[1:-2]}, {isinstance(geometry, Pool)})"


def map_parameters(matrix: MixingMatrix) -> list[str]:
    """Hyperparameters that attention coefficients read."""
    return sorted(s.name for s in matrix.scale.free_symbols | matrix.shift.free_symbols)


def _specs(axes: tuple[Axis, ...]) -> str:
    """(size, stride, dilation, padding, transposed) of each axis."""
    return repr(tuple((a.size, a.stride, a.dilation, a.padding, a.transposed) for a in axes))


def _describe_axes(axes: tuple[Axis, ...]) -> str:
    return "A window of " + " x ".join(str(a.size) for a in axes) + " taps"
