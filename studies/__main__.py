"""``python -m studies list``, ``python -m studies run NAME-OR-FILE [options]``."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from nsa_core import InputError
from nsa_core.errors import unknown
from studies.cli import main as run_study
from studies.search import Search
from studies.study import Study
from tracking.plain_text import plain

SHIPPED = (
    "batchsize_ablation",
    "early_stopping",
    "full_ablation",
    "hyperparameter_search",
    "pollution_robustness",
    "score_ablation",
)
_USAGE = """usage: python -m studies list
       python -m studies run NAME [options]      one of those in the list
       python -m studies run FILE.py [options]   your own, with a STUDY in it; see CONTRIBUTING.md
       python -m studies run NAME --help"""


def main(arguments: Sequence[str]) -> int:
    """List or run; the exit status is that of the study, 2 for bad input."""
    match arguments:
        case ["list"]:
            for name in SHIPPED:
                print(f"{name:22} {study_of(name).title}")
            return 0
        case ["run", name, *rest]:
            try:
                study = study_of(name)
            except InputError as error:
                print(f"error: {plain(str(error))}", file=sys.stderr)
                return 2
            return run_study(study, rest)
    print(_USAGE, file=sys.stderr)
    return 2


def study_of(name: str) -> Study | Search:
    """The ``STUDY`` of a shipped study, or of a file of the user's own, which is executed.

    Raises:
        InputError: no such study or file, or no STUDY in it.
    """
    module = _from_file(Path(name)) if name.endswith(".py") else _shipped(name)
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study | Search):
        raise InputError(f"{name} has no STUDY = Study(...); see CONTRIBUTING.md")
    return study


def _shipped(name: str) -> ModuleType:
    if name not in SHIPPED:
        raise unknown("study", name, [*SHIPPED, "FILE.py"])
    return importlib.import_module(f"studies.{name}")


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"study file {str(path)!r} does not exist")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"study file {str(path)!r}: {type(error).__name__}: {error}") from error
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
