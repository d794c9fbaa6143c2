"""A folder is a data set of a study, with its resize policy in its name."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nsa_core import InputError, load_images, load_splits, one_class_split
from tests.nsa_core.data.picture_files import encoded, noise, tree


def tiles(folder):
    train = [f"train/good/{n}.png" for n in range(6)] + ["train/scratch/6.png", "train/stain/7.png"]
    tree(folder, *train)
    for seed, name in enumerate(["test/good/1.png", "test/good/2.png", "test/crack/1.png"], 20):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(noise(seed)))
    return folder


def said(match, *asked):
    with pytest.raises(InputError, match=match):
        load_images(*asked)


def test_a_folder_goes_through_the_one_class_protocol(tmp_path):
    tiles(tmp_path / "tiles")
    train, test = load_splits("tiles", tmp_path)
    assert train.class_names == test.class_names == ("crack", "good", "scratch", "stain")
    assert train.labels.tolist() == [1] * 6 + [2, 3]
    assert test.labels.tolist() == [0, 1, 1]
    split = one_class_split(train, test, "good", pollution=0.25)
    assert len(split.train_images) == 8
    assert split.test_is_outlier.tolist() == [True, False, False]
    np.testing.assert_array_equal(split.train_images[0, 0], noise(0))


def test_an_absolute_path_and_all_of_it(tmp_path):
    folder = tiles(tmp_path / "tiles")
    assert len(load_images(str(folder), "all")) == 11
    assert len(load_images(f"{folder}/", "test", tmp_path)) == 3


def test_the_name_says_how_images_get_their_size(tmp_path):
    tiles(tmp_path)
    tree(tmp_path, "train/good/large.png", shape=(20, 30, 3))
    said(
        "of 2 sizes: .*need a size .such as 96. and a resize policy: stretch, crop or pad",
        str(tmp_path),
        "train",
    )
    found = load_images(f"{tmp_path}?size=8&resize=pad", "train")
    assert found.images.shape == (9, 3, 8, 8)
    assert load_images(f"{tmp_path}?resize=crop&size=8x10", "test").images.shape == (3, 1, 8, 10)
    other = load_images(f"{tmp_path}?size=8&resize=stretch", "train")
    assert other.fingerprint != found.fingerprint


def test_broken_files_are_skipped_if_the_name_says_so(tmp_path):
    tree(tmp_path, *[f"train/good/{n}.png" for n in range(9)])
    (tmp_path / "train/good/broken.png").write_bytes(b"")
    said("1 of 10 images cannot be read: train/good/broken.png", str(tmp_path), "train")
    assert len(load_images(f"{tmp_path}?on_broken=skip", "train")) == 9


def test_a_parquet_file_can_be_given_a_size_too(tmp_path):
    images = [encoded(noise(seed, 4 + seed, 6)) for seed in range(4)]
    for split in ("train", "test"):
        table = pa.table(
            {"image": images, "kind": ["b", "a", "b", "c" if split == "test" else "a"]}
        )
        pq.write_table(table, tmp_path / f"my-{split}.parquet")
    said("all images must have one size", "my-{split}.parquet#kind", "train", tmp_path)
    found = load_images("my-{split}.parquet#kind?size=5&resize=stretch", "train", tmp_path)
    assert found.images.shape == (4, 1, 5, 5)
    assert found.class_names == ("a", "b", "c")
    assert found.labels.tolist() == [1, 0, 1, 0]


def test_a_folder_of_parquet_files_is_a_data_set(tmp_path):
    for split in ("train", "test"):
        images = [encoded(noise(seed)) for seed in range(4)]
        path = tmp_path / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"image": images, "label": [3, 0, 1, 1]}), path)
    found = load_images(str(tmp_path), "train")
    assert found.class_names == ("0", "1", "2", "3")
    assert found.labels.tolist() == [3, 0, 1, 1]


def test_wrong_options_are_named(tmp_path):
    tiles(tmp_path)
    said("unknown option of data set .* 'sise'; did you mean 'size'", f"{tmp_path}?sise=8", "train")
    for size in ("", "x", "8x", "-8", "8.5", "8x8x8"):
        said("need 96 or 96x128", f"{tmp_path}?size={size}&resize=pad", "train")
    said("need a whole number of at least 1", f"{tmp_path}?size=0&resize=pad", "train")
    said("unknown resize 'squash'", f"{tmp_path}?size=8&resize=squash", "train")


def test_a_folder_may_have_a_question_mark(tmp_path):
    tiles(tmp_path / "what?size=8")
    assert load_images("what?size=8", "test", tmp_path).images.shape == (3, 1, 4, 6)


def test_what_is_no_data_set(tmp_path):
    said("unknown data set 'none' .known: FOLDER", "none", "train", tmp_path)
    said("unknown data set", "x" * 5000, "train")
    (tmp_path / "empty").mkdir()
    said("holds no image", "empty", "train", tmp_path)
    tree(tmp_path / "classes", "good/1.png", "bad/2.png")
    said("is not divided into train/ and test/", "classes", "test", tmp_path)
    tree(tmp_path / "flat", "train/1.png", "test/2.png")
    said(
        "train/1.png has no class; a study with a test needs train/CLASS/",
        "flat",
        "train",
        tmp_path,
    )
    tree(tmp_path / "one", "train/good/1.png")
    said("unknown split of folder .* 'test'", "one", "test", tmp_path)
    said("unknown split 'val'", "one", "val", tmp_path)
    tree(tmp_path / "names", "train/bad\nname/1.png")
    said("the name of class 0 is 'bad.nname'; need printable", "names", "train", tmp_path)
    said("unprintable characters", f"{tmp_path}/names?size=\n", "train")


@pytest.mark.parametrize("start", ["train/", "", "part one/"])
def test_a_flat_folder_without_a_test_split_is_one_class(tmp_path, start):
    tree(
        tmp_path / "tiles",
        *(f"{start}{n}.png" for n in range(6)),
        "7.png" if start == "part one/" else f"{start}8.png",
    )
    train, test = load_splits("tiles", tmp_path)
    assert test is None
    assert train.class_names == ("normal",)
    assert train.labels.tolist() == [0] * 7


@pytest.mark.parametrize("start", ["train/", ""])
def test_a_folder_without_a_test_split_is_for_training(tmp_path, start):
    tree(tmp_path / "tiles", *(f"{start}good/{n}.png" for n in range(6)))
    train, test = load_splits("tiles", tmp_path)
    assert test is None
    assert train.class_names == ("good",)
    assert len(train) == 6


def test_a_named_set_comes_before_a_folder_of_its_name(tmp_path):
    tiles(tmp_path / "digits")
    assert len(load_images("digits", "train", tmp_path)) == 1257
    assert len(load_images("./digits", "train", tmp_path)) == 8
