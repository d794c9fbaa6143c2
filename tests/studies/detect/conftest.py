"""Real digits as a folder of files, and one detector of them that all tests share."""

from pathlib import Path

import pytest
from PIL import Image

from nsa_core import load_images
from studies.detect import fit

NORMAL = 3
FIT = ["--scratch", "--epochs", "2", "--false-alarm-rate", "0.1"]


def write_digits(folder: Path, split: str, normal: int, others: int) -> None:
    """So many of the normal class, and of the others, in folders of their classes."""
    digits = load_images("digits", split)
    left = {True: normal, False: others}
    for row, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        is_normal = bool(label == NORMAL)
        if left[is_normal]:
            left[is_normal] -= 1
            path = folder / ("three" if is_normal else "other") / f"{row:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(path)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """``train/`` with 60 threes and 3 others, ``test/`` with 15 and 15."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder / "train", "train", 60, 3)
    write_digits(folder / "test", "test", 15, 15)
    return folder


@pytest.fixture(scope="session")
def model(digits, tmp_path_factory):
    """A detector from scratch, fitted by the command with suspects of folds."""
    out = tmp_path_factory.mktemp("fitted") / "threes"
    assert fit.main([str(digits), "--out", str(out), *FIT, "--suspects"]) == 0
    return out
