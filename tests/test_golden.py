"""Emitted kernels against the golden values, in float64 and float32."""

import json
from pathlib import Path

import numpy as np
import pytest

import ntkc

GOLDEN = Path(__file__).parent / "golden"
KERNELS = np.load(GOLDEN / "kernels.npz")
CASES = dict(json.loads((GOLDEN / "cases.json").read_text()).items())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, dtype: str) -> None:
    compilation = ntkc.load(GOLDEN / "arch" / f"{case}.arch")
    x1, x2, same = (KERNELS[f"inputs/{CASES[case]}/{name}"] for name in ("x1", "x2", "duplicate"))
    kinds = [kind for kind in ("nngp", "ntk") if f"{case}/{kind}" in KERNELS]
    found = compilation.kernel(x1.astype(dtype), x2.astype(dtype), get=kinds)
    for kind in kinds:
        golden, values = KERNELS[f"{case}/{kind}"], np.asarray(getattr(found, kind))
        assert values.dtype == dtype
        gap = np.abs(values - golden) / np.abs(golden).max()
        assert gap[~same].max() < (1e-10 if dtype == "float64" else 1e-5)
        assert gap.max() < (1e-8 if dtype == "float64" else 1e-5)


def test_sign_has_no_ntk() -> None:
    compilation = ntkc.load(GOLDEN / "arch" / "sign.arch")
    with pytest.raises(ValueError, match=r"has an NNGP but no NTK: .* jumps, so its derivative is not a function"):
        compilation.ntk(np.ones((2, 8)))
