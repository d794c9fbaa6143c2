import hashlib

import numpy as np
import pytest
import scipy.io
from torchvision.datasets import SVHN

from nsa_core.data import load_images, load_splits
from nsa_core.errors import InputError

DIGITS = list("0123456789")


@pytest.fixture(scope="module")
def pixels():
    """Noise for 30 training and 20 test images [N, 3, 32, 32], and digits of every kind."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (50, 3, 32, 32), dtype=np.uint8), np.arange(50) % 10


@pytest.fixture
def folder(tmp_path, monkeypatch, pixels):
    """MATLAB files with images along the last axis and the digit 0 as label 10, as published."""
    images, labels = pixels
    files = dict(SVHN.split_list)
    for split, rows in (("train", slice(30)), ("test", slice(30, None))):
        path = tmp_path / f"{split}_32x32.mat"
        content = {
            "X": images[rows].transpose(2, 3, 1, 0),
            "y": np.where(labels[rows] == 0, 10, labels[rows]).astype(np.uint8)[:, None],
        }
        scipy.io.savemat(path, content, do_compression=True)
        files[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", files)
    return tmp_path


def test_matlab_files_give_the_digits_in_order(folder, pixels):
    images, labels = pixels
    for split, rows in (("train", slice(30)), ("test", slice(30, None))):
        loaded = load_images("svhn", split, folder)
        np.testing.assert_array_equal(loaded.images, images[rows])
        assert loaded.labels.tolist() == labels[rows].tolist()
        assert list(loaded.class_names) == DIGITS


def test_a_folder_of_its_own_is_found(folder, pixels):
    (folder / "SVHN").mkdir()
    (folder / "test_32x32.mat").rename(folder / "SVHN" / "test_32x32.mat")
    np.testing.assert_array_equal(load_images("svhn", "test", folder).images, pixels[0][30:])


@pytest.mark.parametrize("damage", ["flipped", "short", "other"])
def test_an_altered_file_is_refused_unread(folder, damage, monkeypatch):
    load_images("svhn", "test", folder)
    path = folder / "test_32x32.mat"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flipped": content, "short": content[:500], "other": b"no MATLAB"}[damage])
    monkeypatch.setattr(scipy.io, "loadmat", None)
    with pytest.raises(InputError, match=r"test_32x32.mat has a wrong checksum.*again"):
        load_images("svhn", "test", folder)


def test_nothing_found_names_the_places_and_how_to_get_it(tmp_path):
    with pytest.raises(
        InputError, match=r"train_32x32.mat in .*SVHN nor .*svhn-train.parquet.*'train', download"
    ):
        load_images("svhn", "train", tmp_path)


@pytest.mark.parametrize("zero", [0, 10])
def test_parquet_files_may_call_the_digit_0_either_way(
    tmp_path, encode, write_parquet, pixels, zero
):
    images, labels = pixels[0][:20], pixels[1][:20]
    data = [encode(image.transpose(1, 2, 0)) for image in images]
    written = np.where(labels == 0, zero, labels)
    for shard, rows in enumerate((slice(0, 9), slice(9, 20))):
        path = tmp_path / f"svhn-train-0000{shard}-of-00002.parquet"
        write_parquet(path, data[rows], label=written[rows])
    loaded = load_images("svhn", "train", tmp_path)
    np.testing.assert_array_equal(loaded.images, images)
    assert loaded.labels.tolist() == labels.tolist()
    assert list(loaded.class_names) == DIGITS


@pytest.mark.parametrize("labels", [[0, 10], [1, 11]])
def test_labels_that_are_no_digits_are_refused(tmp_path, encode, write_parquet, labels):
    data = [encode(np.zeros((32, 32, 3), np.uint8))] * 2
    write_parquet(tmp_path / "svhn-test.parquet", data, label=labels)
    with pytest.raises(InputError, match=r"labels .* need 0 to 9, or 1 to 10"):
        load_images("svhn", "test", tmp_path)


def test_the_real_digits_are_two_splits_of_one_set(shared_data, tmp_path):
    for split, name in (("train", "train-first1083"), ("test", "test-first10000")):
        (tmp_path / f"svhn-{split}.parquet").symlink_to(shared_data(f"svhn-{name}.parquet"))
    train, test = load_splits("svhn", tmp_path)
    assert [len(train), len(test)] == [1083, 10000]
    assert train.class_names == test.class_names == tuple(DIGITS)
    assert np.bincount(test.labels).max() == 1968  # ones, twice as many as a tenth
