"""Whole studies beside an MLflow that is absent or mute: all ends well, nothing is lost.

One that is killed again and again: ``tests/faults/test_mlflow.py``.
"""

import pytest

from tests.conftest import free_port
from tests.studies.conftest import run_study
from tests.tracking.mlflow_lab import (
    mute_server,
    values_in_mlflow,
    values_in_store,
)
from tracking import mlflow_sync, open_store

STUDY = "batchsize_ablation"


@pytest.mark.parametrize("kind", ["absent", "mute"])
def test_never_there(tmp_path, kind):
    path = tmp_path / "store"
    with mute_server() as mute:
        uri = mute if kind == "mute" else f"http://127.0.0.1:{free_port()}"
        done = run_study(path, "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the study goes on without it") == 1
    assert f"mlflow_sync {path} --tracking-uri {uri}" in done.stdout
    store = open_store(path)
    later = f"sqlite:///{tmp_path}/later.db"
    assert mlflow_sync.main([str(path), "--tracking-uri", later]) == 0
    values = values_in_mlflow(later, STUDY)
    assert values == values_in_store(store)
    assert values.total() > 8 * 3 * 30  # trials, epochs, columns at least
