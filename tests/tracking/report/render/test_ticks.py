"""Ticks are round, few, inside, and told apart by their names."""

import pytest

from tracking.report.render.ticks import named, ticks


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0, 1, False), (0.52, 0.97, False), (-3, 7, False), (1, 4000, True), (2, 3, True),
     (1e-4, 2e3, True), (61.0, 61.001, False), (0, 3e7, False)],
)  # fmt: skip
def test_ticks_are_round_few_and_inside(low, high, log):
    found = ticks((low, high), log=log)
    assert 2 <= len(found) <= 8
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
    assert found == sorted(set(found))
    names = named(found)
    assert len(set(names)) == len(found)
    if (low, high) != (2, 3):  # nothing is round in there on a logarithmic scale
        assert [float(name.replace(",", "")) for name in names] == pytest.approx(found)
    assert max(map(len, names)) <= 7


def test_epochs_are_whole_numbers():
    assert ticks((1, 3)) == [1, 2, 3]
    assert all(tick == int(tick) for tick in ticks((1, 9)))
