"""A checkpoint, or any file that a user hands over, is data: nothing in it is executed."""

import ast
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from nsa_core import InputError
from nsa_core.training.checkpoint import load_checkpoint
from studies.mlflow_model import log_best
from studies.trial.life import run_trial
from tests.security.hostile import Trap
from tests.studies.conftest import ROOT
from tracking import open_store
from tracking.mlflow.place import tracking_uri

STUDY = "batchsize_ablation"
SOURCES = ("nsa_core", "tracking", "studies", "benchmarks")


def plain_pickle(path: Path, trap: Trap) -> None:
    path.write_bytes(pickle.dumps({"version": 1, "trap": trap}))


def torch_zip(path: Path, trap: Trap) -> None:
    torch.save({"version": 1, "trap": trap}, path)


def torch_legacy(path: Path, trap: Trap) -> None:
    torch.save({"version": 1, "trap": trap}, path, _use_new_zipfile_serialization=False)


def torch_script(path: Path, trap: Trap) -> None:
    """As torch.jit writes them: torch.load hands such a file on to another reader."""
    torch_zip(path, trap)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].split('/')[0]}/constants.pkl", b"")


KINDS = [plain_pickle, torch_zip, torch_legacy, torch_script]


@pytest.fixture(scope="module")
def store(undisturbed, tmp_path_factory):
    """A copy of a finished study, without its MLflow."""
    path = tmp_path_factory.mktemp("trapped") / "store"
    ignored = shutil.ignore_patterns("mlflow*")
    shutil.copytree(undisturbed[0], path, symlinks=True, ignore=ignored)
    return open_store(path)


@pytest.fixture
def armed(tmp_path):
    """A trap that must not have sprung in the end."""
    trap = Trap(tmp_path / "executed")
    yield trap
    assert not trap.sentinel.exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [plain_pickle, torch_zip, torch_legacy])
def test_the_traps_would_spring(tmp_path, kind):
    trap = Trap(tmp_path / "executed")
    kind(tmp_path / "file", trap)
    if kind is plain_pickle:
        pickle.loads((tmp_path / "file").read_bytes())
    else:
        torch.load(tmp_path / "file", weights_only=False)
    assert trap.sentinel.is_dir()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_loading_executes_nothing(tmp_path, armed, kind):
    kind(tmp_path / "checkpoint.pt", armed)
    with pytest.raises(InputError, match=r"checkpoint\.pt"):
        load_checkpoint(tmp_path / "checkpoint.pt", "config", "fingerprint")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_executes_nothing_and_takes_nothing_from_it(store, armed, kind):
    """It fails by name, or trains from the start; it never ends well with epochs left out."""
    record, other = map(store.trial, store.members(STUDY)[:2])
    epochs = other.dynamics()["epoch"].to_pylist()
    assert len(epochs) > 1
    (record.folder / "status.json").unlink()
    for name in ("dynamics", "scores", "test_scores", "extremes"):
        (record.folder / f"{name}.parquet").unlink(missing_ok=True)
    kind(record.checkpoint, armed)
    seen = [evaluation.epoch for evaluation in run_trial(record, None, torch.device("cpu"))]
    state = record.state()
    if state["status"] == "failed":
        assert "checkpoint" in state["message"]
        assert seen == []
    else:
        assert state["status"] in ("finished", "collapsed")
        assert seen == epochs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_for_mlflow_is_not_made_of_it(store, armed, kind):
    finished = [
        record
        for record in map(store.trial, store.members(STUDY))
        if record.state()["status"] == "finished"
    ]
    assert finished
    for record in finished:
        kind(record.checkpoint, armed)
    with pytest.raises(InputError, match=r"checkpoint"):
        log_best(store, STUDY, tracking_uri(store))


BUILTINS = {"eval", "exec", "compile", "__import__"}
METHODS = {"system", "popen", "exec_module", "read_pickle", "getoutput", "getstatusoutput"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
ALLOWED = {
    ("studies/__main__.py", "exec_module"),  # the user's own study, which the user asks to run
    ("nsa_core/torch_file.py", "import pickle"),  # the name of its error alone
}


def test_no_source_reads_data_in_a_way_that_executes_it():
    found, loads = set(), 0
    for path in (path for name in SOURCES for path in (ROOT / name).rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            for what in risks(node):
                found.add((where, what))
            loads += isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    assert loads >= 1
    assert found == ALLOWED


def risks(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        names = [each.name.split(".")[0] for each in node.names]
        return [f"import {name}" for name in names if name in MODULES]
    if isinstance(node, ast.ImportFrom):
        return [f"import {node.module}"] if (node.module or "").split(".")[0] in MODULES else []
    if not isinstance(node, ast.Call):
        return []
    called = ast.unparse(node.func)
    given = {each.arg: ast.unparse(each.value) for each in node.keywords}
    if called == "torch.load" and given.get("weights_only") != "True":
        return ["torch.load without weights_only=True"]
    if called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
        return ["np.load without allow_pickle=False"]
    if given.get("shell", "False") != "False":
        return ["shell=True"]
    last = called.rpartition(".")[2]
    return [last] if called in BUILTINS or last in METHODS else []


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(x)", "torch.load(x, weights_only=False)", "np.load(x, allow_pickle=True)",
        "import pickle", "from joblib import load", "eval(x)", "subprocess.run(x, shell=True)",
        "os.system(x)", "yaml.load(x)\nimport yaml",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_should(source):
    assert any(risks(node) for node in ast.walk(ast.parse(source)))
