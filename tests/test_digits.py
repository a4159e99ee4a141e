"""Kernels of real images predict: handwritten digits as vectors, as images and as sequences of rows."""

import numpy as np
import pytest

import ntkc
from ntkc.demo import _accuracy, examples

DATA = np.load(examples() / "digits.npz")
COUNT = 400


@pytest.mark.parametrize(("name", "shape"), [("digits", (64,)), ("digits_conv", (8, 8, 1)), ("digits_rows", (8, 8))])
def test_digits_are_told_apart(name: str, shape: tuple[int, ...]) -> None:
    x = (DATA["images"][:COUNT] / 16).reshape(COUNT, *shape).astype("float32")
    found = ntkc.load(examples() / f"{name}.arch").kernel(x)
    train, test = np.arange(0, COUNT, 2), np.arange(1, COUNT, 2)
    for kernel in found:
        assert _accuracy(np.asarray(kernel, float), DATA["labels"][:COUNT], train, test) > 0.93
