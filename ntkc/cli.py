"""The command `ntkc`. Exit status: 0, 1 where the input is at fault, 2 for wrong usage."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import mpmath as mp
import numpy as np
from rich.console import Console
from rich.table import Table

from ntkc.backends.reference import evaluate
from ntkc.checker.check import NoCertificate, prove
from ntkc.demo import run_demo
from ntkc.diagnostics import ArchError
from ntkc.files import InputError, check_writable, writing
from ntkc.ir.show import latex, text
from ntkc.lowering.forms import Forms
from ntkc.passes.format import format_file
from ntkc.passes.parse import parse
from ntkc.passes.read import read
from ntkc.pipeline import Compilation, compile_source
from ntkc.samples import Samples, call_options, read_samples
from ntkc.sampling.sampled import Sampled
from ntkc.verify.report.page import Run, page
from ntkc.verify.verify import BUDGET, Report, Row, verify

_KINDS = ("nngp", "ntk", "nngp_error", "ntk_error")


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """What the user's files cause is text on stderr and status 1, never a traceback."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ArchError as error:
            if kwargs.get("as_json"):
                click.echo(json.dumps({"ok": False, "diagnostics": [d.record() for d in error.diagnostics]}))
            else:
                click.echo(str(error), err=True)
            sys.exit(1)
        except InputError as error:
            if kwargs.get("as_json"):
                click.echo(json.dumps({"ok": False, "diagnostics": [error.record()]}))
            else:
                click.echo(str(error), err=True)
            sys.exit(1)

    return guarded


def _compiles(command: Callable[..., None]) -> Callable[..., None]:
    """FILE, --arch, --set and --mask, handed on as a compilation."""

    @click.argument("file", type=click.Path(path_type=Path))
    @click.option("--arch", help="Which architecture of the file; the last one by default.")
    @click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Sets a const, or the default of a param.")
    @click.option("--mask", "masked", is_flag=True, help="Sequences come padded, with a mask at the call.")
    @wraps(command)
    def compiled(file: Path, arch: str | None, settings: tuple[str, ...], masked: bool, **kwargs: Any) -> None:
        pairs = [setting.partition("=") for setting in settings]
        if any(not sep or not value for _, sep, value in pairs):
            raise click.UsageError("--set takes NAME=VALUE")
        overrides = {name: value for name, _, value in pairs}
        for written in ("output", "path", "place"):
            check_writable(kwargs.get(written))
        sampled = kwargs.get("sampled") is not None
        compilation = compile_source(read(file), arch, overrides, masked=masked, sampled=sampled)
        for warning in compilation.warnings:
            click.echo(str(warning), err=True)
        command(compilation, **kwargs)

    return _guarded(compiled)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ntkc")
def main() -> None:
    """From a .arch file to the proven, jitted kernels of its infinitely wide network."""


@main.command()
@_compiles
@click.option("--json", "as_json", is_flag=True)
def check(compilation: Compilation, as_json: bool) -> None:
    """Report every mistake in FILE."""
    if as_json:
        warnings = [warning.record() for warning in compilation.warnings]
        click.echo(json.dumps({"ok": True, "arch": compilation.network.name, "diagnostics": warnings}))
    else:
        click.echo(f"{compilation.source.name}: ok")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--write", is_flag=True, help="Rewrite the file.")
@click.option("--check", "only_check", is_flag=True, help="Exit with 1 if the file is not in the canonical form.")
@_guarded
def fmt(file: Path, write: bool, only_check: bool) -> None:
    """Print FILE in its one canonical form."""
    source = read(file)
    formatted = format_file(parse(source))
    if only_check and formatted != source.text:
        raise InputError("not-canonical", f"{file}: not in the canonical form; run `ntkc fmt --write {file}`")
    if write:
        with writing(file) as new:
            new.write_text(formatted, encoding="utf-8")
    elif not only_check:
        click.echo(formatted, nl=False)


@main.command()
@_compiles
@click.option("--stage", type=click.Choice(["syntax", "network", "recursion", "program", "code"]), default="code")
def show(compilation: Compilation, stage: str) -> None:
    """Print one form of the program on its way to code."""
    recursion = compilation.recursion
    form = text(recursion, Forms(recursion, recursion.steps).demand()) if stage == "recursion" else getattr(compilation, stage)
    if stage == "network":
        form = "\n".join(f"v{i}: {node}" for i, node in enumerate(compilation.network.nodes))
    if stage == "program":
        form = "\n".join(str(instruction) for instruction in (*compilation.program.sample, *compilation.program.pair))
    click.echo(str(form))


