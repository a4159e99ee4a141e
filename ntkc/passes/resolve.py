"""File -> Network: what every name means, and every error of name, type, shape and validity."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ntkc.diagnostics import ArchError, Diagnostic, did_you_mean
from ntkc.ir import syntax as ast
from ntkc.ir.network import Network
from ntkc.ir.padding import Padding
from ntkc.passes.parse import parse
from ntkc.passes.read import read
from ntkc.resolving.builder import Builder
from ntkc.resolving.outputs import reused_readouts, warnings_of
from ntkc.resolving.problem import Gated as Gated
from ntkc.resolving.raw import misused_inputs
from ntkc.resolving.scope import Scope
from ntkc.resolving.statements import Statements
from ntkc.source import Span
from ntkc.vocabulary import layer_types, scalar_functions


def resolve(
    file: ast.File,
    name: str | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    masked: bool = False,
    sampled: bool = False,
    unrolled: frozenset[Span] = frozenset(),
) -> Network:
    """The network of one `arch` (by default the only one, or the last); `masked` where its sequences come with masks, `sampled`
    as by `option expectation = sampled`, `unrolled` the loops that are written out turn by turn."""
    arch = _choose(file, name)
    scope = Scope()
    problems = _define(file, scope, ())
    builder = Builder()
    builder.sampled, builder.masked = arch.name.span if sampled else None, masked
    statements = Statements(builder, dict(overrides or {}), unrolled)
    statements.run(arch.body, scope)
    problems += statements.problems or builder.unknown_widths()
    if not problems and statements.output_span is None:
        help = "end it with `output h |> dense`"
        problems.append(Diagnostic("missing-output", f"`{arch.name.id}` has no output", arch.name.span, help=help))
    unknown = set(statements.overrides) - set(scope.constants)
    problems += [_unknown_override(n, scope, arch) for n in sorted(unknown) if not problems]
    if problems:
        problems.sort(key=lambda d: (d.span.source.name, d.span.start))
        alone = statements.gated and {d.code for d in problems} == {"not-gaussian"}
        raise Gated(problems, frozenset(statements.gated)) if alone else ArchError(problems)
    network = _network(arch, builder, statements, masked)
    padding = Padding(network).problems if masked else []
    if problems := [*reused_readouts(network), *misused_inputs(network), *padding]:
        raise ArchError(problems)
    return replace(network, warnings=warnings_of(network, statements.output_spans))


def _network(arch: ast.Arch, builder: Builder, statements: Statements, masked: bool) -> Network:
    return Network(
        arch.name.id,
        tuple(builder.nodes),
        tuple(loop for loop in builder.loops if loop is not None),
        tuple(builder.laws),
        tuple(p.grid for p in builder.places),
        tuple(builder.widths),
        tuple(p.flat for p in builder.places),
        tuple(statements.parameters),
        tuple(statements.outputs),
        masked,
        tuple(statements.named.items()),
        builder.sampled,
    )


def _choose(file: ast.File, name: str | None) -> ast.Arch:
    arches = [item for item in file.items if isinstance(item, ast.Arch)]
    chosen = [arch for arch in arches if name is None or arch.name.id == name]
    if chosen:
        return chosen[-1]
    label = did_you_mean(name or "", [arch.name.id for arch in arches])
    what = f"no architecture is named `{name}`" if name else "the file has no `arch`"
    raise ArchError([Diagnostic("no-arch", what, file.span, label, "" if arches else "write `arch NAME { ... }`")])


def _unknown_override(name: str, scope: Scope, arch: ast.Arch) -> Diagnostic:
    label = did_you_mean(name, scope.constants) or "this architecture has no such name"
    return Diagnostic("unknown-name", f"`--set {name}`: no param or const is named `{name}`", arch.name.span, label)


def _define(file: ast.File, scope: Scope, chain: tuple[Path, ...]) -> list[Diagnostic]:
    """Blocks and activations of a file and of those it uses."""
    problems: list[Diagnostic] = []
    for item in file.items:
        if isinstance(item, ast.Use):
            problems += _use(item, scope, chain)
        elif isinstance(item, ast.Block | ast.Activation):
            known = {*scope.blocks, *scope.activations, *layer_types(), *scalar_functions()}
            if item.name.id in known:
                label = "choose another name"
                problems.append(Diagnostic("name-taken", f"`{item.name.id}` is already defined", item.name.span, label))
            elif isinstance(item, ast.Block):
                scope.blocks[item.name.id] = item
            else:
                scope.activations[item.name.id] = item
    return problems


def _use(use: ast.Use, scope: Scope, chain: tuple[Path, ...]) -> list[Diagnostic]:
    here = (Path(use.span.source.folder) / use.span.source.name).resolve()
    path = (here.parent / use.path).resolve()
    if path in (*chain, here):
        return [Diagnostic("import-cycle", f'"{use.path}" leads back to this file', use.span, "this import closes a cycle")]
    try:
        source = read(path)
    except ArchError as error:
        return [Diagnostic(d.code, d.message.replace(str(path), use.path), use.span, "used here") for d in error.diagnostics]
    imported = Scope()
    problems = _define(parse(source), imported, (*chain, here))
    for name in use.names:
        scope.blocks = {**imported.blocks, **scope.blocks}  # a block may call its neighbours
        scope.activations = {**imported.activations, **scope.activations}
        if name.id not in {**imported.blocks, **imported.activations}:
            label = did_you_mean(name.id, [*imported.blocks, *imported.activations]) or "it has no such block or activation"
            problems.append(Diagnostic("unknown-import", f'"{use.path}" does not define `{name.id}`', name.span, label))
    return problems
