"""Changes of emitted code, by hand."""

from dataclasses import replace

from ntkc.pipeline import Compilation


def changed(compilation: Compilation, old: str, new: str) -> Compilation:
    """With another text in its place, once."""
    assert old in compilation.code
    return replace(compilation, code=compilation.code.replace(old, new, 1))
