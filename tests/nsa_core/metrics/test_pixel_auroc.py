import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nsa_core.errors import InputError
from nsa_core.metrics import pixel_auroc

RNG = np.random.default_rng(0)


def test_it_is_scikit_learns_of_all_pixels_together():
    masks = RNG.random((7, 9, 5)) < 0.1
    heat = (RNG.normal(size=masks.shape) + masks).astype(np.float32)
    expected = roc_auc_score(masks.ravel(), heat.ravel())
    assert pixel_auroc(heat, masks) == pytest.approx(expected, abs=1e-12)
    assert pixel_auroc(heat, masks.astype(np.uint8)) == pixel_auroc(heat, masks)
    apart = np.mean([roc_auc_score(m.ravel(), h.ravel()) for m, h in zip(masks, heat, strict=True)])
    assert abs(apart - expected) > 1e-3  # the mean over pictures is another number


@pytest.mark.parametrize(
    ("heat", "masks", "message"),
    [
        ((2, 4, 6), (2, 6, 4), r"heat \[2, 4, 6\] and masks \[2, 6, 4\]: need two of \[N, H, W\]"),
        ((4, 6), (4, 6), r"heat \[4, 6\] and masks \[4, 6\]: need two of \[N, H, W\]"),
        ((2, 4, 6), (2, 4, 6), "needs normals and outliers; got 48 and 0"),
    ],
    ids=["turned", "one picture", "no defect"],
)
def test_what_is_no_heat_and_mask_of_the_same_pictures_is_refused(heat, masks, message):
    with pytest.raises(InputError, match=message):
        pixel_auroc(np.zeros(heat), np.zeros(masks, bool))
