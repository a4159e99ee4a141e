"""Breaks one rule of the package at a time and reports which wall of `ntkc verify` catches it.

    python benchmarks/mutate.py [--write] [--results FILE] [--jobs N] [NAME ...]

Each mutant of `mutants/mutants.toml` is a copy of the package with one piece of text replaced, and verifies one small program.
Results are appended as they come; mutants that are in the file already, of the same text, are left out, so a broken run goes on
where it stopped. `--write` puts the table into `mutants.md`.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PROGRAMS = HERE / "mutants"
BUDGETS = (0.0, 300.0)
"""Seconds of simulation: finite networks are drawn only where everything else holds."""
WIDTHS, DRAWS = (32, 64), 2400
"""What ends a simulation here, so that a table does not depend on how busy the machine is."""
LONGEST = 600
HEAVY = ["jax", "jax.numpy", "jax.scipy.special", "sympy", "mpmath", "scipy.stats", "scipy.special", "lark", "rich.table"]
"""What the process that all others are forked from has imported."""
TRANSLATED = ("backends/", "lowering/")
"""Where a mutant is one of the code, which is then read back, too."""
CLOSE, CLOSE32 = 1e-9, 1e-6
"""Of the largest entry: rounding stays below; in float32 the same formula written otherwise moves the last digit."""


def main() -> int:
    """Runs what is not in the results yet; status 1 where a mutant that changes a number survives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--results", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    mutants = {m["name"]: m for m in table()}
    known = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    done = {r["name"]: r for r in known if r["name"] and r.get("mutant") == mutants.get(r["name"])}
    right = {r["program"]: r["found"] for r in known if r.get("package") == _package()}
    waiting = [m for name, m in mutants.items() if name not in done and (not options.names or name in options.names)]
    start = time.monotonic()

    def record(result: dict, said: str) -> None:
        with options.results.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{(time.monotonic() - start) / 60:5.1f} min  {len(done)}/{len(mutants)}  {said}", flush=True)

    def all_of(program: str) -> None:
        """The program as it is, then its mutants."""
        if program not in right:
            right[program] = _right(program)
            record({"name": "", "program": program, "package": _package(), "found": right[program]}, f"{program} holds")
        for mutant in (m for m in waiting if m["program"] == program):
            result = done[mutant["name"]] = run(mutant, right[program])
            record(result, f"{result['wall']:24}{'' if result['changed'] else '(same kernel) '}{mutant['name']}")

    with ThreadPoolExecutor(options.jobs) as pool:
        programs = [p for p, _ in Counter(m["program"] for m in waiting).most_common()]
        broken = [str(e) for f in [pool.submit(all_of, p) for p in programs] if (e := f.exception())]
    print("\n".join(broken))
    if options.write:
        (HERE / "mutants.md").write_text(_page([done[name] for name in mutants if name in done]))
    return int(bool(broken) or any(r["wall"] == "SURVIVED" and r["changed"] for r in done.values()))


def table() -> list[dict]:
    """The mutants."""
    return tomllib.loads((PROGRAMS / "mutants.toml").read_text())["mutant"]


