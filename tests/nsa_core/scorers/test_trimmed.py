from functools import partial

import numpy as np
import pytest
import torch
from sklearn.covariance import MinCovDet
from sklearn.metrics import roc_auc_score

from nsa_core.errors import InputError
from nsa_core.scorers import CosineKNN, KCos, Mahalanobis, OneClassSVM, Trimmed

RNG = np.random.default_rng(0)
DIM, CLEAN, POLLUTED = 5, 340, 60  # outliers are 15 % of the training set
SHIFT = np.array([6, 6, 0, 0, 0])
INLIERS = RNG.normal(size=(CLEAN, DIM))
OUTLIERS = RNG.normal(size=(POLLUTED, DIM)) + SHIFT
TRAIN = np.concatenate([INLIERS, OUTLIERS])
TEST = np.concatenate([RNG.normal(size=(300, DIM)), 2 * RNG.normal(size=(300, DIM)) + SHIFT / 2])
LABELS = np.repeat([0, 1], 300)

plain = partial(Mahalanobis, normalize=False)


def auroc(scorer):
    return roc_auc_score(LABELS, scorer.score(TEST))


def test_far_outliers_of_the_training_set_are_dropped():
    kept = Trimmed(plain, keep=0.75).fit(TRAIN).kept_
    assert len(kept) == 300
    assert (np.diff(kept) > 0).all()
    assert (kept >= CLEAN).sum() <= 1


def test_the_auroc_rises_towards_that_of_a_clean_fit():
    polluted, trimmed = auroc(plain().fit(TRAIN)), auroc(Trimmed(plain, keep=0.75).fit(TRAIN))
    clean = auroc(plain().fit(INLIERS))
    assert trimmed > polluted + 0.05
    assert trimmed > clean - 0.01


def test_the_scores_are_those_of_a_plain_fit_on_the_rows_kept():
    trimmed = Trimmed(plain).fit(TRAIN)
    again = plain().fit(TRAIN[trimmed.kept_])
    np.testing.assert_array_equal(trimmed.score(TEST), again.score(TEST))
    np.testing.assert_array_equal(trimmed.leave_one_out(), again.leave_one_out())


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_each_round_keeps_the_rows_nearest_to_the_fit_before(rounds):
    """Concentration steps, written out."""
    kept = np.arange(len(TRAIN))
    for _ in range(rounds):
        offsets = TRAIN - TRAIN[kept].mean(axis=0)
        inverse = np.linalg.inv(np.cov(TRAIN[kept].T, bias=True))
        distances = np.einsum("ni,ij,nj->n", offsets, inverse, offsets)
        kept = np.sort(np.argsort(distances)[:320])
    np.testing.assert_array_equal(Trimmed(plain, keep=0.8, rounds=rounds).fit(TRAIN).kept_, kept)


def test_a_row_kept_is_compared_with_the_others_kept_but_not_with_itself():
    unit = TRAIN / np.linalg.norm(TRAIN, axis=1, keepdims=True)
    kept, found = np.arange(400), []
    for _ in range(4):
        angles = np.arccos(np.clip(unit @ unit[kept].T, -1, 1))
        angles[kept, np.arange(len(kept))] = np.inf
        suspicion = np.sort(angles)[:, :5].mean(axis=1)
        kept = np.sort(np.argsort(suspicion)[:320])
        found.append(kept)
    assert not np.array_equal(found[0], found[3])
    trimmed = Trimmed(partial(CosineKNN, 5), keep=0.8, rounds=4).fit(TRAIN)
    np.testing.assert_array_equal(trimmed.kept_, kept)


def test_no_round_raises_the_determinant_of_the_covariance():
    """Theorem 1 of Rousseeuw and Van Driessen: concentration never hurts."""
    found = []
    for rounds in range(1, 8):
        kept = Trimmed(plain, keep=0.75, rounds=rounds).fit(TRAIN).kept_
        found.append(np.linalg.det(np.cov(TRAIN[kept].T, bias=True)))
    assert (np.diff(found) <= 1e-12).all()
    assert found[-1] < found[0]


def test_on_easy_data_the_rows_kept_are_those_of_scikit_learns_fast_mcd():
    ours = Trimmed(plain, keep=0.75, rounds=20).fit(TRAIN).kept_
    reference = MinCovDet(support_fraction=0.75, random_state=0).fit(TRAIN)
    theirs = np.flatnonzero(reference.raw_support_)
    assert len(ours) == len(theirs)
    assert len(np.intersect1d(ours, theirs)) > 0.97 * len(theirs)


@pytest.mark.parametrize("scorer", [CosineKNN, partial(KCos, center=False), OneClassSVM])
def test_scattered_outliers_are_dropped_by_scorers_of_other_kinds(scorer):
    """Outliers in a cluster of their own would be each other's near neighbours."""
    cluster = 0.2 * RNG.normal(size=(180, 10)) + 2
    scattered = RNG.normal(size=(20, 10)) - 1
    kept = Trimmed(scorer).fit(np.concatenate([cluster, scattered])).kept_
    assert len(kept) == 160
    assert kept.max() < 180


@pytest.mark.parametrize("scorer", [plain, CosineKNN, KCos])
def test_keeping_all_rows_is_the_plain_scorer(scorer):
    trimmed = Trimmed(scorer, keep=1).fit(TRAIN)
    assert trimmed.kept_.tolist() == list(range(400))
    np.testing.assert_array_equal(trimmed.score(TEST), scorer().fit(TRAIN).score(TEST))


def test_tensors_and_arrays_are_trimmed_alike():
    arrays = Trimmed(KCos).fit(TRAIN)
    tensors = Trimmed(KCos).fit(torch.from_numpy(TRAIN))
    np.testing.assert_array_equal(tensors.kept_, arrays.kept_)
    np.testing.assert_array_equal(tensors.score(torch.from_numpy(TEST)), arrays.score(TEST))


def test_at_least_one_row_remains():
    assert len(Trimmed(plain, keep=1e-9).fit(TRAIN).kept_) == 1


@pytest.mark.parametrize("keep", [0, -0.1, 1.01, float("nan")])
def test_a_keep_that_is_no_share_is_refused(keep):
    with pytest.raises(InputError, match=rf"keep is {keep}; need a share in \(0, 1\]"):
        Trimmed(plain, keep=keep).fit(TRAIN)


@pytest.mark.parametrize("rounds", [0, -1, 1.5])
def test_a_number_of_rounds_that_chooses_nothing_is_refused(rounds):
    with pytest.raises(InputError, match=f"rounds is {rounds}; need a whole number of at least 1"):
        Trimmed(plain, rounds=rounds).fit(TRAIN)
