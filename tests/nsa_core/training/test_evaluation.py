"""An evaluation's numbers, computed again from the features of the weights it was made with."""

import dataclasses

import numpy as np
import pytest
import torch

from nsa_core import TrialConfig, auroc, kappa, one_class_split, scorers, train
from nsa_core.metrics import knn_probe, linear_probe
from nsa_core.scorers import CCos, whitening
from nsa_core.training import build_method, embed, signals
from nsa_core.training import evaluation as evaluation_room
from nsa_core.training.signals import SPACES

CPU = torch.device("cpu")
CONFIG = TrialConfig(
    norm="f", depth=10, width=4, batch_size=32, budget=1, evaluations=1, held_out=0.2,
    probe_images=150, layers=("embedding",), channels_last=False, learning_rate=1e-3,
    method_options={"projector_dim": 16, "predictor_dim": 8},
)  # fmt: skip


@pytest.fixture(scope="module")
def split(digits):
    return one_class_split(*digits, 8, probe_images=150, held_out=0.2)


@pytest.fixture(scope="module")
def evaluated(split, tmp_path_factory):
    """The evaluation after one epoch, and the method as it was then."""
    path = tmp_path_factory.mktemp("evaluated") / "final.ckpt"
    (evaluation,) = train(CONFIG, split, checkpoint=path)
    method = build_method(CONFIG)
    method.load_state_dict(torch.load(path, weights_only=True)["method"])
    return evaluation, method


def test_probes_learn_from_the_labelled_training_images_and_are_tested_on_the_test_images(
    split, evaluated
):
    """Killed by it: a probe fitted on test."""
    evaluation, method = evaluated
    labelled = split.labelled
    ours = embed(method, labelled.train_images, CPU)
    theirs = embed(method, split.test_images, CPU)
    found = {
        (space, probe): probe(
            ours[space], labelled.train_labels, theirs[space], labelled.test_labels
        )
        for space in ("embedding", "projection")
        for probe in (linear_probe, knn_probe)
    }
    probes = evaluation.probes
    assert probes.linear == found["embedding", linear_probe]
    assert probes.knn == found["embedding", knn_probe]
    assert probes.projection_linear == found["projection", linear_probe]
    assert probes.projection_knn == found["projection", knn_probe]
    cheat = linear_probe(
        theirs["embedding"], labelled.test_labels, theirs["embedding"], labelled.test_labels
    )
    assert cheat > probes.linear + 0.05


def test_the_held_out_auroc_is_of_a_c_cos_fitted_on_the_training_images(split, evaluated):
    """Killed by it: held-out c-Cos fitted on the held-out set."""
    evaluation, method = evaluated
    held_out = split.held_out
    ours = embed(method, split.train_images, CPU)["embedding"]
    withheld = embed(method, held_out.images, CPU)["embedding"]
    found = auroc(CCos().fit(ours).score(withheld), held_out.is_outlier)
    assert evaluation.signals.held_out_auroc == found
    for cheat in (withheld, withheld[~held_out.is_outlier]):
        assert auroc(CCos().fit(cheat).score(withheld), held_out.is_outlier) != found


def test_the_projection_of_an_evaluation_is_that_of_unit_embeddings(split, evaluated):
    """Killed by it: f-norm skipped at evaluation, on the way from features to numbers."""
    evaluation, method = evaluated
    for images, found in (
        (split.train_images, evaluation.signals.projection.kappa),
        (split.test_images[~split.test_is_outlier], evaluation.test.projection.kappa_normal),
    ):
        y = embed(method, images, CPU)["embedding"]
        with torch.no_grad():
            z, skipped = (method.projector(x).numpy() for x in (y / y.norm(dim=1)[:, None], y))
        assert found == pytest.approx(kappa(z), rel=1e-4)
        assert found != pytest.approx(kappa(skipped), rel=1e-2)


