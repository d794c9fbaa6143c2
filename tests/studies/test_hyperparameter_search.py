"""The whole search as a user runs it, and the proof that it cannot see test labels."""

import io
from contextlib import redirect_stdout

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsa_core import load_images
from studies.cli import main
from studies.hyperparameter_search import STUDY
from studies.search.suggestions import open_storage, open_study
from tests.studies.conftest import OPTIONS
from tracking import open_store
from tracking.selection import SIGNALS, best_epoch, best_trial

TOY = ["--preset", "quick", "--epochs", "4", "--trials", "4", "--set", "evaluations=3"]
TOY += ["--set", "width=8", "--set", "depth=10", "--set", f"method_options={OPTIONS}"]


def search(store, *more) -> int:
    return main(STUDY, [*TOY, "--store", str(store), *more])


def configurations(store) -> list[dict]:
    """What was searched, in the order of the search."""
    found = [store.trial(key).definition()["config"] for key in store.members(STUDY.name)]
    return [{name: value for name, value in each.items() if name != "dataset"} for each in found]


def as_parquet(folder, shuffle: bool):
    """The digits as a user's own files; the test images, and so their labels, maybe in disorder."""
    folder.mkdir()
    for split in ("train", "test"):
        digits = load_images("digits", split)
        labels = digits.labels
        if shuffle and split == "test":
            labels = np.random.default_rng(0).permutation(labels)
        images = []
        for pixels in digits.images:
            stream = io.BytesIO()
            Image.fromarray(pixels[0]).save(stream, "PNG")
            images.append({"bytes": stream.getvalue(), "path": None})
        pq.write_table(pa.table({"image": images, "label": labels}), folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """The same search, with trials stopped early, in two worlds that differ in test labels alone.

    One trial after another, so that what the scheduler sees does not depend on the machine.
    """
    place = tmp_path_factory.mktemp("worlds")
    stores, shown = [], []
    for shuffle in (False, True):
        data = as_parquet(place / f"data-{shuffle}", shuffle)
        path = place / f"store-{shuffle}"
        given = ["--dataset", "{split}.parquet", "--data-root", str(data), "--concurrency", "1"]
        with redirect_stdout(io.StringIO()) as said:
            assert search(path, *given, "--asha", "held-out") == 0
        stores.append(open_store(path))
        shown.append(said.getvalue())
    return stores, shown


def test_nothing_that_is_chosen_changes_with_the_labels_of_the_test_split(worlds):
    """Equal searches, equal choices, other AUROC."""
    stores, _ = worlds
    true, shuffled = stores
    assert configurations(true) == configurations(shuffled)
    keys = [store.members(STUDY.name) for store in stores]
    choices = []
    for store, members in zip(stores, keys, strict=True):
        signals = {str(members.index(key)): store.trial(key).signals() for key in members}
        best = {name: best_trial(signals, name) for name in SIGNALS}
        epochs = {(n, k): best_epoch(rows, n) for n in SIGNALS for k, rows in signals.items()}
        status = [store.trial(key).state()["status"] for key in members]
        choices.append((best, epochs, status))
    assert choices[0] == choices[1]
    assert true.scores()["auroc"].to_pylist() != shuffled.scores()["auroc"].to_pylist()


def test_the_search_reports_correlation_and_regret(worlds):
    stores, shown = worlds
    assert "4 trials: 0 done before, 4 to run" in shown[0]
    assert "rank correlation" in shown[0]
    for name in ("oracle", *SIGNALS):
        assert name in shown[0]
    assert None not in stores[0].dynamics()["held_out_auroc"].to_pylist()


def test_a_scheduler_stops_trials_that_are_named_and_not_averaged(worlds):
    for store, shown in zip(*worlds, strict=True):
        status = store.trials()["status"].to_pylist()
        assert len(status) == 4
        assert {*status} == {"stopped", "finished"}
        assert shown.count("by the scheduler after epoch") == status.count("stopped")


def test_several_objectives_have_a_pareto_front_and_the_search_goes_on(tmp_path, capsys):
    path = tmp_path / "store"
    two = ["--objectives", "kappa,alignment", "--sampler", "random", "--concurrency", "1"]
    assert search(path, *two, "--trials", "2") == 0
    store = open_store(path)
    before = {key: store.trial(key).state() for key in store.members(STUDY.name)}
    assert len(before) == 2
    capsys.readouterr()
    journal = path / "optuna" / "hyperparameter_search.journal"
    journal.write_bytes(journal.read_bytes()[:-9])  # half a line, as a full disk leaves it
    assert search(path, *two, "--trials", "3") == 0
    assert "3 trials: 2 done before, 1 to run" in capsys.readouterr().out
    after = {key: store.trial(key).state() for key in store.members(STUDY.name)}
    assert len(after) == 3
    assert all(after[key] == state for key, state in before.items())
    assert search(path, *two, "--trials", "3") == 0
    assert "3 trials: 3 done before, 0 to run" in capsys.readouterr().out
    assert search(path, *two, "--trials", "3", "--set", "pollution=0.05") == 2
    shown = capsys.readouterr().err
    assert "belongs to another search: its pollution is 0.1, asked for now is 0.05" in shown
    storage = open_storage(path / "optuna" / "hyperparameter_search.journal")
    study = open_study(storage, STUDY.name, purpose={}, objectives=2, sampler="random", seed=0)
    last = {row["trial_id"]: row for row in store.dynamics().to_pylist() if row["epoch"] == 4}
    told = {trial.user_attrs["trial_id"]: trial.values for trial in study.trials}
    assert told == {k: [r["kappa_train"], -r["alignment_train"]] for k, r in last.items()}
    assert study.best_trials
    a_search_without_its_journal_goes_on_as_the_same_one(path, two, capsys)


def a_search_without_its_journal_goes_on_as_the_same_one(path, two, capsys):
    (path / "optuna" / "hyperparameter_search.journal").unlink()
    assert search(path, *two, "--trials", "3", "--set", "pollution=0.05") == 2
    assert "is of another search than is asked for now" in capsys.readouterr().err
    assert search(path, *two, "--trials", "3") == 0
    assert "3 trials: 3 done before, 0 to run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objectives", "aurocc"], "unknown signal 'aurocc'"),
        (["--objectives", "test"], "unknown signal 'test'"),
        (["--asha", "kapa"], "unknown signal 'kapa'; did you mean 'kappa'?"),
        (["--sampler", "grid"], "unknown sampler 'grid'"),
        (["--trials", "0"], "--trials is 0; need at least 1"),
        (["--classes", "1,2"], "a search is for one class"),
        (["--seeds", "3"], "a search has one seed"),
        (["--set", "norm=f"], "'norm' is in the space of hyperparameter_search"),
        (["--set", "held_out=0"], "the signal 'held-out' needs images to hold out"),
        (["--retry-failed"], "--retry-failed is for grids"),
        (["--preset", "quik"], "unknown preset 'quik'"),
    ],
)
def test_bad_input_is_one_clear_error_and_leaves_nothing(arguments, message, tmp_path, capsys):
    assert search(tmp_path / "store", *arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("error: ") == 1
    assert not (tmp_path / "store").exists()


def test_a_storage_of_another_search_is_refused(tmp_path, capsys):
    journal = tmp_path / "other.journal"
    open_study(open_storage(journal), "thesis", purpose={}, objectives=1, sampler="tpe", seed=0)
    assert search(tmp_path / "store", "--trials", "1", "--storage", str(journal)) == 2
    assert "holds the study 'thesis', not 'hyperparameter_search'" in capsys.readouterr().err
