"""The ``nsa`` command (``python -m studies``): run studies, work with stores and detectors."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from nsa_core import __version__
from nsa_core.errors import InputError, first_line, unknown
from studies import Search, Study, completion
from studies import main as run_study
from tracking.text import print_anything, printable

SHIPPED = (
    "batchsize_ablation",
    "early_stopping",
    "full_ablation",
    "hyperparameter_search",
    "one_class_benchmark",
    "pollution_robustness",
    "pretrained_backbones",
    "score_ablation",
)
OF_A_STORE = {
    "report": ("tracking.report.__main__", "write the reports of a store"),
    "query": ("tracking.query", "answer an SQL query over trials, dynamics and scores"),
    "sync": ("tracking.mlflow_sync", "bring MLflow up to date with a store"),
    "compact": ("tracking.compaction", "write all results of a store into three tables"),
}
OF_A_DETECTOR = {
    "fit": ("studies.detect.fit", "fit an anomaly detector to the images of a folder"),
    "score": ("studies.detect.score", "score images with it"),
    "inspect": ("studies.detect.inspection", "show on a page what it finds odd, and where"),
    "export": ("studies.detect.export", "write it as an ONNX file"),
}
COMMANDS = OF_A_DETECTOR | OF_A_STORE
USAGE = (
    """usage: nsa study NAME [options]      run a study; NAME is one of those below
       nsa study FILE.py [options]   or yours, with a STUDY in it; see CONTRIBUTING.md
       nsa list                      the studies
"""
    + "".join(f"       nsa {name:25} {what}\n" for name, (_, what) in COMMANDS.items())
    + """\
       nsa completion bash|zsh       what completes these commands in a shell
       nsa COMMAND --help            the options of a command
       nsa --version

studies: """
    + ", ".join(SHIPPED)
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Dispatch to a command; returns its exit status, 2 for bad input."""
    print_anything()
    match list(sys.argv[1:] if arguments is None else arguments):
        case ["--version"]:
            print(f"nsa {__version__}")
            return 0
        case ["--help" | "-h" | "help"] | ["study" | "run", "--help" | "-h"]:
            print(USAGE)
            return 0
        case ["list"] | ["study"]:
            for name in SHIPPED:
                print(f"{name:22} {study_of(name).title}")
            return 0
        case ["study" | "run", name, *rest]:
            try:
                study = study_of(name)
            except InputError as error:
                print(f"error: {printable(str(error))}", file=sys.stderr)
                return 2
            return run_study(study, rest)
        case ["completion", *rest]:
            return completion.main(rest, COMMANDS, SHIPPED)
        case [command, *rest] if command in COMMANDS:
            module = importlib.import_module(COMMANDS[command][0])
            return int(module.main(rest))
    print(USAGE, file=sys.stderr)
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
        raise InputError(
            f"study file {str(path)!r}: {type(error).__name__}: {first_line(error)}"
        ) from error
    return module


if __name__ == "__main__":
    sys.exit(main())
