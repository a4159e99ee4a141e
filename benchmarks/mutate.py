"""Breaks one rule of the package at a time and reports which wall of `ntkc verify` catches it.

    python benchmarks/mutate.py [RESULTS.jsonl] [NAME ...]

Each mutant is a copy of the package with one piece of text replaced. Results are appended as they come; mutants that are in the
file already are left out, so a broken run goes on where it stopped.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAMS = ("erf_mlp", "shared_weights", "gated", "tanh_mlp")
MUTANTS = {
    "dense moment: bias dropped": ("layers/dense.py", "W_std**2 * square + (self.b_std or 0) ** 2", "W_std**2 * square"),
    "dense moment: W_std^4": ("layers/dense.py", "return self.W_std**2 * square", "return self.W_std**4 * square"),
    "dense moment: W_std^1": ("layers/dense.py", "return self.W_std**2 * square", "return self.W_std * square"),
    "dense moment: bias not squared": ("layers/dense.py", "square + (self.b_std or 0) ** 2", "square + (self.b_std or 0)"),
    "dense tangent: own weight dropped": ("layers/dense.py", "return trained_weight * square + self", "return self"),
    "dense tangent: bias dropped": ("layers/dense.py", " * tangent + trained_bias", " * tangent"),
    "dense tangent: below dropped": ("layers/dense.py", "+ self.W_std**2 * tangent + trained_bias", "+ trained_bias"),
    "chain rule: no tangent": ("deriving/nonlinear.py", "CROSS) * self.tangent(u, v)", "CROSS)"),
    "chain rule: value for slope": ("deriving/nonlinear.py", "derivative = slope(function, symbol)", "derivative = function"),
    "chain rule: equal arguments only": ("deriving/nonlinear.py", "if self.sources[u] & self.sources[v]:", "if u == v:"),
    "independence assumed": (
        "deriving/nonlinear.py",
        "return not self.sources[u[0]] & self.sources[v[0]]",
        "return u[0] != v[0]",
    ),
    "linearity: coefficient dropped on the left": (
        "deriving/rules.py",
        "sp.Add(*(k * moment(i, q) for k, i in left.terms))",
        "sp.Add(*(moment(i, q) for k, i in left.terms))",
    ),
    "expectation: variance doubled": (
        "deriving/nonlinear.py",
        "mean(f, Z).subs(A, variance)",
        "mean(f, Z).subs(A, 2 * variance)",
    ),
    "expectation: a and b swapped": (
        "deriving/nonlinear.py",
        "sp.Function(dual.name)(c, a, b)",
        "sp.Function(dual.name)(c, b, b)",
    ),
    "series: normalization": (
        "gaussian/hermite.py",
        "np.sqrt(k) * he[k - 1]) / np.sqrt(k + 1)",
        "np.sqrt(k) * he[k - 1]) / (k + 1)",
    ),
    "tilt of the radicand": ("gaussian/price.py", "return (1 + 2 * g * a) * (1", "return (1 + g * a) * (1"),
    "angle: root dropped": (
        "gaussian/price.py",
        "angle = sp.atan2(at * root_q, root) / root_q",
        "angle = sp.atan2(at * root_q, root)",
    ),
    "weight: factor": ("gaussian/price.py", "else 2 * term.scale / sp.sqrt(sp.pi)", "else term.scale / sp.sqrt(sp.pi)"),
}


def main() -> None:
    """Runs what is not in the results yet."""
    results = Path(sys.argv[1] if len(sys.argv) > 1 else "mutants.jsonl")
    done = {json.loads(line)["mutant"] for line in results.read_text().splitlines()} if results.exists() else set()
    for name in sys.argv[2:] or MUTANTS:
        if name not in done:
            with results.open("a") as file:
                file.write(json.dumps({"mutant": name, "caught": run(*MUTANTS[name])}) + "\n")
            print(results.read_text().splitlines()[-1], flush=True)


def run(path: str, old: str, new: str) -> dict[str, list[str]]:
    """For each program the failed claims, or what broke; an empty list is a mutant that lives."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("ntkc", "grammar", "examples"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "ntkc" / path
        text = file.read_text()
        if text.count(old) != 1:
            raise SystemExit(f"{path}: {old!r} stands there {text.count(old)} times; mend the mutant")
        file.write_text(text.replace(old, new))
        return {program: _verify(Path(folder), program) for program in PROGRAMS}


def _verify(folder: Path, program: str) -> list[str]:
    command = [sys.executable, "-c", "from ntkc.cli import main; main()", "verify", f"examples/{program}.arch", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    if not done.stdout.strip():
        return [f"refused or crashed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"]
    return [claim["claim"] for claim in json.loads(done.stdout)["claims"] if not claim["ok"]]


if __name__ == "__main__":
    main()
