"""What valid programs satisfy: code, reference, certificate, canonical form, precisions, orders of rows, finite networks."""

import ast
import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ntkc import ArchError, Compilation, compile_source
from ntkc.backends.reference import evaluate
from ntkc.checker.check import prove
from ntkc.ir.recursion import LoopStep, Recursion, Step
from ntkc.passes.format import format_file
from ntkc.passes.parse import parse
from ntkc.source import Source
from ntkc.verify.fit import ALPHA
from ntkc.verify.samples import by_name, kinds
from ntkc.verify.simulate import Exhausted, simulate

ROWS = ("zeros", "twin", "near", "tiny", "large", "sparse")
CODE, SINGLE = 1e-7, 1e-4
"""Of the root of the product of the diagonals, entry by entry."""
SECONDS = 3.0
"""No further pair of the reference is begun after so long."""
Table = dict[tuple[str, str], np.ndarray]


def compiled(text: str) -> Compilation:
    return compile_source(Source("net.arch", text))


@dataclass
class Case:
    """A network with four samples, of which two are of unusual kinds."""

    net: Compilation
    seed: int = 0

    @cached_property
    def xs(self) -> tuple[np.ndarray, ...]:
        source, module = np.random.default_rng(self.seed), self.net.module()
        shapes = [(4, *shape) for _, shape in module.INPUTS]
        odd = source.permutation(len(ROWS))[:2]
        return tuple(
            source.integers(3, size=s)
            if name in module.TOKENS
            else _odd_rows(source.normal(size=s), [ROWS[i] for i in odd], source)
            for (name, _), s in zip(module.INPUTS, shapes, strict=True)
        )

    @cached_property
    def given(self) -> dict[str, np.ndarray]:
        source, module = np.random.default_rng(self.seed + 1), self.net.module()
        n = next((shape[0] for _, shape in module.INPUTS if shape), 0)
        found = {name: source.uniform(size=(4, n, n)) for name in module.GIVENS if name not in module.MASKS}
        if module.MASKS:
            fewer = list(range(n, module.LEAST - 1, -module.MULTIPLE))[1:3] or [n]
            found["mask"] = np.arange(n) < np.array([[n], [fewer[0]], [fewer[-1]], [n]])
            found["mask"][3, 0] = module.FROM_FIRST or n == module.LEAST
        return found

    @cached_property
    def rows(self) -> list[list[np.ndarray]]:
        module = self.net.module()
        more = [self.given["mask"] if name in module.MASKS else self.given[name] for name in module.GIVENS]
        return [[a[i] for a in (*self.xs, *more)] for i in range(4)]

    def tables(self, order: Any = slice(None), against: Any = None, dtype: type = float, **options: Any) -> Table:
        """Kernels of the rows in this order, with themselves or against others."""

        def taken(rows: Any) -> tuple[np.ndarray, ...]:
            return tuple((x if x.dtype.kind == "i" else x.astype(dtype))[rows] for x in self.xs)

        given = {k: v[order] if against is None else (v[order], v[against]) for k, v in self.given.items()}
        with jax.enable_x64(dtype is float):
            found = self.net.kernel(
                taken(order), None if against is None else taken(against), get=kinds(self.net), **given, **options
            )
        return {(k, n): np.asarray(v) for k in kinds(self.net) for n, v in by_name(getattr(found, k)).items()}

    @cached_property
    def found(self) -> Table:
        return self.tables()

    def scale(self, key: tuple[str, str]) -> np.ndarray:
        roots = np.sqrt(np.maximum(np.diagonal(self.found[key]), 0))
        return np.outer(roots, roots) + 1e-300


def _odd_rows(x: np.ndarray, odd: list[str], source: np.random.Generator) -> np.ndarray:
    for i, kind in enumerate(odd, 2):
        near = x[0] + 1e-5 * x[i]
        sparse = x[i] * (source.uniform(size=x[i].shape) < 0.4)
        x[i] = {"zeros": 0 * x[i], "twin": x[0], "near": near, "tiny": 1e-3 * x[i], "large": 30 * x[i], "sparse": sparse}[kind]
    return x


def close(case: Case, found: Table, expected: Table, tolerance: float, what: str, where: Any = ...) -> None:
    for key, table in expected.items():
        gap = np.abs(found[key] - table) / case.scale(key)
        assert np.all(gap[where] <= tolerance), (
            f"{what}: {' '.join(key)} is off by {np.max(gap[where]):.2e}\n{found[key]}\n{table}"
        )


def agrees_with_the_reference(case: Case) -> None:
    start = time.process_time()
    for i, j in ((0, 0), (0, 1), (2, 3), (0, 2), (1, 3), (2, 2), (3, 3), (0, 3), (1, 2), (1, 1)):
        exact = evaluate(case.net.recursion, case.rows[i], case.rows[j], 15)
        for kind, name in case.found:
            value, found = float(getattr(exact, kind)[name]), case.found[kind, name][i, j]
            assert abs(found - value) <= CODE * case.scale((kind, name))[i, j], (
                f"{kind} {name} {i}{j}: {found}, reference {value}"
            )
        if time.process_time() - start > SECONDS:
            return


def takes_hyperparameters(case: Case) -> None:
    params = dict(zip(case.net.module().PARAMS, (0.8, 0.45), strict=False))
    found = case.tables(**params)
    exact = evaluate(case.net.recursion, case.rows[0], case.rows[1], 15, params)
    for kind, name in found:
        value = float(getattr(exact, kind)[name])
        assert abs(found[kind, name][0, 1] - value) <= 1e-6 * case.scale((kind, name))[0, 1], f"{params}: {kind} {name}"