def test_slow_scores_come_at_the_end_and_before_only_if_asked_for(split):
    short = dataclasses.replace(
        CONFIG, budget=2, evaluations=2, probe_images=0, held_out=0.0, batch_size=64
    )
    asked = dataclasses.replace(short, slow_scores=("oc-svm",))
    without, asked_for = ([*train(each, split)] for each in (short, asked))
    fast = {("embedding", name) for name in scorers.available() if name not in scorers.SLOW}
    slow = {("embedding", "oc-svm")}
    assert [each.test.auroc.keys() for each in without] == [fast, fast | slow]
    assert [each.test.auroc.keys() for each in asked_for] == [fast | slow, fast | slow]
    for one, other in zip(without, asked_for, strict=True):
        assert all(other.test.auroc[key] == value for key, value in one.test.auroc.items())


def test_an_evaluation_as_on_a_gpu_is_that_of_a_cpu(split, evaluated, monkeypatch):
    """Features stay tensors, and the Student-t rounds take Cholesky factors; in float32 the scores
    of the latter differ in its last digits.
    """
    for room in (signals, evaluation_room):
        monkeypatch.setattr(room, "measured", lambda features: features)
    monkeypatch.setattr(whitening, "_FACTORED", ("cpu",))
    (other,) = train(CONFIG, split)
    cpu, _ = evaluated
    for space in SPACES:
        for found, expected in (
            (getattr(other.signals, space), getattr(cpu.signals, space)),
            (getattr(other.test, space), getattr(cpu.test, space)),
        ):
            assert dataclasses.astuple(found) == pytest.approx(
                dataclasses.astuple(expected), rel=1e-9
            )
    assert other.signals.held_out_auroc == cpu.signals.held_out_auroc
    assert other.test.scores.keys() == cpu.test.scores.keys()
    for (_, name), scores in other.test.scores.items():
        rtol = 1e-4 if name == "c-cos-robust" else 1e-9
        np.testing.assert_allclose(scores, cpu.test.scores["embedding", name], rtol=rtol)


def test_labels_of_probes_reach_nothing_but_the_probes(split, evaluated):
    evaluation, _ = evaluated
    turned = dataclasses.replace(
        split.labelled, train_labels=np.roll(split.labelled.train_labels, 7)
    )
    (other,) = train(CONFIG, dataclasses.replace(split, labelled=turned))
    assert other.signals == evaluation.signals
    assert other.test.auroc == evaluation.test.auroc
    assert other.probes.linear < evaluation.probes.linear


def test_without_outliers_or_test_images_the_signals_are_the_same_and_nothing_is_ranked(
    split, evaluated
):
    whole, _ = evaluated
    normal = ~split.test_is_outlier
    for kept in (normal, np.zeros_like(normal)):
        without = dataclasses.replace(
            split,
            test_images=split.test_images[kept],
            test_is_outlier=split.test_is_outlier[kept],
            labelled=None,
        )
        (found,) = train(CONFIG, without)
        assert found.signals == whole.signals
        assert found.test.rankings == found.test.auroc == {}
        assert found.test.passes == whole.test.passes
        assert found.probes is None
        geometries = [(getattr(found.test, name), getattr(whole.test, name)) for name in SPACES]
        for geometry, of_whole in geometries:
            assert geometry.kappa_outlier is geometry.resultant_outlier is None
            if kept.any():
                assert geometry.kappa_normal == of_whole.kappa_normal
            else:
                assert geometry.kappa_normal is geometry.resultant_normal is None
        assert found.test.scores.keys() == (whole.test.scores.keys() if kept.any() else set())
        for name, scores in found.test.scores.items():
            np.testing.assert_allclose(scores, whole.test.scores[name][normal], rtol=1e-5)


def test_a_method_that_scores_by_itself_needs_no_test_images(split):
    own = dataclasses.replace(
        CONFIG, method="rotnet", norm="none", held_out=0.0, probe_images=0, method_options={}
    )
    nothing = dataclasses.replace(
        split, test_images=split.test_images[:0], test_is_outlier=split.test_is_outlier[:0]
    )
    (found,) = train(own, nothing)
    assert found.test.scores == {}
    assert found.test.passes == {"embedding": 1, "method": 4}
