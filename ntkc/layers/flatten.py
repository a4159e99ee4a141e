"""Flatten: the positions' channels side by side, in row-major order of the positions."""

from ntkc.ir.layer import Flatten

__all__ = ["Flatten"]