def semidefinite(case: Case) -> None:
    for key, table in case.found.items():
        least = np.linalg.eigvalsh(table / case.scale(key)).min()
        assert least > -1e-8, f"{' '.join(key)} has eigenvalue {least:.1e}"


def orders(case: Case) -> None:
    """Rows in another order, and the same rows given twice; a row of two calls is not the same for dropout."""
    order = np.array([2, 0, 3, 1])
    back = np.argsort(order)
    close(case, {k: v[back][:, back] for k, v in case.tables(order).items()}, case.found, 1e-9, "permuted")
    twice = {k: v[:, back] for k, v in case.tables(against=order).items()}
    apart = ~np.eye(4, dtype=bool) if "dropout" in case.net.source.text else ...
    close(case, twice, case.found, CODE, "against itself", apart)


def in_single_precision(case: Case) -> None:
    """As close as rounding of the inputs allows."""
    if not any(x.dtype.kind == "f" for x in case.xs):
        return
    source, xs, base = np.random.default_rng(0), case.xs, case.found
    noise = [1 + 1e-7 * source.choice([-1, 1], size=x.shape[1:]) if x.dtype.kind == "f" else 1 for x in xs]
    moved = Case(case.net, case.seed)
    moved.__dict__ |= {"xs": tuple(x * n for x, n in zip(xs, noise, strict=True)), "given": case.given}
    found = case.tables(dtype=np.float32)
    for key, table in base.items():
        room = SINGLE * case.scale(key) + 10 * np.abs(moved.tables()[key] - table)
        gap = np.abs(found[key] - table)
        assert np.all(gap <= room), f"float32 {' '.join(key)}: {np.max(gap / case.scale(key)):.2e}\n{found[key]}\n{table}"


def settled(net: Compilation) -> Recursion:
    """The same with twice the turns of each scan, which change nothing once its tables are right."""

    def longer(step: Step) -> Step:
        if not isinstance(step, LoopStep):
            return step
        factor = 2 if net.network.loops[step.index].scan else 1
        return replace(step, count=factor * step.count, body=tuple(map(longer, step.body)))

    return replace(net.recursion, steps=tuple(map(longer, net.recursion.steps)))


def scans_are_settled(case: Case) -> None:
    if any(loop.scan for loop in case.net.network.loops):
        values = (evaluate(r, case.rows[0], case.rows[1], 15) for r in (settled(case.net), case.net.recursion))
        np.testing.assert_allclose(*(np.array([*v.nngp.values(), *v.ntk.values()], float) for v in values), rtol=1e-12)


def proven(net: Compilation, seed: int = 0) -> Counter[str]:
    """The certificate, through JSON."""
    findings = prove(json.loads(json.dumps(net.certificate())), seed)
    failed = [f"{f.claim}: {f.detail}" for f in findings if not f.ok]
    assert not failed, "certificate: " + "\n".join(failed)
    return Counter(f.status for f in findings)


def formatted(net: Compilation) -> None:
    text = format_file(parse(net.source))
    assert format_file(parse(Source("net.arch", text))) == text, "the canonical form is not stable"
    assert _meaning(compiled(text).code) == _meaning(net.code), "the canonical form is another program"


def _meaning(code: str) -> str:
    return ast.dump(ast.parse(code))


def diagonal(case: Case) -> None:
    with jax.enable_x64(True):
        found = case.net.diagonal(case.xs, get=kinds(case.net), **case.given)
    for kind in kinds(case.net):
        for name, values in by_name(getattr(found, kind)).items():
            full = np.diagonal(case.found[kind, name])
            np.testing.assert_allclose(values, full, rtol=CODE, atol=1e-300, err_msg=f"diagonal {kind} {name}")


def gradients(case: Case) -> None:
    """By a hyperparameter, against differences."""
    name, default = next(iter(case.net.module().PARAMS.items()))
    key = ("nngp", case.net.recursion.outputs[0].name)

    def total(value: Any) -> Any:
        found = case.net.kernel(case.xs, get="nngp", **case.given, **{name: value}).nngp
        return jax.numpy.sum(by_name(found)[key[1]][:2, :2])

    with jax.enable_x64(True):
        slope = float(jax.grad(total)(default))
        step = 1e-5
        expected = float(total(default + step) - total(default - step)) / (2 * step)
    assert abs(slope - expected) <= 1e-5 * (abs(expected) + float(np.abs(case.found[key][:2, :2]).sum())), f"{slope}, {expected}"


def simulated(net: Compilation, budget: float, seed: int) -> str:
    """Finite networks; a false alarm once in 10,000 programs."""
    try:
        rows = simulate(net, budget, seed)
    except Exhausted:
        return "exhausted"
    wrong = [
        f"{r.kind} {r.output}: p = {r.fit.p_value:.1e}, off by {np.max(np.abs(r.fit.offset)):.3f}"
        for r in rows
        if r.fit.p_value < ALPHA
    ]
    assert not wrong, "finite networks: " + "; ".join(wrong)
    return f"{max(r.fit.detects for r in rows):.3f}"


def masked(net: Compilation, seed: int) -> bool:
    """The same with padded sequences, where masks are supported."""
    try:
        case = Case(net.with_masks(), seed)
    except ArchError:
        return False
    agrees_with_the_reference(case)
    semidefinite(case)
    orders(case)
    return True


def agree(text: str, seed: int = 0) -> None:
    """All that takes seconds."""
    case = Case(compiled(text), seed)
    formatted(case.net)
    proven(case.net)
    agrees_with_the_reference(case)
    scans_are_settled(case)
    semidefinite(case)
    orders(case)
    in_single_precision(case)
