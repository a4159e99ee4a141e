"""Breaks one rule of the package at a time and reports which wall of `ntkc verify` catches it.

    python benchmarks/mutate.py [--write] [--results FILE] [--jobs N] [NAME ...]

Each mutant of `mutants/mutants.toml` is a copy of the package with one piece of text replaced, and verifies one small program.
Results are appended as they come; mutants that are in the file already, of the same text, are left out, so a broken run goes on
where it stopped. `--write` puts the table into `mutants.md`.
"""

import argparse
import json
import os
import shutil
import subprocess
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
BUDGETS = ("0", "8", "60")
"""Seconds of simulation, one after the other until all claims are checked."""
CACHE = Path(tempfile.gettempdir()) / "ntkc-mutants-xla"
WALLS = (("dual_", "certificates"), ("emitted", "code against reference"), ("finite networks", "simulation"))
PROPERTIES = ("symmetric", "semidefinite", "grows with", "does not change")
CLOSE = 1e-9


def main() -> int:
    """Runs what is not in the results yet; status 1 where a mutant that changes a number survives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--results", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    mutants = {m["name"]: m for m in table()}
    done = {r["name"]: r for r in _lines(options.results) if r["name"] in mutants and r["mutant"] == mutants[r["name"]]}
    waiting = [m for name, m in mutants.items() if name not in done and (not options.names or name in options.names)]
    start = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        right = dict(_right(sorted({m["program"] for m in waiting}), pool))
        for count, result in enumerate(pool.map(lambda m: run(m, right[m["program"]]), waiting), 1):
            done[result["name"]] = result
            with options.results.open("a") as file:
                file.write(json.dumps(result) + "\n")
            minutes = (time.monotonic() - start) / 60
            print(f"{count}/{len(waiting)}  {minutes:4.1f} min  {result['wall']:24}  {result['name']}", flush=True)
    if options.write:
        (HERE / "mutants.md").write_text(_page([done[name] for name in mutants if name in done]))
    return int(any(r["wall"] == "SURVIVED" and r["changed"] for r in done.values()))


def table() -> list[dict]:
    """The mutants."""
    return tomllib.loads((PROGRAMS / "mutants.toml").read_text())["mutant"]


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _right(programs: list[str], pool: ThreadPoolExecutor):
    """What the package as it stands finds; all of it has to hold."""
    for program, found in zip(programs, pool.map(lambda p: _verified(ROOT, p), programs), strict=True):
        failed = [f"{c['claim']}: {c['status']}" for c in found["claims"] if not c["ok"] or c["status"] == "NOT CHECKED"]
        if found["crash"] or failed:
            raise SystemExit(f"{program} does not verify without a mutant: {found['crash'] or failed}")
        print(f"ready: {program}", flush=True)
        yield program, found


def run(mutant: dict, right: dict) -> dict:
    """The wall that falls first, and whether the emitted kernels are other numbers."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("ntkc", "grammar", "examples"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "ntkc" / mutant["file"]
        text = file.read_text()
        if text.count(mutant["old"]) != 1:
            raise SystemExit(
                f"{mutant['file']}: {mutant['old']!r} stands there {text.count(mutant['old'])} times; mend the mutant"
            )
        file.write_text(text.replace(mutant["old"], mutant["new"]))
        found = _verified(Path(folder), mutant["program"])
    failed = [claim["claim"] for claim in found["claims"] if not claim["ok"]]
    wall = found["crash"] and ("refused" if found["crash"].startswith("error[") else "crash") or _wall(failed)
    changed = bool(found["crash"]) or _differ(found["kernels"], right["kernels"])
    first = found["crash"] or (failed[0] if failed else "")
    return {"name": mutant["name"], "wall": wall, "claim": first, "failed": len(failed), "changed": changed, "mutant": mutant}


def _verified(folder: Path, program: str) -> dict:
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "JAX_COMPILATION_CACHE_DIR": str(CACHE),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }
    command = [sys.executable, str(PROGRAMS / "verify_one.py"), str(PROGRAMS / f"{program}.arch"), *BUDGETS]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        return {"claims": [], "kernels": {}, "crash": "no end within 600 s"}
    if done.returncode == 0:
        return {**json.loads(done.stdout), "crash": ""}
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    told = [line for line in lines if "error[" in line]
    return {"claims": [], "kernels": {}, "crash": told[-1][told[-1].index("error[") :] if told else lines[-1]}


def _wall(failed: list[str]) -> str:
    """Of the first failed claim; claims of walls that are not known here stand for themselves."""
    if not failed:
        return "SURVIVED"
    if any(mark in failed[0] for mark in PROPERTIES):
        return "properties"
    return next((wall for start, wall in WALLS if failed[0].startswith(start)), failed[0])


def _differ(found: dict, right: dict) -> bool:
    pairs = [
        (u, v)
        for key in right
        for row, other in zip(found[key], right[key], strict=True)
        for u, v in zip(row, other, strict=True)
    ]
    scale = max(abs(v) for _, v in pairs)
    return not all(abs(u - v) <= CLOSE * scale for u, v in pairs)


def _page(results: list[dict]) -> str:
    """The table as Markdown."""
    count = Counter(r["wall"] for r in results)
    missed = sum(r["wall"] == "SURVIVED" and r["changed"] for r in results)
    lines = [
        "# Mutants",
        "",
        "Written by `python benchmarks/mutate.py --write`: one rule of the package is broken at a time, and one small program of",
        f"`mutants/` is verified. {len(results)} mutants; {missed} that change a kernel survive. Caught first by: "
        + ", ".join(f"{wall} {n}" for wall, n in count.most_common())
        + ".",
        "Finite networks are drawn only where everything else holds. A mutant in `backends/finite.py`, in a layer's sample or in the",
        "reference breaks what kernels are compared with, and changes no kernel itself.",
        "",
        "| file | mutant | program | caught by | first claim that fails | kernel changed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        m, claim = r["mutant"], r["claim"].replace("|", "\\|")[:110]
        lines.append(
            f"| {m['file']} | {r['name']} | {m['program']} | {r['wall']} | {claim} | {'yes' if r['changed'] else 'no'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
