"""The MLflow server is killed and started again and again beside a study."""

import random
import time
from pathlib import Path

from tests.faults.lab import Outcome, recorded_again, seeded, start, stores, wait_for
from tests.tracking.mlflow_lab import Server, values_in_mlflow, values_in_store
from tracking import mlflow_sync, open_store


def kill_mlflow(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Kill the server at random moments until it has been done ``repeats`` times. What it then
    holds, after a sync, is compared with the store, value by value.
    """
    outcome = Outcome()
    for store in stores(folder):
        place = folder / f"{store.name}.mlflow"
        place.mkdir(parents=True)
        server = Server(place)
        server.start()
        study = start(store, "--tracking-uri", server.uri)
        try:
            wait_for(lambda path=store: (path / "writer.lock").exists(), "the store")
            while outcome.injections < repeats:
                time.sleep(moments.uniform(0, 4))
                if study.poll() is not None:
                    break
                killed = time.time_ns()
                server.kill()
                outcome.injections += 1
                outcome.seconds.append(recorded_again(store, killed, study))
                server.start()
            assert study.wait(timeout=600) == 0, store.with_suffix(".err").read_text()
            outcome.compare(store, reference)
            assert mlflow_sync.main([str(store), "--tracking-uri", server.uri]) == 0
            found = values_in_mlflow(server.uri, "batchsize_ablation")
            wanted = values_in_store(open_store(store))
            outcome.lost += (wanted - found).total()
            outcome.doubled += (found - wanted).total()
        finally:
            study.kill()
            server.kill()
        if outcome.injections >= repeats:
            return outcome
    raise AssertionError


def test_an_mlflow_server_that_is_killed_costs_nothing(reference, tmp_path):
    kill_mlflow(tmp_path, reference, seeded(), 2).assert_nothing_lost(2)
