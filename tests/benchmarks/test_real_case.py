"""The real case: its splits, its measures against slow references, and the script at toy size."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap

from nsa_core.detector.suspects import suspects
from tests.benchmarks.test_scripts import run

FOLDER = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


@pytest.fixture
def data(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import real_case_data

    return real_case_data


def numbers(part):
    return np.array([int(re.search(r"num_(\d+)", path).group(1)) for path in part.path])


@needs_data
def test_no_tile_lies_on_both_sides_and_both_are_one_range_of_numbers(data):
    case = data.tiles(DATA)
    train, test = numbers(case.polluted), numbers(case.test)
    assert train.max() + 40_000 < test.min()
    assert not set(case.polluted.group) & set(case.test.group)
    assert case.clean.counts() == "453 normal"
    assert case.polluted.counts() == "453 normal, 50 defective"
    assert case.test.counts() == "499 normal, 161 defective"


@needs_data
def test_a_group_of_tiles_holds_all_exposures_of_its_tiles(data):
    case = data.tiles(DATA)
    number, group = numbers(case.test), case.test.group
    near = np.abs(number[:, None] - number[None]) < data.SAME_TILES
    assert (group[:, None] == group[None])[near].all()
    assert len(set(group)) > 60  # and not far more than that


@needs_data
def test_the_solar_training_file_is_polluted_as_it_comes(data):
    case = data.solar(DATA)
    assert case.clean.counts() == "1,128 normal"
    assert case.polluted.counts() == "1,128 normal, 425 defective, 291 doubtful"
    assert case.test.counts() == "380 normal, 290 defective"
    assert not set(case.polluted.group) & set(case.test.group)


@needs_data
def test_screws_that_pollute_are_in_no_test(data):
    case = data.screws(DATA)
    assert case.polluted.counts() == "320 normal, 36 defective"
    assert case.test.counts() == "41 normal, 83 defective"
    assert not set(case.polluted.path) & set(case.test.path)


@needs_data
def test_a_toy_keeps_every_kind(data):
    toy = data.solar(DATA).at_most(40)
    assert len(toy.polluted) <= 43
    assert set(toy.polluted.kind) == {data.NORMAL, data.DEFECT, data.DOUBTFUL}
    assert set(toy.test.kind) == {data.NORMAL, data.DEFECT}


def test_a_bootstrap_sample_holds_whole_groups(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from real_case_measures import resamples

    group = np.array([4, 4, 4, 7, 7, 9, 2, 2])
    outlier = np.array([0, 0, 1, 0, 0, 1, 0, 1], bool)
    for rows in resamples(group, outlier, 50):
        times = np.bincount(rows, minlength=len(group))
        assert all(len(set(times[group == each])) == 1 for each in group)
        assert sum(times[group == each][0] for each in set(group)) == 4
        assert 0 < outlier[rows].sum() < len(rows)


def test_intervals_are_as_wide_as_scipys_and_wider_where_images_repeat(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from real_case_measures import interval, resamples

    scores, outlier = np.random.default_rng(3).normal(size=80), np.arange(80) % 4 == 0

    def width(group, repeat):
        values, positive = np.repeat(scores, repeat), np.repeat(outlier, repeat)
        low, high = interval(lambda at: float(values[at].mean()), resamples(group, positive, 2000))
        return high - low

    found = bootstrap((scores,), np.mean, method="percentile", rng=1).confidence_interval
    alone = width(np.arange(80), 1)
    assert alone == pytest.approx(found.high - found.low, rel=0.08)
    assert width(np.repeat(np.arange(80), 6), 6) == pytest.approx(alone, rel=0.08)
    assert width(np.arange(480), 6) < 0.5 * alone  # what taking them as independent would claim


def test_patches_are_chosen_each_the_farthest_from_those_before(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from real_case_peers import farthest

    rows = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    expected = [0]
    while len(expected) < 20:
        away = [min(float((row - rows[c]).norm()) for c in expected) for row in rows]
        expected.append(int(np.argmax(away)))
    assert farthest(rows, 20) == expected
    assert sorted(farthest(rows, 99)) == list(range(60))


@needs_data
def test_folds_on_known_features_are_the_librarys_suspects(data):
    import real_case_ours as ours

    toy = data.tiles(DATA).at_most(18).polluted
    detector = ours.frozen(toy, 0.3)
    known = ours.frozen_features(detector, toy)
    expected = suspects(detector, ours.grey(toy), 2, toy.group).scores
    np.testing.assert_allclose(
        ours.frozen_folds(known, toy.group, 2), expected, rtol=1e-4, atol=1e-4
    )


@needs_data
def test_the_script_says_who_is_ahead_and_names_absent_peers(tmp_path, capsys):
    output = tmp_path / "real_case.md"
    run("real_case.py", "--data", str(DATA), "--quick", "--output", str(output))
    text = output.read_text()
    assert "about 0 s left" in capsys.readouterr().out
    header = next(line for line in text.splitlines() if line.startswith("|  ") and "clean" in line)
    assert header.count("|") == 2 + 2 * 3
    for name in ("nsa, from scratch", "nsa, pre-trained", "scikit-learn OC-SVM"):
        assert sum(line.startswith(f"| {name} ") for line in text.splitlines()) >= 2
    bold = [line.count("**") for line in text.splitlines() if "**" in line]
    assert sum(bold) == 2 * 2 * 3  # one of each column is the best
    table = text[text.index("best of ours") :].split("\n\n")[0].splitlines()
    assert len(table) == 2 + 2 * 3
    for name in ("anomalib", "pyod"):
        absent = importlib.util.find_spec(name) is None
        assert ("not installed" in next(x for x in text.splitlines() if f"| {name}" in x)) == absent


@needs_data
def test_the_cost_of_one_kind_is_measured_in_the_process_that_is_told_to(capsys):
    run("real_case_cost.py", "--data", str(DATA), "--quick", "--kind", "pre-trained")
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found.keys() == {"fit", "score", "CPU", "peak"}
    assert found["fit"] > found["score"] > 0
    assert found["peak"] > 100
