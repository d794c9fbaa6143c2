"""Passes of the encoder for a test image, against what each method's score says of itself."""

import pytest
import torch

from nsa_core import TrialConfig, train
from nsa_core.training import build_method
from nsa_core.training.passes import passes_per_image
from tests.nsa_core.small_split import small_split

CPU = torch.device("cpu")


def config(name, **options) -> TrialConfig:
    return TrialConfig(
        method=name, norm="none", depth=10, width=4, channels_last=False, batch_size=8, budget=2,
        evaluations=2, layers=("embedding",), learning_rate=1e-3, method_options=options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def split(digits):
    return small_split(digits, 16, 30)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("simclr", {}, {"embedding": 1}),
        ("byol", {"hidden_dim": 16}, {"embedding": 1}),  # its target scores nothing
        ("rotnet", {}, {"embedding": 1, "method": 4}),
        ("csi", {"samples": 3}, {"embedding": 1, "method": 12}),
        ("csi", {"samples": 40}, {"embedding": 1, "method": 160}),  # Table 2 of the paper
    ],
)
def test_they_are_counted(split, name, options, expected):
    settings = config(name, **options)
    method = build_method(settings)
    assert passes_per_image(method, settings, split, CPU) == expected
    assert not any(module._forward_pre_hooks for module in method.modules())


def test_the_last_evaluation_has_them(split):
    first, last = train(config("rotnet"), split)
    assert first.test.passes == {}
    assert last.test.passes == {"embedding": 1, "method": 4}
