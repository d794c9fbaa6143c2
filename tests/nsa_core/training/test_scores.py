"""All scores of all layers: shared work changes no bit, and no loop waits for a device."""

import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nsa_core import scorers
from nsa_core.methods import ENCODER_LAYERS
from nsa_core.scorers import LayerEnsemble
from nsa_core.training.scores import ENSEMBLES, fast_and, score_layers
from tests.nsa_core.waits import Waits

DIMS = dict(zip(ENCODER_LAYERS, (4, 4, 6, 8, 12), strict=True))
FAST = fast_and(())
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def features(count: int, seed: int, dtype=torch.float32) -> dict[str, torch.Tensor]:
    """Correlated features that are far from the origin, as those of a ReLU are."""
    stream = torch.Generator().manual_seed(seed)
    found = {}
    for layer, dim in DIMS.items():
        mixed = torch.randn(count, dim, generator=stream) @ torch.linspace(0.1, 1, dim).diag()
        found[layer] = (mixed + mixed.roll(1, dims=1) / 2 + 3).to(dtype)
    return found


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self):
        super().__init__()
        self.counted = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.counted[function.name().removeprefix("aten::").partition(".")[0]] += 1
        return function(*args, **(kwargs or {}))


def test_shared_work_gives_the_bits_of_scorers_on_their_own():
    train, test = features(150, 0), features(90, 1)
    found = score_layers(train, test, ENCODER_LAYERS)
    alone = {
        (layer, name): scorers.build(name).fit(train[layer]).score(test[layer])
        for layer in ENCODER_LAYERS
        for name in scorers.available()
    }
    for key, expected in alone.items():
        np.testing.assert_array_equal(found[key], expected, err_msg=str(key))
    for name, (parts, scale) in ENSEMBLES.items():
        pairs = [
            (scorers.build(part).fit(train[layer]).leave_one_out(), alone[layer, part])
            for layer in ENCODER_LAYERS
            for part in parts
        ]
        expected = LayerEnsemble(scale=scale).combine(pairs)
        np.testing.assert_array_equal(found["ensemble", name], expected)
    assert found.keys() == alone.keys() | {("ensemble", name) for name in ENSEMBLES}


def test_only_the_named_scores_are_made_and_the_slow_ones_are_named():
    assert set(fast_and(())) == set(scorers.available()) - {"oc-svm"}
    assert set(fast_and(scorers.SLOW)) == set(scorers.available())
    found = score_layers(features(60, 0), features(30, 1), ("embedding",), FAST)
    assert found.keys() == {("embedding", name) for name in FAST}


def test_scorers_of_a_layer_share_one_decomposition_of_the_covariance():
    """One of unit rows, one of raw ones, and those of the Student-t rounds."""
    with Operations() as seen:
        score_layers(features(60, 0), features(30, 1), ("embedding",), FAST)
    assert seen.counted["_linalg_eigh"] == 2 + 15


def test_how_often_a_device_is_waited_for_does_not_grow_with_the_rows():
    counted = []
    for count in (500, 1100):  # one block and several, of both
        train, test = features(count, 0), features(2 * count, 1)
        with Waits() as waits:
            score_layers(train, test, ENCODER_LAYERS, FAST)
        counted.append(Counter(waits.found))
    assert counted[0] == counted[1]


@needs_cuda
def test_on_cuda_scores_are_those_of_a_cpu():
    train, test = features(600, 0, torch.float64), features(500, 1, torch.float64)
    expected = score_layers(train, test, ENCODER_LAYERS, FAST)
    there = [{name: each.cuda() for name, each in part.items()} for part in (train, test)]
    found = score_layers(*there, ENCODER_LAYERS, FAST)
    for key, scores in expected.items():
        np.testing.assert_allclose(found[key], scores, rtol=1e-9, err_msg=str(key))


@needs_cuda
def test_on_cuda_the_waits_do_not_grow_with_the_rows():
    counted = []
    for count in (500, 1100):
        parts = [features(n, seed) for n, seed in ((count, 0), (2 * count, 1))]
        there = [{name: each.cuda() for name, each in part.items()} for part in parts]
        score_layers(*there, ENCODER_LAYERS, FAST)  # libraries are loaded
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                score_layers(*there, ENCODER_LAYERS, FAST)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        counted.append(len(found))
    assert counted[0] == counted[1] > 0
