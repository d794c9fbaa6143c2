"""A method's own scores at an evaluation: when, from which draws, and in which precision."""

import dataclasses

import numpy as np
import pytest
import torch

from nsa_core import TrialConfig, train
from nsa_core.augment import Augmentation
from nsa_core.seeds import generator
from nsa_core.training import build_method, score_versions
from nsa_core.training.own_scores import own_scores
from tests.nsa_core.small_split import small_split

CPU = torch.device("cpu")
GREY = Augmentation(crop_scale=(0.4, 1), saturation=0, hue=0, grey=0)
CSI = TrialConfig(
    method="csi", norm="none", depth=10, width=8, batch_size=8, budget=2, evaluations=2, seed=3,
    layers=("embedding",), learning_rate=1e-3, augment=GREY, precision="bf16",
    method_options={"samples": 2, "projector_dim": 8},
)  # fmt: skip


@pytest.fixture(scope="module")
def split(digits):
    return small_split(digits, 16, 30)


def test_they_are_the_methods_with_the_stream_of_the_seed(split):
    method = build_method(CSI)
    found = own_scores(method.train(), CSI, split, CPU, last=True)
    assert not method.training
    images = [torch.from_numpy(each) for each in (split.train_images, split.test_images)]
    with torch.no_grad():
        expected = method.own_scores(*images, GREY, generator(CPU, 3, "own scores"))
    np.testing.assert_array_equal(found["method", "csi"], expected["csi"].double().numpy())
    again = own_scores(method, CSI, split, CPU, last=True)
    np.testing.assert_array_equal(again["method", "csi"], found["method", "csi"])
    other = own_scores(method, dataclasses.replace(CSI, seed=4), split, CPU, last=True)
    assert not np.array_equal(other["method", "csi"], found["method", "csi"])


def test_expensive_ones_wait_for_the_last_evaluation(split):
    assert own_scores(build_method(CSI), CSI, split, CPU, last=False) == {}
    first, last = train(CSI, split)
    assert ("method", "csi") not in first.test.scores
    assert ("method", "csi") in last.test.auroc


def test_they_are_in_float32_whatever_the_training_and_whoever_calls(split):
    method = build_method(CSI)
    plain = own_scores(method, CSI, split, CPU, last=True)
    with torch.autocast("cpu", torch.bfloat16):
        inside = own_scores(method, CSI, split, CPU, last=True)
    np.testing.assert_array_equal(inside["method", "csi"], plain["method", "csi"])


def test_each_has_a_version_under_its_layer():
    versions = score_versions()
    assert versions["method/csi"] == build_method(CSI).own_score_versions["csi"]
    assert versions["method/rotation"] == 1
