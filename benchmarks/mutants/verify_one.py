"""What `ntkc verify` says of one program, and its kernels: `python verify_one.py FILE BUDGET...`, with the `ntkc` on PYTHONPATH.

The first budget that checks everything is the last one tried; 0 comes first, so that finite networks are drawn only where nothing
else fails.
"""

import json
import sys
from pathlib import Path

from ntkc.passes.read import read
from ntkc.pipeline import compile_source
from ntkc.verify.samples import kernels, samples_of
from ntkc.verify.small import small
from ntkc.verify.verify import verify


def main() -> None:
    file, *budgets = sys.argv[1:]
    compilation = compile_source(read(Path(file)), masked=Path(file).stem.startswith("padded"))
    rows = []
    for budget in map(float, budgets):
        rows = verify(compilation, budget=budget).rows
        if not all(row.ok for row in rows) or (budget and all(row.status != "NOT CHECKED" for row in rows)):
            break
    few = small(compilation)
    x = samples_of(few, 0)
    found = {f"{kind} {name}": v.tolist() for (kind, name), v in kernels(few, x, x).items()}
    claims = [{"claim": row.claim, "status": row.status, "ok": row.ok, "detail": row.detail} for row in rows]
    print(json.dumps({"claims": claims, "kernels": found}))


if __name__ == "__main__":
    main()
