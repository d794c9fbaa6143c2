"""``nsa inspect --masks``: the AUROC of pixels, and masks that are of no image or of some alone."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from nsa_core import AnomalyDetector
from nsa_core.detector.heat_map import heat_maps
from studies.detect import inspection


def write_mask(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def masks(digits, tmp_path):
    """Of all others, what of them is bright; threes have none."""
    for path in sorted((digits / "test" / "other").iterdir()):
        bright = np.asarray(Image.open(path)) > 120
        write_mask(
            tmp_path / "masks" / "other" / f"{path.stem}_mask.png", bright.view(np.uint8) * 255
        )
    return tmp_path / "masks"


def test_it_is_the_auroc_of_all_pixels_of_defects_and_of_images_without(
    model, digits, masks, tmp_path, capsys
):
    page = tmp_path / "page.html"
    given = [model, digits, "--split", "test", "--masks", masks, "--out", page, "--json"]
    assert inspection.main([*map(str, given)]) == 0
    found = json.loads(capsys.readouterr().out)
    paths = sorted((digits / "test").rglob("*.png"))
    heat = heat_maps(AnomalyDetector.load(model), [str(path) for path in paths])
    images = np.stack([np.asarray(Image.open(path)) for path in paths])
    truth = (images > 120) & np.array([path.parent.name == "other" for path in paths])[
        :, None, None
    ]
    assert found["pixel_auroc"] == pytest.approx(
        roc_auc_score(truth.ravel(), heat.ravel()), abs=1e-6
    )
    assert "15 images with a mask, 15 without a defect" in page.read_text()


def refused(capsys, match, *arguments):
    assert inspection.main([*map(str, arguments)]) == 2
    said = capsys.readouterr().err
    assert match in said.splitlines()[-1]


def test_masks_that_do_not_fit_are_named(model, digits, masks, tmp_path, capsys):
    given = [model, digits, "--split", "test", "--masks", masks, "--out", tmp_path / "page.html"]
    first, *_ = sorted(masks.rglob("*.png"))
    moved = first.rename(first.with_name("none_mask.png"))
    refused(capsys, "mask 'other/none' is of no image (of 1 such)", *given)
    moved.unlink()
    refused(capsys, "images in 'other': 1 of 15 have no mask", *given)
    write_mask(first, np.zeros((16, 16), np.uint8))
    refused(capsys, f"{first.relative_to(masks)} is black", *given)
    write_mask(first, np.full((16, 16), 9, np.uint8))
    write_mask(first.with_name(first.name.replace("_mask", "")), np.full((16, 16), 9, np.uint8))
    refused(capsys, f"is the second mask of 'other/{first.stem.removesuffix('_mask')}'", *given)
    write_mask(first, np.full((8, 8), 9, np.uint8))
    refused(capsys, "is 8x8, not 16x16", *given)
    refused(capsys, "name the folder of these, too", model, "--masks", masks)
    assert not (tmp_path / "page.html").exists()
