"""What the tests share."""

from collections.abc import Callable

import pytest

from ntkc import Compilation, compile_source
from ntkc.source import Source


@pytest.fixture(scope="session")
def compile_text() -> Callable[[str], Compilation]:
    """Compiles the text of one file."""
    return lambda text: compile_source(Source("net.arch", text))
