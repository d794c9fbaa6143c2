import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from nsa_core.scorers.neighbours import Neighbours, chord_to_angle

RNG = np.random.default_rng(0)
BANK, QUERIES = RNG.normal(size=(1100, 6)), RNG.normal(size=(40, 6))  # more than two blocks
WIDTHS = [torch.float64, torch.float32]


def bank(rows=BANK):
    return Neighbours(torch.from_numpy(rows))


def others(rows):
    """Sorted distances of each row to all others, one search of the remaining rows each."""
    left = [cdist(rows[i : i + 1], np.delete(rows, i, axis=0))[0] for i in range(len(rows))]
    return np.sort(left, axis=1)


@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
def test_the_nearest_is_that_of_brute_force(dtype):
    found = bank().nearest(torch.from_numpy(QUERIES), dtype)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, cdist(QUERIES, BANK).min(axis=1), rtol=1e-9)


@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
@pytest.mark.parametrize("k", [1, 2, 9, 1100])
def test_the_k_nearest_are_those_of_brute_force_and_rise(dtype, k):
    found = bank().k_nearest(torch.from_numpy(QUERIES), dtype, k)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, np.sort(cdist(QUERIES, BANK))[:, :k], rtol=1e-9)


@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
def test_of_fewer_rows_than_k_all_are_found(dtype):
    found = bank(BANK[:3]).k_nearest(torch.from_numpy(QUERIES), dtype, 7)
    np.testing.assert_allclose(found, np.sort(cdist(QUERIES, BANK[:3])), rtol=1e-9)
    np.testing.assert_allclose(bank(BANK[:3]).left_out(7), others(BANK[:3]), rtol=1e-9)


@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
def test_compact_rows_far_from_the_origin_keep_their_digits(dtype):
    """Around the origin, |q|^2 - 2 q'b + |b|^2 would lose 16 digits here."""
    far, queries = 1e4 + 1e-4 * BANK, 1e4 + 1e-4 * QUERIES
    found = bank(far).nearest(torch.from_numpy(queries), dtype)
    np.testing.assert_allclose(found, cdist(queries, far).min(axis=1), rtol=1e-6)
    np.testing.assert_allclose(bank(far).left_out(2), others(far)[:, :2], rtol=1e-6)


def test_a_row_of_the_bank_is_at_no_distance():
    assert bank().nearest(torch.from_numpy(BANK), torch.float64).max() < 1e-15
    assert bank().nearest(torch.from_numpy(BANK), torch.float32).max() < 1e-15


def test_a_close_tie_in_float32_gives_a_distance_that_is_exact_for_its_row():
    rows = np.concatenate([BANK[:1] + 1e-9 * QUERIES, 100 * BANK[1:50]])
    query = torch.from_numpy(BANK[:1])
    found = bank(rows).nearest(query, torch.float32).item()
    distances = cdist(BANK[:1], rows)[0]
    assert found < 10 * distances.min()
    assert np.abs(distances / found - 1).min() < 1e-4  # rounding of 1e-14 around the mean


@pytest.mark.parametrize("k", [1, 3])
def test_left_out_is_brute_force_without_the_row(k):
    np.testing.assert_allclose(bank().left_out(k), others(BANK)[:, :k], rtol=1e-9)


@pytest.mark.parametrize("noise", [0, 1e-14, 1e-6], ids=["exact", "last bits", "nearly"])
@pytest.mark.parametrize("share", [0.1, 1], ids=["a tenth", "all"])
@pytest.mark.parametrize("k", [1, 3])
def test_left_out_looks_past_duplicates(share, noise, k):
    rows = BANK[:300]
    copied = rows[: int(share * 300)]
    copies = copied + noise * RNG.normal(size=copied.shape)
    found = bank(np.concatenate([rows, copies])).left_out(k)
    for i, distances in enumerate(cdist(rows, np.concatenate([rows, copies]))):
        expected = np.sort(distances[distances > 1e-4])[:k]  # neither itself nor its copy
        np.testing.assert_allclose(found[i], expected, rtol=1e-9)


def test_left_out_looks_past_eight_copies():
    found = bank(np.repeat(BANK[:100], 9, axis=0)).left_out()
    expected = np.repeat(others(BANK[:100])[:, :1], 9, axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_single_row_has_no_other():
    assert bank(BANK[:1]).left_out().tolist() == [[0]]
    assert bank(BANK[:1]).left_out(5).tolist() == [[0]]


def test_equal_rows_are_at_no_distance():
    assert bank(np.ones((30, 4))).left_out().max() == 0


def test_chords_become_the_angles_of_the_arc_cosine():
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (BANK[:500], BANK[500:1000]))
    chords = torch.from_numpy(np.linalg.norm(a - b, axis=1))
    expected = np.arccos((a * b).sum(axis=1))
    np.testing.assert_allclose(chord_to_angle(chords), expected, rtol=1e-9)


def test_small_chords_keep_their_digits_and_long_ones_are_a_half_turn():
    """The arc cosine of a cosine in float64 would be 0 below 1e-8."""
    chords = torch.tensor([0, 1e-300, 1e-12, 1e-6, 1e-3], dtype=torch.float64)
    expected = 2 * np.arcsin(chords.numpy() / 2)
    np.testing.assert_allclose(chord_to_angle(chords), expected, rtol=1e-14)
    beyond = torch.tensor([2, 2 + 1e-12, 2.1], dtype=torch.float64)
    np.testing.assert_allclose(chord_to_angle(beyond), np.pi, rtol=1e-15)


def test_float32_chords_become_float64_angles():
    chords = torch.tensor([0.5, 1.0, 1.5])
    angles = chord_to_angle(chords)
    assert angles.dtype == torch.float64
    np.testing.assert_allclose(angles, 2 * np.arcsin(chords.double() / 2), rtol=1e-14)
