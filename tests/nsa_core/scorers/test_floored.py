"""Distances from a Cholesky factor, against eigenvalues, and when they are refused."""

import numpy as np
import pytest
import torch

from nsa_core.scorers import CCos, whitening
from nsa_core.scorers.floored import _at_least_largest, unfloored_distances

RNG = np.random.default_rng(0)


def spread_over(smallest: float, count: int = 300, dim: int = 20) -> np.ndarray:
    """Rows whose covariance has eigenvalues from 1 down to about ``smallest``."""
    turn, _ = np.linalg.qr(RNG.normal(size=(dim, dim)))
    return RNG.normal(size=(count, dim)) * np.geomspace(1, smallest**0.5, dim) @ turn + 2


def floored(rows, weights, floor):
    """The definition, with eigenvalues: distances and the smallest one relative to the largest."""
    offsets = rows - np.average(rows, axis=0, weights=weights)
    values, vectors = np.linalg.eigh((offsets * weights[:, None]).T @ offsets / len(rows))
    raised = np.maximum(values, floor * values[-1])
    return ((offsets @ vectors) ** 2 / raised).sum(axis=1), values[0] / values[-1]


def distances(rows, weights, floor):
    return unfloored_distances(torch.from_numpy(rows), torch.from_numpy(weights)[:, None], floor)


@pytest.mark.parametrize("smallest", [1e-1, 1e-4, 1e-5])
def test_without_an_eigenvalue_below_the_floor_they_are_those_of_the_definition(smallest):
    rows, weights = spread_over(smallest), RNG.uniform(0.1, 3, 300)
    expected, _ = floored(rows, weights, 1e-6)
    np.testing.assert_allclose(distances(rows, weights, 1e-6)[:, 0], expected, rtol=1e-9)


def test_they_are_refused_as_soon_as_the_floor_is_felt():
    for smallest in np.geomspace(1e-8, 1e-4, 60):
        rows, weights = spread_over(smallest), RNG.uniform(0.1, 3, 300)
        expected, least = floored(rows, weights, 1e-6)
        found = distances(rows, weights, 1e-6)
        if least < 1e-6:
            assert found is None
        elif least > 2e-6:  # the bound on the largest is that close
            np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["equal rows", "a dead dimension", "few rows", "no floor"])
def test_what_has_no_factor_is_refused(kind):
    rows = spread_over(0.1)
    if kind == "equal rows":
        rows = np.repeat(rows[:1], 300, axis=0)
    elif kind == "a dead dimension":
        rows[:, 3] = 0
    elif kind == "few rows":
        rows = rows[:10]
    floor = 0.0 if kind == "no floor" else 1e-6
    assert distances(rows, np.ones(len(rows)), floor) is None


@pytest.mark.parametrize("scale", [1e-150, 1, 1e150])
@pytest.mark.parametrize("dim", [1, 5, 30])
def test_the_bound_is_above_the_largest_eigenvalue_and_close(dim, scale):
    for values in (np.ones(dim), np.geomspace(1, 1e-8, dim)):
        turn, _ = np.linalg.qr(RNG.normal(size=(dim, dim)))
        matrix = torch.from_numpy(scale * (turn * values) @ turn.T)
        bound = float(_at_least_largest(matrix)) / scale
        assert 1 - 1e-12 <= bound <= 1.54


def test_a_student_t_fit_by_it_is_that_of_eigenvalues(monkeypatch):
    """As on a GPU."""
    rows, test = spread_over(1e-3), spread_over(1e-3)[:50]
    expected = CCos(covariance="student-t").fit(rows)
    scores, left_out = expected.score(test), expected.leave_one_out()
    asked = []

    def watched(*arguments):
        asked.append(unfloored_distances(*arguments))
        return asked[-1]

    monkeypatch.setattr(whitening, "unfloored_distances", watched)
    monkeypatch.setattr(whitening, "_FACTORED", ("cpu",))
    for data, of in ((rows, (scores, left_out)), (spread_over(1e-8), None)):
        asked.clear()
        found = CCos(covariance="student-t").fit(data)
        assert [each is not None for each in asked] == 15 * [of is not None]
        if of:
            np.testing.assert_allclose(found.score(test), of[0], rtol=1e-9)
            np.testing.assert_allclose(found.leave_one_out(), of[1], rtol=1e-9)
