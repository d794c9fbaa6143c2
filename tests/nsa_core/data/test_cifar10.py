import hashlib
import pickle

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from nsa_core.data import load_images
from nsa_core.errors import InputError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TRAIN = [f"data_batch_{index}" for index in range(1, 6)]


@pytest.fixture(scope="module")
def pixels():
    """Noise for 200 training and 40 test images [N, 3, 32, 32], every byte value included."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (240, 3, 32, 32), dtype=np.uint8), rng.integers(0, 10, 240)


def build_folder(root, monkeypatch, images, labels):
    """torchvision's folder with six small batches; torchvision expects their MD5s from now on."""
    folder = root / CIFAR10.base_folder
    folder.mkdir()

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def batch(name, rows):
        data = {"data": images[rows].reshape(len(rows), -1), "labels": labels[rows].tolist()}
        return write(name, data)

    rows = np.arange(len(images))
    train = [batch(n, r) for n, r in zip(TRAIN, np.split(rows[:200], 5), strict=True)]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch", rows[200:])])
    filename, md5 = write("batches.meta", {"label_names": NAMES})
    meta = {"filename": filename, "key": "label_names", "md5": md5}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch, pixels):
    return build_folder(tmp_path, monkeypatch, *pixels)


def test_torchvisions_folder_gives_the_images_in_order(folder, pixels):
    images, labels = pixels
    for split, rows in (("train", slice(200)), ("test", slice(200, None))):
        loaded = load_images("cifar10", split, folder.parent)
        np.testing.assert_array_equal(loaded.images, images[rows])
        np.testing.assert_array_equal(loaded.labels, labels[rows])
        assert list(loaded.class_names) == NAMES


@pytest.mark.parametrize(("split", "name"), [("train", "data_batch_3"), ("test", "test_batch")])
def test_a_flipped_byte_is_a_wrong_checksum(folder, split, name):
    load_images("cifar10", split, folder.parent)  # a cache entry of the good files must not hide it
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=r"wrong checksum.*fetch the archive again"):
        load_images("cifar10", split, folder.parent)


def test_a_missing_batch_is_named(folder):
    (folder / "data_batch_4").unlink()
    with pytest.raises(InputError, match="data_batch_4 is missing"):
        load_images("cifar10", "train", folder.parent)


def test_nothing_found_names_the_places_and_how_to_get_it(tmp_path):
    with pytest.raises(InputError, match=r"cifar-10-batches-py nor .*cifar10-test.parquet.*downl"):
        load_images("cifar10", "test", tmp_path)


def test_the_default_folder_is_nsa_data(folder, monkeypatch, pixels):
    monkeypatch.setenv("NSA_DATA", str(folder.parent))
    np.testing.assert_array_equal(load_images("cifar10", "test").images, pixels[0][200:])


def test_parquet_files_beside_the_folder_are_used(tmp_path, encode, write_parquet, pixels):
    images, labels = pixels[0][:20], pixels[1][:20]
    data = [encode(image.transpose(1, 2, 0), "WEBP") for image in images]
    write_parquet(tmp_path / "cifar10-test.parquet", data, label=labels)
    np.testing.assert_array_equal(load_images("cifar10", "test", tmp_path).images, images)


def test_shards_of_parquet_files_are_one_set(tmp_path, encode, write_parquet, pixels):
    for shard in (0, 1):
        rows = slice(10 * shard, 10 * shard + 10)
        data = [encode(image.transpose(1, 2, 0)) for image in pixels[0][rows]]
        path = tmp_path / f"cifar10-train-0000{shard}-of-00002.parquet"
        write_parquet(path, data, label=pixels[1][rows])
    np.testing.assert_array_equal(load_images("cifar10", "train", tmp_path).images, pixels[0][:20])


def test_the_real_test_split_is_complete(shared_data):
    root = shared_data("cifar10-test.parquet").parent
    test = load_images("cifar10", "test", root)
    assert test.images.shape == (10000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert list(test.class_names) == NAMES


def test_both_layouts_give_the_same_set_from_real_images(
    shared_data, tmp_path, monkeypatch, encode, write_parquet
):
    real = load_images("cifar10", "test", shared_data("cifar10-test.parquet").parent)
    images, labels = np.asarray(real.images[:240]), real.labels[:240]
    assert len(np.unique(labels[200:])) == 10
    build_folder(tmp_path, monkeypatch, images, labels)
    from_folder = load_images("cifar10", "test", tmp_path)
    names = {"class_names": '{"label": ["' + '", "'.join(NAMES) + '"]}'}
    data = [encode(image.transpose(1, 2, 0), "PNG") for image in images[200:]]
    write_parquet(tmp_path / "cifar10-test.parquet", data, names, label=labels[200:])
    from_parquet = load_images("cifar10", "test", tmp_path)
    assert from_folder.fingerprint == from_parquet.fingerprint
