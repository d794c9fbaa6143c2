"""Metrics of tensors, measured where they lie, against arrays and against slow sums."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from nsa_core.errors import InputError
from nsa_core.metrics import (
    alignment,
    effective_rank,
    kappa,
    mmd_to_uniform,
    resultant_length,
    spread,
    uniformity,
)
from nsa_core.metrics.directions import measured, unit_rows
from tests.nsa_core.waits import Waits

RNG = np.random.default_rng(0)
SHAPES = {"tall": (70, 5), "wide": (6, 40), "compact": (50, 8), "several blocks": (2100, 3)}
METRICS = (effective_rank, kappa, mmd_to_uniform, resultant_length, spread, uniformity)
CUDA = pytest.param(
    "cuda",
    marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
)


def features(name: str) -> np.ndarray:
    values = RNG.normal(size=SHAPES[name])
    return 1 + 1e-2 * values if name == "compact" else values


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_a_tensor_has_the_value_of_the_array(metric, name, device):
    for dtype in (np.float64, np.float32):
        rows = features(name).astype(dtype)
        found = metric(torch.from_numpy(rows).to(device))
        assert type(found) is float
        assert found == pytest.approx(metric(rows), rel=1e-9)


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_alignment_of_tensors_is_that_of_the_arrays(device):
    first, second = features("tall"), features("tall")
    found = alignment(*(torch.from_numpy(each).to(device) for each in (first, second)), alpha=1.5)
    assert found == pytest.approx(alignment(first, second, alpha=1.5), rel=1e-9)


@pytest.mark.parametrize("name", ["tall", "wide", "compact"])
def test_metrics_of_tensors_are_the_slow_sums(name):
    rows = features(name)
    unit = [[x / math.sqrt(math.fsum(v * v for v in row)) for x in row] for row in rows.tolist()]
    count, dim = rows.shape
    mean = [math.fsum(column) / count for column in zip(*unit, strict=True)]
    given = torch.from_numpy(rows)
    length = math.sqrt(math.fsum(x * x for x in mean))
    assert resultant_length(given) == pytest.approx(length, rel=1e-12)
    deviations = [
        math.sqrt(math.fsum((x - m) ** 2 for x in column) / count)
        for column, m in zip(zip(*unit, strict=True), mean, strict=True)
    ]
    assert spread(given) == pytest.approx(math.fsum(deviations) / dim * math.sqrt(dim), rel=1e-12)
    kernel = math.fsum(
        math.exp(-2 * math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
        for i, a in enumerate(unit)
        for j, b in enumerate(unit)
        if i != j
    )
    assert uniformity(given) == pytest.approx(math.log(kernel / (count * (count - 1))), rel=1e-10)
    values = np.linalg.svd(np.array(unit) - mean, compute_uv=False)
    share = values[values > 1e-12 * values[0]] / values[values > 1e-12 * values[0]].sum()
    expected = math.exp(-math.fsum(x * math.log(x) for x in share))
    assert effective_rank(given) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_how_often_a_device_is_waited_for_does_not_grow_with_the_rows(metric):
    counted = []
    for count in (500, 2500):  # one block and several
        rows = torch.from_numpy(RNG.normal(size=(count, 4)))
        with Waits() as waits:
            metric(rows)
        counted.append(Counter(waits.found))
    assert counted[0] == counted[1]


@pytest.mark.parametrize("as_given", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_bad_rows_are_refused_alike(as_given):
    rows = features("tall")
    rows[3, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        unit_rows(as_given(rows))
    rows[3] = 0
    with pytest.raises(InputError, match="feature row 3 is all zeros"):
        unit_rows(as_given(rows))
    with pytest.raises(InputError, match=r"features are \[70\]; need \[N, d\]"):
        unit_rows(as_given(rows[:, 0].copy()))


def test_what_a_trial_measures_on_a_cpu_are_arrays_of_the_same_memory():
    rows = torch.randn(4, 3)
    found = measured(rows)
    assert isinstance(found, np.ndarray)
    assert found.ctypes.data == rows.data_ptr()
