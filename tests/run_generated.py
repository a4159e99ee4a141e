"""Generated programs for hours: `python tests/run_generated.py FIRST LAST HOURS LOG`. A seed names one valid program and eight
broken ones; a line of JSON tells what became of each. With `masks` at the end, a seed names one program of padded sequences."""

import json
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agree
import jax
from agree import Case, compiled
from generate import broken, program
from padded import Padded
from writer import MASKABLE

from ntkc import ArchError

LONGEST = 420
SHORT = 60_000
"""Characters of code that a finite network is drawn of."""
BUDGET = 150.0


class TooLong(Exception):
    pass


def stages(net: Any, seed: int) -> dict[str, Callable[[], Any]]:
    case = Case(net, seed)
    kinds: list[dict[str, Callable[[], Any]]] = [
        {"simulated": lambda: agree.simulated(net, BUDGET, seed) if len(net.code) <= SHORT else None},
        {"masked": lambda: agree.masked(net, seed)},
        {"gradients": lambda: agree.gradients(case)},
        {"diagonal": lambda: agree.diagonal(case)},
        {"hyperparameters": lambda: agree.takes_hyperparameters(case)},
    ]
    return {
        "formatted": lambda: agree.formatted(net),
        "proven": lambda: dict(agree.proven(net)),
        "reference": lambda: agree.agrees_with_the_reference(case),
        "settled": lambda: agree.scans_are_settled(case),
        "semidefinite": lambda: agree.semidefinite(case),
        **({"orders": lambda: agree.orders(case)} if seed % 2 else {"single": lambda: agree.in_single_precision(case)}),
        **kinds[seed % 5],
    }


def valid(seed: int, only: str = "") -> dict[str, Any]:
    text = program(random.Random(seed).choice)
    record: dict[str, Any] = {"seed": seed, "text": text, "failures": {}, "times": {}}
    try:
        start = time.process_time()
        net = compiled(text)
        record["length"] = len(net.code)
        record["times"]["compile"] = round(time.process_time() - start, 2)
    except ArchError as error:
        return record | {"refused": [f"{d.code}: {d.message} | {d.label}" for d in error.diagnostics]}
    except Exception:
        record["failures"]["compile"] = traceback.format_exc()
        return record
    for name, stage in stages(net, seed).items():
        if only and name != only:
            continue
        start = time.process_time()
        try:
            if (found := stage()) is not None:
                record[name] = found
        except TooLong:
            record["failures"][name] = "too long"
            break
        except Exception:
            record["failures"][name] = traceback.format_exc()
        record["times"][name] = round(time.process_time() - start, 2)
    return record


def wrong(seed: int) -> dict[str, Any]:
    """Broken ones are diagnosed; those that are valid after all have proven derivations."""
    record: dict[str, Any] = {"broken": seed, "diagnosed": 0, "valid": 0, "failures": {}}
    for i in range(8):
        text = broken(random.Random(1_000_000 * (i + 1) + seed).choice)
        try:
            net = compiled(text)
            record["valid"] += 1
            agree.formatted(net)
            agree.proven(net)
        except ArchError as error:
            record["diagnosed"] += 1
            if not all(d.code and d.message for d in error.diagnostics):
                record["failures"][text] = str(error)
        except TooLong:
            record["failures"][text] = "too long"
        except Exception:
            record["failures"][text] = traceback.format_exc()
    return record


def padded(seed: int) -> dict[str, Any]:
    """A program with masks: its padded sequences are the short ones."""
    text = program(random.Random(seed).choice, MASKABLE)
    record: dict[str, Any] = {"padded": seed, "text": text, "failures": {}}
    case = Padded(text, seed)
    try:
        assert case.net.recursion
        record["comparisons"] = case.check()
        case.check_finite()
    except ArchError as error:
        record["refused"] = [f"{d.code}: {d.message} | {d.label}" for d in error.diagnostics]
    except TooLong:
        raise
    except Exception:
        record["failures"]["padded"] = traceback.format_exc()
    return record


def _stop(*_: Any) -> None:
    raise TooLong


def main(first: int, last: int, hours: float, log: Path, kind: str = "") -> None:
    end = time.monotonic() + 3600 * hours
    signal.signal(signal.SIGALRM, _stop)
    with log.open("a") as out:
        for seed in range(first, last):
            if time.monotonic() > end:
                break
            for run in (padded,) if kind == "masks" else (valid, wrong):
                signal.alarm(LONGEST)
                try:
                    record = run(seed)
                except TooLong:
                    record = {"seed": seed, "failures": {run.__name__: "too long"}}
                signal.alarm(0)
                out.write(json.dumps(record | {"at": time.time()}) + "\n")
                out.flush()
            jax.clear_caches()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
