"""ntkc: a compiler from network descriptions to proven, jitted infinite-width kernels."""

from ntkc.diagnostics import ArchError as ArchError
from ntkc.diagnostics import ArchWarning as ArchWarning
from ntkc.diagnostics import Diagnostic as Diagnostic
from ntkc.pipeline import Compilation as Compilation
from ntkc.pipeline import compile_source as compile_source
from ntkc.pipeline import load as load

__version__ = "0.1.0"
