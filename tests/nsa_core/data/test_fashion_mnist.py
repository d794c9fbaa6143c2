import gzip
import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from nsa_core.data import load_images
from nsa_core.errors import InputError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


@pytest.fixture(scope="module")
def source():
    if not (DEBIAN / IMAGES).is_file():
        pytest.skip(f"{DEBIAN} is absent; install it with 'apt-get install dataset-fashion-mnist'")
    return DEBIAN


@pytest.fixture
def copy(source, tmp_path):
    for name in (IMAGES, LABELS):
        shutil.copy(source / name, tmp_path)
    return tmp_path


def test_test_split_has_1000_grey_images_of_each_class(source):
    test = load_images("fashion-mnist", "test")
    assert test.images.shape == (10000, 1, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert test.class_names == (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip


def test_training_split_has_6000_images_of_each_class(source):
    train = load_images("fashion-mnist", "train")
    assert train.images.shape == (60000, 1, 32, 32)
    assert np.bincount(train.labels).tolist() == [6000] * 10


def test_images_are_the_files_bytes_with_a_border_of_zeros(source):
    test = load_images("fashion-mnist", "test")
    raw = gzip.decompress((source / IMAGES).read_bytes())
    labels = gzip.decompress((source / LABELS).read_bytes())
    for row in (0, 1, 17, 9999):
        start = 16 + row * 28 * 28
        inner = np.frombuffer(raw[start : start + 28 * 28], np.uint8).reshape(28, 28)
        np.testing.assert_array_equal(test.images[row, 0, 2:30, 2:30], inner)
        assert test.labels[row] == labels[8 + row]
    border = np.ones((32, 32), dtype=bool)
    border[2:30, 2:30] = False
    assert not test.images[:, 0, border].any()


@pytest.mark.parametrize("keep", [0.9, 0.01])
def test_a_truncated_file_is_not_a_whole_gzip_file(copy, keep):
    content = (copy / IMAGES).read_bytes()
    (copy / IMAGES).write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match=rf"{IMAGES}: not a whole gzip file.*fetch it again"):
        load_images("fashion-mnist", "test", copy)


def test_a_file_that_is_no_gzip_is_refused(copy):
    (copy / LABELS).write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=f"{LABELS}: not a whole gzip file"):
        load_images("fashion-mnist", "test", copy)


def test_altered_content_is_a_wrong_checksum(copy):
    raw = bytearray(gzip.decompress((copy / LABELS).read_bytes()))
    raw[8 + 5] = (raw[8 + 5] + 1) % 10
    (copy / LABELS).write_bytes(gzip.compress(raw))
    with pytest.raises(InputError, match=rf"{LABELS}: wrong checksum.*altered, fetch it again"):
        load_images("fashion-mnist", "test", copy)


def test_the_same_content_compressed_anew_is_accepted(copy):
    expected = load_images("fashion-mnist", "test").fingerprint
    raw = gzip.decompress((copy / LABELS).read_bytes())
    (copy / LABELS).write_bytes(gzip.compress(raw, compresslevel=1, mtime=12345))
    assert load_images("fashion-mnist", "test", copy).fingerprint == expected


def test_missing_files_name_the_places_and_the_package(tmp_path):
    with pytest.raises(InputError) as caught:
        load_images("fashion-mnist", "train", tmp_path)
    message = str(caught.value)
    assert "train-images-idx3-ubyte.gz not found in" in message
    for place in (tmp_path, tmp_path / "fashion-mnist", tmp_path / "FashionMNIST" / "raw"):
        assert str(place) in message
    assert "apt-get install dataset-fashion-mnist" in message


def test_without_a_root_debians_folder_and_nsa_data_are_searched(tmp_path, monkeypatch):
    source = importlib.import_module("nsa_core.data.fashion_mnist")
    monkeypatch.setattr(source, "_DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("NSA_DATA", str(tmp_path / "mine"))
    with pytest.raises(InputError) as caught:
        load_images("fashion-mnist", "test")
    for place in ("debian", "mine/FashionMNIST/raw", "mine/fashion-mnist"):
        assert str(tmp_path / place) in str(caught.value)


def test_torchvisions_folder_below_the_root_is_found(copy):
    below = copy / "FashionMNIST" / "raw"
    below.mkdir(parents=True)
    for name in (IMAGES, LABELS):
        (copy / name).rename(below / name)
    assert len(load_images("fashion-mnist", "test", copy)) == 10000
