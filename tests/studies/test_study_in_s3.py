"""The real command with its store in object storage: killed, gone on with, and the same numbers."""

import signal
import subprocess
import time

import pytest

from studies.batchsize_ablation import STUDY
from studies.cli import main
from tests.studies.conftest import ROOT, TOY, rows, study_command, wait_for, workers
from tracking import StoreError, open_store


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def continued(s3_server, uri):
    """A study of which first a worker, then the driver is killed, then the same command again."""
    name = f"s3://nsa/killed-{time.time_ns()}/store"
    command = study_command(name, "--tracking-uri", uri)
    driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_until(lambda: running(name), driver)
    workers(driver)[0].kill()
    wait_until(lambda: ended(name), driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = ended(name)
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False
    )
    return name, before, done


def wait_until(condition, driver):
    """Until it is true, while the driver runs."""

    def reached():
        assert driver.poll() is None, "the driver has ended"
        return condition()

    wait_for(reached, "the study to come so far", 240)


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
    assert done.returncode == 0, done.stderr
    assert 1 <= before < 8
    assert f"8 trials: {before} done before" in done.stdout
    reference, _ = undisturbed
    for table in ("scores", "dynamics", "trials"):
        found, expected = (getattr(open_store(place), table)() for place in (name, reference))
        assert rows(found) == rows(expected)


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
