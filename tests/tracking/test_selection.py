"""Choices by signals: checked by hand, and shown to be blind to everything of the test split."""

import pytest

from tracking import SIGNAL_COLUMNS
from tracking.schema import DYNAMICS
from tracking.selection import SIGNALS, best_epoch, best_trial, goodness, last_value


def rows(column: str, *values) -> list[dict]:
    return [
        dict.fromkeys(SIGNAL_COLUMNS) | {"epoch": 2 * index + 1, column: value}
        for index, value in enumerate(values)
    ]


def test_every_signal_is_a_column_that_may_select():
    assert {signal.column for signal in SIGNALS.values()} <= set(SIGNAL_COLUMNS)
    assert all(signal.reason for signal in SIGNALS.values())


def test_no_column_of_the_test_split_or_of_probes_may_select():
    refused = set(DYNAMICS.names) - set(SIGNAL_COLUMNS)
    assert {"kappa_test_normal", "kappa_test_outlier", "linear_probe", "knn_probe"} <= refused
    assert not any("test" in name or "probe" in name for name in SIGNAL_COLUMNS)


@pytest.mark.parametrize("choose", [last_value, best_epoch])
@pytest.mark.parametrize("column", ["kappa_test_normal", "linear_probe", "auroc"])
def test_rows_with_anything_else_are_refused(choose, column):
    with pytest.raises(ValueError, match=f"a selection was given {column}"):
        choose([rows("loss", 1.0)[0] | {column: 0.9}], "loss")
    with pytest.raises(ValueError, match=f"a selection was given {column}"):
        best_trial({"a": [rows("loss", 1.0)[0] | {column: 0.9}]}, "loss")


def test_the_best_epoch_is_the_earliest_of_the_best():
    assert best_epoch(rows("kappa_train", 1.0, 3.0, 3.0, 2.0), "kappa") == 3
    assert best_epoch(rows("loss", 0.5, 0.2, None, 0.2), "loss") == 3
    assert best_epoch(rows("loss", float("nan"), 0.2), "loss") == 3
    assert best_epoch(rows("held_out_auroc", None, None), "held-out") is None


def test_the_best_trial_is_that_of_the_best_last_value():
    trials = {"a": rows("loss", 0.1, 0.9), "b": rows("loss", 0.9, 0.4), "c": rows("loss", None)}
    assert best_trial(trials, "loss") == "b"
    trials = {"a": rows("kappa_train", 9.0, 1.0), "b": rows("kappa_train", 0.0, 2.0)}
    assert best_trial(trials, "kappa") == "b"
    assert best_trial({"a": []}, "kappa") is None


def test_last_value_is_of_the_last_epoch_and_finite():
    assert last_value(rows("loss", 1.0, 2.0), "loss") == 2.0
    assert last_value(rows("loss", 1.0, float("inf")), "loss") is None


def test_goodness_is_higher_for_better():
    assert goodness(0.9, "kappa") > goodness(0.1, "kappa")
    assert goodness(0.1, "loss") > goodness(0.9, "loss")
