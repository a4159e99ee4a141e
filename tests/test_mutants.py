"""The mutants of `benchmarks/` stay what they were written to be: their text stands in the package, once."""

import tomllib
from pathlib import Path

import pytest

from ntkc.diagnostics import ArchError
from ntkc.passes.read import read
from ntkc.pipeline import compile_source

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks" / "mutants"
MUTANTS = tomllib.loads((FOLDER / "mutants.toml").read_text())["mutant"]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[m["name"] for m in MUTANTS])
def test_its_text_stands_there_once(mutant: dict[str, str]) -> None:
    text = (ROOT / "ntkc" / mutant["file"]).read_text()
    assert text.count(mutant["old"]) == 1
    assert mutant["new"] != mutant["old"]
    assert (FOLDER / f"{mutant['program']}.arch").exists()


def test_there_are_enough_of_all_kinds() -> None:
    folders = {m["file"].split("/")[0] for m in MUTANTS}
    assert {"gaussian", "layers", "deriving", "resolving", "lowering", "backends"} <= folders
    assert len({m["name"] for m in MUTANTS}) == len(MUTANTS) >= 60


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.arch")), ids=lambda p: p.stem)
def test_its_program_compiles(path: Path) -> None:
    try:
        assert compile_source(read(path), masked=path.stem.startswith("padded")).derived is not None
    except ArchError as error:
        pytest.fail(str(error))
