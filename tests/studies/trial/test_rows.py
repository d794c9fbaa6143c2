"""One evaluation as rows and artifacts of the store."""

import dataclasses

import pytest

from nsa_core import ImageSet, TrialConfig, one_class_split, train
from nsa_core.data import load_images
from studies.trial import rows as made
from tracking.schema import SCORES, table_of

CONFIG = TrialConfig(
    method="rotnet", norm="none", depth=10, width=4, channels_last=False, batch_size=8, budget=1,
    evaluations=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    """RotNet on a few digits: a method with a score of its own."""
    whole = one_class_split(load_images("digits", "train"), load_images("digits", "test"), 0)
    split = dataclasses.replace(
        whole,
        train_images=whole.train_images[:16],
        test_images=whole.test_images[:30],
        test_is_outlier=whole.test_is_outlier[:30],
    )
    return list(train(CONFIG, split))[-1], split


def test_a_methods_own_score_is_a_row_of_the_layer_method(trained):
    evaluation, _ = trained
    rows = table_of(
        ({"trial_id": "f" * 16, "epoch": 1, **row} for row in made.score_rows(evaluation)), SCORES
    )
    own = [row for row in rows.to_pylist() if row["layer"] == "method"]
    assert [row["scorer"] for row in own] == ["rotation"]
    assert own[0]["auroc"] == evaluation.test.auroc["method", "rotation"]


def test_a_trial_knows_what_its_scores_cost(trained):
    evaluation, _ = trained
    assert made.passes(evaluation) == {"passes": 1, "own_passes": 4}


def test_without_outliers_there_are_false_alarms_and_no_row_of_scores(trained):
    _, split = trained
    normal = ~split.test_is_outlier
    normals = dataclasses.replace(
        split, test_images=split.test_images[normal], test_is_outlier=split.test_is_outlier[normal]
    )
    (evaluation,) = train(CONFIG, normals)
    row = made.dynamics_row(evaluation)
    assert row["kappa_test_outlier"] is row["projection_resultant_test_outlier"] is None
    assert row["kappa_test_normal"] > 0
    assert made.score_rows(evaluation) == []
    assert made.test_scores(evaluation, normals).num_rows == normal.sum()
    whole = load_images("digits", "test")
    images = ImageSet(whole.images[:30][normal], whole.labels[:30][normal], whole.class_names)
    kinds = made.extremes(evaluation, normals, images)["kind"].to_pylist()
    assert set(kinds) == {"false alarm"}


def test_without_test_images_their_columns_are_null(trained):
    evaluation, split = trained
    nothing = dataclasses.replace(
        split, test_images=split.test_images[:0], test_is_outlier=split.test_is_outlier[:0]
    )
    (alone,) = train(CONFIG, nothing)
    row = made.dynamics_row(alone)
    of_test = {name for name in row if "_test_" in name}
    assert len(of_test) == 8
    assert {row[name] for name in of_test} == {None}
    with_test = made.dynamics_row(evaluation)
    assert all(row[name] == with_test[name] for name in row if name.endswith("_train"))
    assert made.score_rows(alone) == []


def test_test_scores_are_those_of_the_embedding_and_the_methods_own(trained):
    evaluation, split = trained
    table = made.test_scores(evaluation, split)
    assert {"row", "is_outlier", "c-cos", "rotation"} <= set(table.column_names)
    own = evaluation.test.scores["method", "rotation"]
    assert table["rotation"].to_pylist() == own.tolist()
    assert table.num_rows == 30
    embedding = evaluation.test.scores["embedding", "c-cos"]
    assert table["c-cos"].to_pylist() == embedding.tolist()  # of no other layer
