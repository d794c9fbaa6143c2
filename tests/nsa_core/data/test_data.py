import pytest

from nsa_core.data import available, load_images
from nsa_core.errors import InputError


def test_available_lists_the_named_sources():
    assert available() == ["cifar10", "cifar100", "digits", "fashion-mnist", "svhn"]


def test_unknown_data_set_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"unknown data set 'fashion_mnist'.*'fashion-mnist'"):
        load_images("fashion_mnist", "train")


@pytest.mark.parametrize("split", ["val", "Train", "", "all"])
def test_unknown_split_is_refused_by_name(split):
    with pytest.raises(InputError, match=rf"unknown split '{split}'.*test, train"):
        load_images("digits", split)


def test_all_is_a_split_of_parquet_files_alone():
    with pytest.raises(InputError, match="does not exist"):
        load_images("nowhere.parquet", "all")


def test_data_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match="absent' does not exist"):
        load_images("cifar10", "train", tmp_path / "absent")
