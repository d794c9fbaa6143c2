import numpy as np
import pytest
import torch

from nsa_core.scorers.features import prepared, score_blocks, working_dtype

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(3000, 4))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("float64", torch.float64), ("float32", torch.float32), ("float16", torch.float32)],
)
def test_products_are_as_wide_as_the_features_but_float32_at_least(given, expected):
    array = FEATURES.astype(given)
    assert working_dtype(array) == working_dtype(torch.from_numpy(array)) == expected


@pytest.mark.parametrize("given", ["float64", "float32", "float16", "int64"])
def test_features_are_prepared_in_float64(given):
    array = (10 * FEATURES[:20] + 50).astype(given)
    rows = prepared(array, normalize=False)
    assert rows.dtype == torch.float64
    np.testing.assert_array_equal(rows, array)
    expected = array.astype(float) / np.linalg.norm(array.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(prepared(array, normalize=True), expected, rtol=1e-14)


def test_blocks_are_small_and_cover_every_row_once_in_order():
    sizes = []

    def first_column(block):
        sizes.append(len(block))
        return block[:, 0]

    found = score_blocks(FEATURES, first_column, normalize=False, like=torch.zeros(4))
    np.testing.assert_array_equal(found, FEATURES[:, 0])
    assert sum(sizes) == 3000
    assert max(sizes) < 3000
