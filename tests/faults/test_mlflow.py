"""The MLflow server is killed and started again and again beside a study."""

import random
from pathlib import Path

from tests.faults.lab import (
    Outcome,
    disturbed,
    pause,
    planned_count,
    seeded,
    start,
    stores,
)
from tests.tracking.mlflow_lab import Server, runs_of, values_in_mlflow, values_in_store
from tracking import mlflow_sync, open_store

ABLATION = "batchsize_ablation"


def kill_mlflow(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Kill the server at random moments until it has been done ``repeats`` times. What it then
    holds, after a sync, is compared with the store, value by value.
    """
    outcome = Outcome()
    for store in stores(folder, lambda: outcome.injections < repeats):
        place = folder / f"{store.name}.mlflow"
        place.mkdir(parents=True)
        server = Server(place)
        server.start()
        study = start(store, "--tracking-uri", server.uri)
        before = outcome.injections
        try:
            disturbed(
                study, store, outcome, repeats, lambda: pause(moments, 4),
                strike=server.kill, mend=server.start,
            )  # fmt: skip
            outcome.compare(store, reference)
            said = store.with_suffix(".err").read_text()
            assert said.count("the study goes on without it") <= outcome.injections - before
            assert mlflow_sync.main([str(store), "--tracking-uri", server.uri]) == 0
            found = values_in_mlflow(server.uri, ABLATION)
            wanted = values_in_store(open_store(store))
            outcome.lost += (wanted - found).total()
            outcome.doubled += (found - wanted).total()
            runs = runs_of(server.uri, ABLATION)
            assert len(runs) == planned_count() + 1  # trials and their parent
            assert {run.info.status for run in runs.values()} == {"FINISHED"}
        finally:
            study.kill()
            server.kill()
    return outcome


def test_an_mlflow_server_that_is_killed_costs_nothing(reference, tmp_path):
    kill_mlflow(tmp_path, reference, seeded(), 1).assert_nothing_lost(1)
