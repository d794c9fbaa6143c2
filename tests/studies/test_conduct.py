"""The commands that a study prints at its end can be pasted, whatever the store's path."""

import shlex

import pytest

from studies.conduct import _where_to_look
from tests.tracking.report.conftest import configurations, run
from tracking import StoreError, create_store, open_store
from tracking.mlflow.place import tracking_uri
from tracking.report.document import write_report


@pytest.mark.parametrize("name", ["plain", "a b", "it's", "a?b#c%20d", "$HOME"])
@pytest.mark.parametrize("mirrored", [True, False])
def test_commands_are_quoted(tmp_path, capsys, name, mirrored):
    store = create_store(tmp_path / name)
    store.plan("table3", [run(store, configurations()[0])])
    uri = tracking_uri(store)
    _where_to_look(store, write_report(store, "table3"), store.compact(), uri, mirrored)
    *_, line = capsys.readouterr().out.splitlines()
    command = line.removeprefix("MLflow   ").removeprefix("not up to date; later: ")
    assert shlex.split(command) == (
        ["mlflow", "ui", "--host", "127.0.0.1", "--backend-store-uri", uri]
        if mirrored
        else ["nsa", "sync", str(store.root), "--tracking-uri", uri]
    )


def test_commands_in_messages_are_quoted(tmp_path):
    store = create_store(tmp_path / "a b")
    store.plan("table3", [run(store, configurations()[0])])
    (store.compact() / "sources.json").write_text("{")
    with pytest.raises(StoreError) as error:
        store.trials()
    assert f"; nsa compact {shlex.quote(str(store.root))} makes it anew" in str(error.value)
    with pytest.raises(StoreError) as error:
        open_store(tmp_path / "not there")
    assert str(error.value).endswith(f"--store '{tmp_path}/not there'")
