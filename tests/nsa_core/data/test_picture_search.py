"""What a source may be, and what it may not."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nsa_core.data import picture_splits, read_pictures
from tests.nsa_core.data.picture_files import IMAGE, encoded, noise, refused, tree


def test_an_image_alone_whatever_it_is_called(tmp_path):
    tree(tmp_path, "a.png", "no_ending")
    assert read_pictures(tmp_path / "a.png").names == ("a.png",)
    assert read_pictures(str(tmp_path / "no_ending")).images.shape == (1, 1, 4, 6)
    refused("is one image and has no split 'train'", tmp_path / "a.png", split="train")


def test_a_list_keeps_its_order_and_its_paths(tmp_path, monkeypatch):
    tree(tmp_path, "b.png", "sub/a.png", "folder/x/1.png", "folder/y/2.png")
    pq.write_table(pa.table({"image": [IMAGE] * 2, "label": ["x", "z"]}), tmp_path / "my.parquet")
    monkeypatch.chdir(tmp_path)
    found = read_pictures(["sub/a.png", tmp_path / "b.png", "folder", "my.parquet"])
    start = ("sub/a.png", f"{tmp_path}/b.png", "folder/x/1.png", "folder/y/2.png")
    assert found.names == (*start, "my.parquet:0", "my.parquet:1")
    np.testing.assert_array_equal(found.images[:2, 0], [noise(1), noise(0)])
    assert found.labels is None  # two have none
    assert read_pictures(("folder", "my.parquet")).labels == ("x", "y", "x", "z")
    assert read_pictures(("folder", "my.parquet")).class_names == ("x", "y", "z")


def test_what_is_no_source(tmp_path):
    tree(tmp_path, "a.png")
    refused("there is nothing of this name; need a folder", tmp_path / "b.png")
    refused("there is nothing of this name", "x" * 5000)
    refused("there is nothing of this name", "a\0b")
    refused("does not exist", tmp_path / "b.parquet")
    refused("a list of images is empty", [])
    refused(r"a list of images has '.*a.png' 2 times", [tmp_path / "a.png"] * 2)
    for wrong in (3, None, [3], {"a.png": 1}, np.zeros((2, 2))):
        refused("need the path of a folder", wrong)


def test_only_folders_have_splits(tmp_path):
    tree(tmp_path, "a.png")
    assert picture_splits(tmp_path / "a.png") == ()
    assert picture_splits(tmp_path) == ()


@pytest.mark.parametrize("more", [{"resize": "squash"}, {"on_broken": "ignore"}])
def test_unknown_words_are_refused(tmp_path, more):
    refused(f"unknown {next(iter(more))} '{next(iter(more.values()))}'", tmp_path, **more)


@pytest.mark.parametrize("size", [0, -1, 1.5, "96", (8,), (8, 8, 8), (8, 0), True])
def test_sizes_that_are_none(tmp_path, size):
    refused("^size is", tmp_path, size=size)


def test_channels_that_are_none(tmp_path):
    refused("channels is 4; need 1", tmp_path, channels=4)


def test_a_colour_image_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(noise(0, 4, 6, 3)))
    assert read_pictures(tmp_path / "a.png").images.shape == (1, 3, 4, 6)