@main.command()
@_compiles
@click.option("--latex", "as_latex", is_flag=True)
@click.option("--certificate", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write the proof as JSON instead.")
def derive(compilation: Compilation, as_latex: bool, path: Path | None) -> None:
    """Print the derived recursion, or write what proves it."""
    if path is not None:
        with writing(path) as new:
            new.write_text(json.dumps(compilation.certificate(), indent=1) + "\n", encoding="utf-8")
        return
    click.echo(latex(compilation.recursion) if as_latex else text(compilation.recursion))


@main.command(name="check-certificate")
@click.argument("file", type=click.Path(path_type=Path))
@_guarded
def check_certificate(file: Path) -> None:
    """Prove a certificate of `ntkc derive --certificate` anew, without the compiler."""
    try:
        findings = prove(json.loads(read(file).text))
    except (NoCertificate, json.JSONDecodeError) as error:
        raise InputError("bad-certificate", f"{file}: {error}") from error
    print_report(Report(tuple(Row(f.claim, f.status, f.detail, f.ok) for f in findings)))
    sys.exit(0 if all(f.ok for f in findings) else 1)


@main.command(name="verify")
@_compiles
@click.option("--json", "as_json", is_flag=True)
@click.option("--budget", type=click.FloatRange(min=0), default=BUDGET, show_default=True, help="Seconds for finite networks.")
@click.option("--no-simulate", is_flag=True, help="The same as --budget 0.")
@click.option("--no-translate", is_flag=True, help="Do not read the emitted code back.")
@click.option("--report", "place", type=click.Path(path_type=Path), metavar="PATH", help="Write all of it as a page of HTML.")
def verify_command(
    compilation: Compilation, as_json: bool, budget: float, no_simulate: bool, no_translate: bool, place: Path | None
) -> None:
    """Prove the derivation anew, and the emitted code equal to it, and simulate finite networks."""
    run = Run(seed=0, budget=0 if no_simulate else budget)
    report = verify(compilation, run.seed, run.budget, not no_translate)
    if place is not None:
        with writing(place) as new:
            new.write_text(page(compilation, report, run), encoding="utf-8")
    if as_json:
        rows = [{"claim": r.claim, "status": r.status, "detail": r.detail, "ok": r.ok} for r in report.rows]
        click.echo(json.dumps({"ok": report.ok, "claims": rows}))
    else:
        print_report(report)
    sys.exit(0 if report.ok else 1)


def print_report(report: Report) -> None:
    """The claims as a table."""
    table = Table("claim", "status", "detail")
    for row in report.rows:
        table.add_row(row.claim, row.status, row.detail)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


@main.command()
@_compiles
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write; standard output by default.")
def build(compilation: Compilation, output: Path | None) -> None:
    """Write the JAX module."""
    compilation.derivation()
    if output is None:
        click.echo(compilation.code, nl=False)
    else:
        with writing(output) as new:
            new.write_text(compilation.code, encoding="utf-8")


@main.command(name="eval")
@_compiles
@click.argument("x1", type=click.Path(path_type=Path))
@click.argument("x2", type=click.Path(path_type=Path), required=False)
@click.option("--get", default="nngp,ntk", help="nngp, ntk or both.")
@click.option("--precision", type=click.Choice(["accurate", "fast"]), default="accurate")
@click.option("--digits", type=click.IntRange(15, 1000), help="Evaluate with mpmath to this many digits, as text.")
@click.option("--sampled", type=click.IntRange(16), metavar="N", help="Monte Carlo over N slices, with standard errors.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the slices.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="An .npz file; a summary is printed otherwise.")
@click.option("--json", "as_json", is_flag=True, help="The kernels, or what is wrong, as JSON.")
def eval_command(
    compilation: Compilation,
    x1: Path,
    x2: Path | None,
    get: str,
    precision: str,
    digits: int | None,
    sampled: int | None,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Evaluate the kernels at the rows of the .npy files X1 and X2, or of .npz files with an array for each input, adjacency and
    mask (`mask_NAME`)."""
    kinds = tuple(get.split(","))
    if unknown := [kind for kind in kinds if kind not in ("nngp", "ntk")]:
        raise click.UsageError(f"--get takes nngp, ntk or nngp,ntk; got {unknown[0]!r}")
    sides = [read_samples(path, compilation.network) for path in (x1, x2) if path is not None]
    given = call_options(sides)
    options: dict[str, Any] = {"precision": precision}
    if digits is not None and (sampled is not None or output is not None or as_json):
        raise click.UsageError("--digits prints what was derived, as text: leave out --sampled, --output and --json")
    if digits is not None:
        _print_digits(compilation.with_masks() if "mask" in given else compilation, sides, given, get, digits)
        return
    if compilation.derived is None:
        options = {"seed": seed} | ({} if sampled is None else {"samples": sampled})
    try:
        found = compilation.kernel(sides[0].inputs, sides[1].inputs if len(sides) > 1 else None, get=kinds, **options, **given)
    except (ValueError, TypeError) as error:
        raise InputError("bad-samples", str(error)) from error
    arrays = {kind: np.asarray(v) for kind in _KINDS if (v := getattr(found, kind, None)) is not None}
    if output is not None:
        with writing(output) as new, new.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    if as_json:
        click.echo(json.dumps({"ok": True, **{kind: values.tolist() for kind, values in arrays.items()}}))
    else:
        _print_summary(arrays, found)


def _print_summary(arrays: dict[str, np.ndarray], found: object) -> None:
    for kind, values in arrays.items():
        click.echo(f"{kind}: shape {values.shape}, {values.dtype}, from {values.min():.6g} to {values.max():.6g}")
    if isinstance(found, Sampled):
        errors = ", ".join(f"{kind} {arrays[f'{kind}_error'].max():.2g}" for kind in ("nngp", "ntk") if kind in arrays)
        click.echo(f"sampled, {found.samples} slices, standard error at most: {errors}")


def _print_digits(compilation: Compilation, sides: list[Samples], given: dict[str, Any], get: str, digits: int) -> None:
    recursion = compilation.recursion
    if recursion.batches:
        raise click.UsageError("--digits goes pair by pair, and `batch_norm` takes whole batches: leave it out for float64")
    try:
        compilation.checked(*(side.inputs for side in sides), **given)
    except (ValueError, TypeError) as error:
        raise InputError("bad-samples", str(error)) from error
    rows, *others = ([side.row(i, recursion.givens) for i in range(len(side.inputs[0]))] for side in sides)
    for i, row in enumerate(rows):
        for j, column in enumerate(others[0] if others else rows):
            values = evaluate(recursion, row, column, digits)
            for kind in get.split(","):
                for name, value in getattr(values, kind).items():
                    click.echo(f"{kind}{f'.{name}' if name else ''}[{i},{j}] = {mp.nstr(value, digits)}")


@main.command()
@_guarded
def demo() -> None:
    """Compile, verify and use a kernel on real handwritten digits."""
    run_demo(print_report)
