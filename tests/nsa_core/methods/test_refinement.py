import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from nsa_core import InputError
from nsa_core.methods.refinement import OneClass, refine


def cloud(normal=180, outliers=20, dim=6):
    """Unit-length features around one direction, and outliers around another; mixed in order."""
    stream = torch.Generator().manual_seed(0)
    around = torch.eye(dim)[0] * 6 + torch.randn(normal, dim, generator=stream)
    others = torch.eye(dim)[1] * 6 + torch.randn(outliers, dim, generator=stream)
    order = torch.randperm(normal + outliers, generator=stream)
    return torch.cat([around, others])[order], (torch.arange(normal + outliers) >= normal)[order]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def gaussian(train, rows):
    covariance = np.cov(train.T, bias=True) + 1e-6 * np.eye(train.shape[1])
    return -multivariate_normal(train.mean(0), covariance).logpdf(rows)


def kernels(train, rows):
    gamma = 10 / (train.shape[1] * train.var())
    squares = ((rows[:, None] - train[None]) ** 2).sum(2)
    return -np.log(np.exp(-gamma * squares).mean(1))


@pytest.mark.parametrize(("kind", "score"), [(OneClass.GDE, gaussian), (OneClass.KDE, kernels)])
@pytest.mark.parametrize(("subsets", "share"), [(1, 0.1), (5, 0.1), (3, 0.25)])
def test_what_is_kept_equals_a_loop_over_models_and_images(kind, score, subsets, share):
    features, _ = cloud()
    rows = unit(features.double().numpy())
    kept = []
    models = [score(rows[first::subsets], rows) for first in range(subsets)]
    for index in range(len(rows)):
        flags = 0
        for scores in models:
            above = sum(other > scores[index] for other in scores)
            flags += above < share * (len(rows) - 1)  # among the highest share of them
        kept.append(flags == 0)
    assert refine(features, subsets, share, kind).tolist() == kept


@pytest.mark.parametrize("kind", list(OneClass), ids=str)
def test_most_outliers_and_few_normals_are_dropped(kind):
    features, outlier = cloud()
    kept = refine(features, 5, 0.1, kind)
    assert kept[outlier].float().mean() < 0.3
    assert kept[~outlier].float().mean() > 0.85


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
def test_between_one_and_k_times_the_share_is_dropped(share):
    features = torch.randn(200, 6, generator=torch.Generator().manual_seed(3))
    dropped = {k: 1 - refine(features, k, share, OneClass.GDE).float().mean() for k in (1, 5)}
    assert dropped[1] == pytest.approx(share, abs=1e-6)
    assert share < dropped[5] < 5 * share


def test_equal_features_are_all_kept():
    assert refine(torch.ones(20, 3), 4, 0.1, OneClass.GDE).all()


def test_more_subsets_than_images_are_refused():
    with pytest.raises(InputError, match="subsets is 21, above the 20 training images"):
        refine(torch.ones(20, 3), 21, 0.1, OneClass.GDE)


def test_of_two_images_each_model_flags_the_one_that_it_was_not_fitted_on():
    assert not refine(torch.eye(2), 2, 0.5, OneClass.KDE).any()
