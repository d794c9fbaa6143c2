"""The real command with its store in object storage: killed, gone on with, and the same numbers."""

import signal
import time
from types import SimpleNamespace

import pytest

from studies.cli import main
from tests.studies.conftest import TOY, rows, wait_for, workers
from tests.studies.forked import start_toy
from tests.studies.toy import STUDY
from tracking import StoreError, open_store


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def continued(s3_server, uri, tmp_path_factory):
    """A study of which first a worker, then the driver is killed, then the same command again."""
    name = f"s3://nsa/killed-{time.time_ns()}/store"
    folder = tmp_path_factory.mktemp("continued")
    driver = start_toy(name, "--tracking-uri", uri, words=folder / "killed")
    wait_until(lambda: running(name), driver)
    workers(driver)[0].kill()
    wait_until(lambda: ended(name), driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = ended(name)
    again = start_toy(name, "--tracking-uri", uri, words=folder / "again")
    code = again.wait(timeout=600)
    said = SimpleNamespace(
        stdout=(folder / "again.out").read_text(), stderr=(folder / "again.err").read_text()
    )
    assert code == 0, said.stderr
    return name, before, said


def wait_until(condition, driver):
    """Until it is true, while the driver runs."""

    def reached():
        assert driver.poll() is None, "the driver has ended"
        return condition()

    wait_for(reached, "the study to come so far", 600)


def statuses(name):
    try:
        return open_store(name).trials()["status"].to_pylist()
    except StoreError:  # not there yet
        return []


def running(name):
    return statuses(name).count("running")


def ended(name):
    return statuses(name).count("finished")


def test_it_goes_on_and_ends_with_the_numbers_of_a_folder(continued, undisturbed):
    name, before, done = continued
    assert 1 <= before < 4
    assert f"4 trials: {before} done before" in done.stdout
    reference, _ = undisturbed
    for table in ("scores", "dynamics", "trials"):
        found, expected = (rows(getattr(open_store(each), table)()) for each in (name, reference))
        assert len(found) == len(expected) / 2 > 0
        assert all(row in expected for row in found)


def test_it_says_where_to_look_and_that_is_there(continued, uri):
    name, _, done = continued
    root = open_store(name).root
    assert f"table    {name}/batchsize_ablation.md" in done.stdout
    assert f"Parquet  {name}/generations/00000" in done.stdout
    assert f"--backend-store-uri {uri}" in done.stdout
    assert (root / "batchsize_ablation.md").read_bytes().decode() in done.stdout
    assert (root / "batchsize_ablation.png").read_bytes().startswith(b"\x89PNG")
    assert (root / "report" / "batchsize_ablation.html").exists()
    assert not any((root / "ray").iterdir())  # Ray's notes are gone


def test_storage_that_does_not_answer_is_one_clear_error(s3_server, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert main(STUDY, [*TOY, "--store", "s3://nsa/unreachable/store"]) == 2
    error = capsys.readouterr().err
    assert "error: s3://nsa/unreachable/store" in error
    assert "cannot be reached" in error
