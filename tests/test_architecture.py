"""The shape of the package: who may import whom, and how long files and functions may be."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import ntkc
import ntkc.layers
from ntkc.backends.library import PRELUDE, _definitions

ROOT = Path(ntkc.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ALLOWED = {
    "source": "",
    "files": "",
    "gaussian": "",
    "functions": "",
    "diagnostics": "source",
    "ir": "diagnostics gaussian source",
    "parsing": "diagnostics ir source",
    "deriving": "gaussian ir",
    "lowering": "gaussian ir",
    "backends": "gaussian ir lowering",
    "layers": "backends ir",
    "vocabulary": "functions ir layers",
    "resolving": "diagnostics gaussian ir layers source vocabulary",
    "passes": "deriving diagnostics gaussian ir lowering parsing resolving source vocabulary",
    "sampling": "backends diagnostics gaussian ir",
    "pipeline": "certificate deriving sampling backends diagnostics ir passes source",
    "certificate": "gaussian ir",
    "checker": "",
    "verify": "backends checker diagnostics gaussian ir passes pipeline",
    "demo": "files ir pipeline verify",
    "samples": "diagnostics files ir",
    "cli": "checker samples sampling backends demo diagnostics files ir lowering passes pipeline verify",
    "__init__": "diagnostics pipeline",
}
"""What each file or folder may import; `layers` reads the finite-width helpers of `backends/prelude`."""
EVALUATORS = {"eval", "exec", "sympify", "parse_expr"}


def _part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[str]:
    """The parts of the package that a file imports."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"ntkc.{a.name}" for a in node.names] if node.module == "ntkc" else [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("ntkc."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_sizes_and_evaluation(path: Path) -> None:
    text = path.read_text()
    tree, part = ast.parse(text), _part(path)
    assert set(_imports(tree)) <= {part, *ALLOWED[part].split()}
    assert len(text.splitlines()) <= 300
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 40, node.name
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not inner, f"{node.name} imports inside of itself"
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            assert name not in EVALUATORS or (name, path.name) == ("exec", "pipeline.py")


def test_the_table_has_no_cycle_and_no_stranger() -> None:
    assert set(ALLOWED) == {_part(path) for path in FILES}
    tuple(TopologicalSorter({part: others.split() for part, others in ALLOWED.items()}).static_order())


def test_functions_of_emitted_modules_have_names_of_their_own() -> None:
    """Those of the prelude and of all layers meet in one file, where the first of two with one name would win."""
    layers = [import_module(f"ntkc.layers.{found.name}") for found in iter_modules(ntkc.layers.__path__)]
    names = [name for module in (*PRELUDE, *layers) for name in _definitions(module) if name[0] == "_" and name[1].islower()]
    assert len(names) == len(set(names))