def _package() -> str:
    """What the package is."""
    files = sorted((ROOT / "ntkc").rglob("*.py")) + sorted(PROGRAMS.glob("*.arch"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _right(program: str) -> dict:
    """What the package as it stands finds; all of it has to hold."""
    found = _verified(ROOT, program, True)
    failed = [f"{c['claim']}: {c['status']}" for c in found["claims"] if not c["ok"]]
    if found["crash"] or failed:
        raise RuntimeError(f"{program} does not verify without a mutant: {found['crash'] or failed}")
    return found


def run(mutant: dict, right: dict) -> dict:
    """The wall that falls first, and whether the emitted kernels are other numbers."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("ntkc", "grammar", "examples"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "ntkc" / mutant["file"]
        text = file.read_text()
        if text.count(mutant["old"]) != 1:
            raise RuntimeError(f"{mutant['file']}: {mutant['old']!r} does not stand there once; mend the mutant")
        file.write_text(text.replace(mutant["old"], mutant["new"]))
        found = _verified(Path(folder), mutant["program"], mutant["file"].startswith(TRANSLATED))
    fallen = [claim for claim in found["claims"] if not claim["ok"]]
    failed = [claim["claim"] for claim in fallen]
    walls = ", ".join(dict.fromkeys(claim["wall"] for claim in fallen)) or "SURVIVED"
    wall = walls if not found["crash"] else "refused" if found["crash"].startswith("error[") else "crash"
    changed = bool(found["crash"]) or _differ(found["kernels"], right["kernels"])
    first = found["crash"] or (failed[0] if failed else "")
    return {"name": mutant["name"], "wall": wall, "claim": first, "failed": len(failed), "changed": changed, "mutant": mutant}


def _verified(folder: Path, program: str, translate: bool) -> dict:
    """In a process of its own, whose `ntkc` is that of the folder."""
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe(False)
    process = context.Process(target=_verify, args=(str(folder), program, translate, there))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        return {"claims": [], "kernels": {}, "crash": "the process ended"}
    finally:
        process.join()


def _verify(folder: str, program: str, translate: bool, answer) -> None:
    """Sends what `_report` finds, or what broke."""
    sys.path.insert(0, folder)
    signal.signal(signal.SIGALRM, lambda *_: answer.send({"claims": [], "kernels": {}, "crash": "no end"}) or os._exit(1))
    signal.alarm(LONGEST)
    try:
        answer.send({**_report(PROGRAMS / f"{program}.arch", translate), "crash": ""})
    except BaseException as error:
        told = [line for line in str(error).splitlines() if "error[" in line]
        answer.send({"claims": [], "kernels": {}, "crash": told[0] if told else f"{type(error).__name__}: {str(error)[:200]}"})


def _report(file: Path, translate: bool) -> dict:
    # imported here, where sys.path leads to the mutant
    from ntkc.passes.read import read
    from ntkc.pipeline import compile_source
    from ntkc.verify import simulate
    from ntkc.verify.samples import kernels, samples_of
    from ntkc.verify.small import small
    from ntkc.verify.verify import verify

    simulate.WIDTHS, simulate.MOST = WIDTHS, DRAWS
    compilation = compile_source(read(file), masked=file.stem.startswith("padded"))
    for budget in BUDGETS:
        rows = verify(compilation, budget=budget, translate=translate and budget == 0).rows
        if not all(row.ok for row in rows):
            break
    few = small(compilation)
    x = samples_of(few, 0)
    single = tuple(v.astype("float32") if v.dtype == float else v for v in x)
    found = {}
    try:
        found |= {f"{kind} {name}": v.tolist() for (kind, name), v in kernels(few, x, x).items()}
        found |= {f"{kind} {name} in float32": v.tolist() for (kind, name), v in kernels(few, single).items()}
    except Exception:  # a row says so already
        found = {}
    return {"claims": [{"claim": r.claim, "status": r.status, "ok": r.ok, "wall": r.wall} for r in rows], "kernels": found}


def _differ(found: dict, right: dict) -> bool:
    """Whether a kernel is another one; of one set of samples it is also to be symmetric to the last bit where it was."""
    if found.keys() != right.keys():
        return True
    return any(_apart(found[key], right[key], CLOSE32 if key.endswith("float32") else CLOSE) for key in right)


def _apart(found: list[list[float]], right: list[list[float]], close: float) -> bool:
    largest = max(abs(v) for row in right for v in row)
    pairs = zip((v for row in found for v in row), (v for row in right for v in row), strict=True)
    mirrored, before = ([list(column) for column in zip(*k, strict=True)] == k for k in (found, right))
    return not all(abs(u - v) <= close * largest for u, v in pairs) or (before and not mirrored and close == CLOSE32)


def _page(results: list[dict]) -> str:
    """The table as Markdown."""
    count = Counter(wall for r in results for wall in r["wall"].split(", "))
    missed = sum(r["wall"] == "SURVIVED" and r["changed"] for r in results)
    lines = [
        "# Mutants",
        "",
        "Written by `python benchmarks/mutate.py --write`: one rule of the package is broken at a time, and one small program of",
        f"`mutants/` is verified. {len(results)} of {len(table())} mutants run; {missed} that change a kernel survive.",
        "Caught by: " + ", ".join(f"{wall} {n}" for wall, n in count.most_common()) + ".",
        "",
        "Walls: the derivation proven anew, the code read back (translation; for mutants in `backends/` and `lowering/`), the",
        "code against the reference, properties, and simulation, for which finite networks are drawn only where all else holds.",
        "A mutant in `backends/finite.py`, in a layer's sample or in the reference breaks what kernels are compared with, and",
        "changes no kernel itself.",
        "",
        "| file | mutant | program | caught by | first claim that fails | kernel changed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        m, changed = r["mutant"], "yes" if r["changed"] else "no"
        claim = " ".join(r["claim"].replace("|", "\\|")[:110].split())
        lines.append(f"| {m['file']} | {r['name']} | {m['program']} | {r['wall']} | {claim} | {changed} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cache = Path(tempfile.gettempdir()) / "ntkc-mutants-xla"
    os.environ |= {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")}
    os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0"}
    multiprocessing.set_forkserver_preload(HEAVY)
    sys.exit(main())
