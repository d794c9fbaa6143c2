import hashlib
import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from torchvision.datasets import CIFAR100

from nsa_core.data import load_images
from nsa_core.data.cifar100 import FINE_CLASSES, SUPER_CLASSES
from nsa_core.errors import InputError

PAIRS = np.loadtxt(Path(__file__).with_name("cifar100_pairs.tsv"), dtype=np.int64, skiprows=1)
COARSE_OF = dict(PAIRS.tolist())
NAMES = [*SUPER_CLASSES]


@pytest.fixture(scope="module")
def pixels():
    """Noise for 40 training and 20 test images [N, 3, 32, 32], and fine labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8), rng.integers(0, 100, 60)


@pytest.fixture
def folder(tmp_path, monkeypatch, pixels):
    """torchvision's folder with small files; torchvision expects their MD5s from now on."""
    images, labels = pixels
    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def batch(name, rows):
        data = images[rows].reshape(len(images[rows]), -1)
        return write(name, {"data": data, "fine_labels": labels[rows].tolist()})

    monkeypatch.setattr(CIFAR100, "train_list", [batch("train", slice(40))])
    monkeypatch.setattr(CIFAR100, "test_list", [batch("test", slice(40, None))])
    name, md5 = write("meta", {"fine_label_names": list(FINE_CLASSES)})
    monkeypatch.setattr(CIFAR100, "meta", {"filename": name, "key": "fine_label_names", "md5": md5})
    return folder


def test_the_super_classes_are_twenty_times_five_classes():
    assert [len(members) for members in SUPER_CLASSES.values()] == [5] * 20
    assert len(set(FINE_CLASSES)) == 100
    assert np.bincount([*COARSE_OF.values()]).tolist() == [5] * 20


def test_the_map_is_the_one_of_the_official_coarse_labels():
    """The pairs are those of the files as published; CSI's list differs in 13 groups."""
    for fine, coarse in COARSE_OF.items():
        assert FINE_CLASSES[fine] in SUPER_CLASSES[NAMES[coarse]]


def test_torchvisions_folder_gives_super_classes_in_order(folder, pixels):
    images, labels = pixels
    for split, rows in (("train", slice(40)), ("test", slice(40, None))):
        loaded = load_images("cifar100", split, folder.parent)
        np.testing.assert_array_equal(loaded.images, images[rows])
        assert loaded.labels.tolist() == [COARSE_OF[label] for label in labels[rows]]
        assert list(loaded.class_names) == NAMES


def test_a_flipped_byte_is_a_wrong_checksum(folder):
    load_images("cifar100", "train", folder.parent)
    content = bytearray((folder / "train").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "train").write_bytes(content)
    with pytest.raises(InputError, match=r"wrong checksum.*fetch the archive again"):
        load_images("cifar100", "train", folder.parent)


def test_a_file_cut_short_is_a_wrong_checksum_and_a_missing_one_is_named(folder):
    (folder / "test").write_bytes((folder / "test").read_bytes()[:1000])
    with pytest.raises(InputError, match="wrong checksum"):
        load_images("cifar100", "test", folder.parent)
    (folder / "test").unlink()
    with pytest.raises(InputError, match=r"cifar-100-python/test is missing"):
        load_images("cifar100", "test", folder.parent)


def test_nothing_found_names_the_places_and_how_to_get_it(tmp_path):
    with pytest.raises(
        InputError, match=r"cifar-100-python nor .*cifar100-test.parquet.*CIFAR100.*download"
    ):
        load_images("cifar100", "test", tmp_path)


def test_shards_of_parquet_files_are_one_set(tmp_path, encode, write_parquet, pixels):
    images, labels = pixels
    for shard, rows in enumerate((slice(0, 7), slice(7, 20))):
        data = [encode(image.transpose(1, 2, 0)) for image in images[rows]]
        path = tmp_path / f"cifar100-test-0000{shard}-of-00002.parquet"
        write_parquet(path, data, fine_label=labels[rows])
    loaded = load_images("cifar100", "test", tmp_path)
    np.testing.assert_array_equal(loaded.images, images[:20])
    assert loaded.labels.tolist() == [COARSE_OF[label] for label in labels[:20]]
    path.unlink()
    with pytest.raises(InputError, match=r"shards 0 to 1 of 2.*00001-of-00002"):
        load_images("cifar100", "test", tmp_path)


def test_parquet_files_without_fine_labels_or_of_other_classes_are_refused(
    tmp_path, encode, write_parquet
):
    path = tmp_path / "cifar100-test.parquet"
    write_parquet(path, [encode(np.zeros((32, 32, 3), np.uint8))], coarse_label=[3])
    with pytest.raises(InputError, match=r"no column 'fine_label'.*coarse_label"):
        load_images("cifar100", "test", tmp_path)
    for labels in (["cat"], [100]):
        write_parquet(path, [encode(np.zeros((32, 32, 3), np.uint8))], fine_label=labels)
        with pytest.raises(InputError, match=r"need those of CIFAR-100: apple, aquarium_fish"):
            load_images("cifar100", "test", tmp_path)


def test_the_real_test_split_has_its_own_coarse_labels(shared_data):
    path = shared_data("cifar100-test.parquet")
    loaded = load_images("cifar100", "test", path.parent)
    column = pq.read_table(path, columns=["coarse_label"])["coarse_label"]
    np.testing.assert_array_equal(loaded.labels, column.to_numpy())
    assert loaded.images.shape == (10000, 3, 32, 32)
    assert np.bincount(loaded.labels).tolist() == [500] * 20
    by_column = load_images(f"{path}#coarse_label", "test")
    assert by_column.fingerprint == loaded.fingerprint  # class names too
