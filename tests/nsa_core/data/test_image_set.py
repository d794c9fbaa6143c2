import numpy as np
import pytest

from nsa_core.data import ImageSet
from nsa_core.errors import InputError


def make(**changes):
    parts = {
        "images": np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4),
        "labels": np.array([0, 1]),
        "class_names": ("a", "b"),
    }
    return ImageSet(**{**parts, **changes})


def test_fingerprint_is_equal_for_equal_content_and_changes_with_each_part():
    base = make()
    assert make().fingerprint == base.fingerprint
    assert len(base.fingerprint) == 64
    pixel = base.images.copy()
    pixel[1, 2, 3, 3] ^= 1
    others = [
        make(images=pixel),
        make(images=base.images[::-1].copy()),
        make(images=base.images.reshape(2, 3, 2, 8)),
        make(labels=np.array([1, 1])),
        make(class_names=("a", "c")),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_fingerprint_does_not_depend_on_memory_layout():
    base = make()
    strided = np.asfortranarray(base.images)
    assert make(images=strided).fingerprint == base.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((2, 3, 4, 4), dtype=np.float32)}, "images are float32"),
        ({"images": np.zeros((2, 2, 4, 4), dtype=np.uint8)}, r"\[2, 2, 4, 4\]; need uint8"),
        ({"images": np.zeros((2, 4, 4), dtype=np.uint8)}, r"\[2, 4, 4\]"),
        ({"labels": np.array([0])}, r"labels are int64 \[1\]; need int64 \[2\]"),
        ({"labels": np.array([0.0, 1.0])}, "labels are float64"),
        ({"labels": np.array([0, 2])}, "from 0 to 2; with 2 class names"),
        ({"labels": np.array([-1, 1])}, "from -1 to 1"),
    ],
)
def test_what_is_not_a_labelled_image_set_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_an_empty_set_is_refused():
    with pytest.raises(InputError, match="at least one image"):
        make(images=np.zeros((0, 3, 4, 4), dtype=np.uint8), labels=np.zeros(0, dtype=np.int64))
