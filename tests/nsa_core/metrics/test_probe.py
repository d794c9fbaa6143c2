import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from nsa_core.errors import InputError
from nsa_core.metrics import knn_probe, linear_probe


@pytest.fixture(scope="module")
def digits():
    """Raw pixels and labels of handwritten digits: training features, labels, the same for test."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = torch.from_numpy(pixels[order]).float(), labels[order]
    return x[:1200], y[:1200], x[1200:], y[1200:]


def blobs(classes, distance, dim=10, count=3000):
    """Normal clouds around random centres; two thirds for training."""
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, count)
    features = distance * rng.normal(size=(classes, dim))[labels] + rng.normal(size=(count, dim))
    features *= rng.uniform(0.01, 100, dim)  # dimensions of unlike size
    x, cut = torch.from_numpy(features).float(), count * 2 // 3
    return x[:cut], labels[:cut], x[cut:], labels[cut:]


def by_scikit_learn(train, train_labels, test, test_labels):
    scaler = StandardScaler().fit(train.numpy())
    model = LogisticRegression(C=1e4, max_iter=5000)
    model.fit(scaler.transform(train.numpy()), train_labels)
    return model.score(scaler.transform(test.numpy()), test_labels)


def vote_by_vote(train, train_labels, test, k, temperature):
    """One test row at a time, in double precision; the weights are compared as logarithms."""
    bank = train.double().numpy()
    bank = bank / np.linalg.norm(bank, axis=1, keepdims=True)
    guesses = []
    for row in test.double().numpy():
        cosines = bank @ (row / math.sqrt(row @ row))
        votes = {}
        for index in sorted(range(len(bank)), key=lambda i: -cosines[i])[:k]:
            votes.setdefault(int(train_labels[index]), []).append(cosines[index] / temperature)
        totals = {label: np.logaddexp.reduce(logs) for label, logs in votes.items()}
        guesses.append(max(totals, key=totals.get))
    return np.array(guesses)


@pytest.mark.parametrize(
    ("classes", "distance", "least", "most"),
    [(3, 2.0, 0.98, 1.0), (10, 1.0, 0.7, 0.9), (5, 0.3, 0.35, 0.6)],
    ids=["easy", "harder", "hard"],
)
def test_the_linear_probe_is_as_good_as_logistic_regression(classes, distance, least, most):
    problem = blobs(classes, distance)
    expected = by_scikit_learn(*problem)
    assert least <= expected <= most  # the problem is what its name says
    assert linear_probe(*problem, epochs=40) == pytest.approx(expected, abs=0.02)


def test_both_probes_read_handwritten_digits(digits):
    assert linear_probe(*digits) > 0.93
    assert knn_probe(*digits) > 0.93
    assert linear_probe(*digits, epochs=20) == pytest.approx(by_scikit_learn(*digits), abs=0.03)


def test_more_epochs_and_a_seed_reach_the_optimiser(digits):
    assert linear_probe(*digits, epochs=1, learning_rate=1e-3) < linear_probe(*digits, epochs=20)
    hard = blobs(5, 0.3)
    assert len({linear_probe(*hard, epochs=2, seed=seed) for seed in range(5)}) > 1


def test_the_linear_probe_gives_the_same_bits_and_leaves_global_randomness_alone(digits):
    hard = blobs(5, 0.3)
    results = []
    for seed in (0, 1, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()
        results.append(linear_probe(*hard, epochs=3))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]
    assert results[0] == results[1] == results[2]


def test_the_linear_probe_leaves_its_input_alone(digits):
    train, labels, test, test_labels = digits
    copy = train.clone(), labels.copy(), test.clone(), test_labels.copy()
    linear_probe(train, labels, test, test_labels, epochs=1)
    for a, b in zip(digits, copy, strict=True):
        assert (a == b).all()


@pytest.mark.parametrize(("scale", "shift"), [(1e-4, 5), (1e6, 0), (1e-8, 0), (1, -1000)])
def test_size_and_place_of_the_features_do_not_matter_to_the_linear_probe(digits, scale, shift):
    train, labels, test, test_labels = digits
    expected = linear_probe(*digits, epochs=20)
    moved = linear_probe(
        train * scale + shift, labels, test * scale + shift, test_labels, epochs=20
    )
    assert moved == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("constant", [0.0, 0.1, 5.1, 1000.7])
def test_constant_dimensions_change_nothing_to_the_linear_probe(digits, constant):
    """5.1 is no sum of few powers of two: its mean over many rows is not 5.1 in float32."""
    train, labels, test, test_labels = digits
    train, test = train * 1e-4 + 5, test * 1e-4 + 5
    dead = [torch.full((len(x), 8), constant) for x in (train, test)]
    expected = linear_probe(train, labels, test, test_labels, epochs=10)
    wider = torch.cat([train, dead[0]], 1), labels, torch.cat([test, dead[1]], 1), test_labels
    assert linear_probe(*wider, epochs=10) == pytest.approx(expected, abs=0.005)
    wider[2][:, -8:] = torch.randn(len(test), 8)  # alive in test alone: nothing was learnt of it
    assert linear_probe(*wider, epochs=10) == pytest.approx(expected, abs=0.005)


def test_features_without_any_information_give_the_most_frequent_class():
    labels = np.array([1] * 60 + [0] * 40)
    same = torch.full((100, 4), 0.3)
    assert linear_probe(same, labels, same, labels, epochs=20) == 0.6


@pytest.mark.parametrize("probe", [linear_probe, knn_probe])
def test_random_labels_give_chance(probe):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(4000, 16))).float()
    labels = rng.integers(0, 4, 4000)
    value = probe(features[:2000], labels[:2000], features[2000:], labels[2000:])
    assert value == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 2000))


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0])
@pytest.mark.parametrize("k", [1, 5, 40, 200, 1000])
def test_the_k_nn_probe_equals_a_loop_over_votes(k, temperature):
    train, labels, test, test_labels = blobs(5, 0.3, count=600)  # k of 1000 exceeds the 400
    rows = slice(0, 100)
    guesses = vote_by_vote(train, labels, test[rows], k, temperature)
    expected = (guesses == test_labels[rows]).mean()
    value = knn_probe(train, labels, test[rows], test_labels[rows], k=k, temperature=temperature)
    assert value == pytest.approx(expected, abs=0.011)  # one near tie may fall otherwise in float32
    # and guess by guess: scored against the loop's guesses, all are right
    assert knn_probe(train, labels, test[rows], guesses, k=k, temperature=temperature) >= 0.99


def test_the_defaults_are_those_of_wu(digits):
    assert knn_probe(*digits) == knn_probe(*digits, k=200, temperature=0.07)


def test_far_neighbours_still_vote_at_low_temperatures():
    """exp((cosine - 1) / 0.01) is 0 in float32 for all cosines below -0.04."""
    train = torch.tensor([[-1.0, 0.1], [-1.0, 0.9], [-1.0, -2.0]])
    test = torch.tensor([[1.0, 0.0]])
    assert knn_probe(train, np.array([0, 0, 1]), test, np.array([1]), temperature=0.01) == 1
    near = torch.tensor([[1.0, 0.0]])  # exp(cosine / 0.01) is infinity
    assert knn_probe(torch.cat([train, near]), np.array([0, 0, 1, 2]), test, np.array([2])) == 1


def test_blocks_of_the_k_nn_probe_equal_single_rows():
    train, labels, test, test_labels = blobs(5, 0.3, count=6600)
    test, test_labels = test[:2100], test_labels[:2100]
    parts = [slice(start, start + 700) for start in range(0, 2100, 700)]
    by_parts = [knn_probe(train, labels, test[part], test_labels[part]) for part in parts]
    assert len(test) > 2048
    assert knn_probe(train, labels, test, test_labels) == pytest.approx(np.mean(by_parts))


@pytest.mark.parametrize("probe", [linear_probe, knn_probe])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_precisions_of_features_and_labels_do_not_matter(digits, probe, dtype):
    train, labels, test, test_labels = digits
    settings = {"epochs": 3} if probe is linear_probe else {}
    expected = probe(*digits, **settings)  # pixels are 0 to 16: exact in each precision
    assert probe(train.to(dtype), labels, test.to(dtype), test_labels, **settings) == expected
    for kind in (np.uint8, np.int32):
        assert probe(train, labels.astype(kind), test, test_labels, **settings) == expected


@pytest.mark.parametrize("probe", [linear_probe, knn_probe])
def test_features_with_a_gradient_are_probed_without_it(digits, probe):
    train, labels, test, test_labels = (x[:200] for x in digits)
    settings = {"epochs": 2} if probe is linear_probe else {}
    leaf = train.clone().requires_grad_()
    value = probe(leaf * 1, labels, test.clone().requires_grad_(), test_labels, **settings)
    assert value == probe(train, labels, test, test_labels, **settings)
    assert leaf.grad is None


@pytest.mark.parametrize("probe", [linear_probe, knn_probe])
def test_bad_features_and_labels_are_refused(probe):
    x, y = torch.eye(4), np.array([0, 1, 2, 1])

    def refused(message, train=x, train_labels=y, test=x, test_labels=y):
        with pytest.raises(InputError, match=message):
            probe(train, train_labels, test, test_labels)

    refused(r"training features are \[4, 4\] with 3 labels", train_labels=y[:3])
    refused(r"test features are \[3, 4\] with 4 labels; need \[N, d\] and \[N\]", test=x[:3])
    refused(r"training features are \[4\]", train=x[0])
    refused(r"test features are \[0, 4\]", test=x[:0], test_labels=y[:0])
    refused("training features have 4 dimensions, test features 3", test=x[:, :3])
    refused("training features are not finite", train=x.log())
    refused("test features are not finite", test=x * torch.nan)
    refused("training labels hold -1; need 0 or more", train_labels=y - 1)
    refused("test labels hold -2", test_labels=y - 2)
    refused(r"test labels are float64 \[4\]; need whole numbers", test_labels=y + 0.5)
    refused(r"test labels are int64 \[4, 1\]", test_labels=y[:, None])


@pytest.mark.parametrize(
    ("probe", "settings", "message"),
    [
        (linear_probe, {"epochs": 0}, "epochs is 0; need a whole number of at least 1"),
        (linear_probe, {"batch_size": 0}, "batch_size is 0"),
        (knn_probe, {"k": 0}, "k is 0; need a whole number of at least 1"),
        (knn_probe, {"temperature": 0}, "temperature is 0; need a number above 0"),
        (knn_probe, {"temperature": -0.07}, "temperature is -0.07"),
        (knn_probe, {"temperature": math.nan}, "temperature is nan"),
    ],
)
def test_impossible_settings_are_refused(probe, settings, message):
    with pytest.raises(InputError, match=message):
        probe(torch.eye(4), np.arange(4), torch.eye(4), np.arange(4), **settings)
