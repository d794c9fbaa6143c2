"""Which files of a folder are images, and what their folders say of them."""

import os

import numpy as np
import pytest

from nsa_core import InputError
from nsa_core.data import picture_splits, read_pictures
from nsa_core.data.picture_folder import READ
from tests.nsa_core.data.picture_files import IMAGE, refused, tree


def names(folder, **options):
    return read_pictures(folder, **options).names


def test_the_order_is_that_of_the_paths_whatever_the_disk_says(tmp_path):
    made = [
        "b/2.png",
        "a.png",
        "b/10.png",
        "B/1.png",
        "b/c/d/e/f/deep.png",
        "é/ü.png",
        "猫/🚀 1.png",
    ]
    tree(tmp_path, *made)
    wanted = ["B/1.png", "a.png", "b/10.png", "b/2.png", "b/c/d/e/f/deep.png"]
    assert names(tmp_path) == (*wanted, "é/ü.png", "猫/🚀 1.png")


def test_every_known_ending_in_either_case_is_an_image(tmp_path):
    tree(tmp_path, *[f"x{end}" for end in READ], *[f"y{end.upper()}" for end in READ])
    assert len(names(tmp_path)) == 2 * len(READ)


def test_what_is_no_image_is_passed_over(tmp_path):
    tree(tmp_path, "a.png", ".hidden.png", ".cache/b.png", "._a.png")
    for name in ("INDEX.tsv", "Thumbs.db", ".DS_Store", "readme.txt", "labels.csv", "no_extension"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "empty folder").mkdir()
    assert names(tmp_path) == ("a.png",)


@pytest.mark.parametrize("end", [".avif", ".HEIC", ".jp2", ".ppm"])
def test_a_format_that_is_not_read_is_named_rather_than_passed_over(tmp_path, end):
    tree(tmp_path, "a.png", f"b{end}")
    refused(f"1 of 2 images cannot be read: b{end} .{end} is not read; need PNG", tmp_path)


def test_folders_are_classes(tmp_path):
    tree(tmp_path, "cat/1.png", "cat/more/2.png", "dog/3.png")
    found = read_pictures(tmp_path)
    assert found.labels == ("cat", "cat", "dog")
    assert found.class_names == ("cat", "dog")


def test_a_class_has_one_spelling_whatever_the_system_made_of_it(tmp_path):
    tree(tmp_path, "caf\u00e9/1.png", "cafe\u0301/2.png")
    found = read_pictures(tmp_path)
    assert found.class_names == ("caf\u00e9",)
    assert found.names == ("cafe\u0301/2.png", "caf\u00e9/1.png")


def test_an_image_outside_of_the_classes_leaves_all_without_a_label(tmp_path):
    tree(tmp_path, "cat/1.png", "2.png")
    assert read_pictures(tmp_path).labels is None


@pytest.mark.parametrize("train", ["train", "Train"])
def test_train_and_test_are_splits_and_masks_beside_them_are_not(tmp_path, train):
    tree(
        tmp_path,
        f"{train}/good/1.png",
        "test/good/2.png",
        "test/cut/3.png",
        "truth/cut/3.png",
        "logo.png",
    )
    found = read_pictures(tmp_path, split="train")
    assert found.names == (f"{train}/good/1.png",)
    assert found.class_names == ("cut", "good")  # of the whole, so that a number means one class
    assert read_pictures(tmp_path, split="test").labels == ("cut", "good")
    assert len(read_pictures(tmp_path)) == 3
    assert picture_splits(tmp_path) == ("test", "train")


def test_a_class_may_be_called_train(tmp_path):
    tree(tmp_path, "bus/1.png", "car/2.png", "train/3.png")
    assert read_pictures(tmp_path).labels == ("bus", "car", "train")
    assert picture_splits(tmp_path) == ()
    refused("is not divided into train/ and test/", tmp_path, split="train")


def test_a_split_alone_is_one(tmp_path):
    tree(tmp_path, "train/1.png")
    found = read_pictures(tmp_path, split="train")
    assert (found.names, found.labels) == (("train/1.png",), None)
    refused("unknown split of folder .* 'test' .known: train", tmp_path, split="test")


def test_an_empty_folder_says_what_it_holds_instead(tmp_path):
    refused("holds no image", tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    refused("passed over 1 files, such as 'notes.txt'", tmp_path)


def test_links_within_the_folder_are_followed_and_others_are_not(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    tree(inside, "a.png")
    tree(outside, "secret.png", "folder/x.png")
    (inside / "b.png").symlink_to("a.png")
    assert names(inside) == ("a.png", "b.png")
    for name, target, why in (
        ("c.png", outside / "secret.png", "c.png .a link that leads out of the folder"),
        ("c.png", "../outside/secret.png", "c.png .a link that leads out of the folder"),
        ("c", outside / "folder", "c/ .a link that leads out of the folder"),
        ("c", ".", "c/ .a link to a folder"),
        ("c.png", "nowhere.png", "c.png .a link that leads nowhere"),
        ("c.png", "c.png", "c.png .a link that leads nowhere"),
    ):
        (inside / name).symlink_to(target)
        refused(f"1 of 3 images cannot be read: {why}", inside)
        (inside / name).unlink()


def test_the_folder_itself_may_be_a_link(tmp_path):
    tree(tmp_path / "real", "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names(tmp_path / "link") == ("a.png",)


def test_a_pipe_is_not_waited_for(tmp_path):
    tree(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    refused("b.png .no regular file", tmp_path)
    refused("there is device of this name", tmp_path / "b.png")


def test_a_name_that_is_no_text_is_read_and_written_as_one(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(IMAGE)
    assert names(tmp_path) == ("caf\\xe9.png",)


def test_deep_folders_are_walked(tmp_path):
    place = "d/" * 300
    tree(tmp_path, f"{place}x.png")
    assert names(tmp_path) == (f"{place}x.png",)


def test_pixels_are_those_of_the_files(tmp_path):
    tree(tmp_path, "a.png", "b.png")
    found = read_pictures(tmp_path).images
    assert found.shape == (2, 1, 4, 6)
    assert not found.flags.writeable
    assert not np.array_equal(found[0], found[1])


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    tree(tmp_path, "a.png", "locked/b.png")
    scan = os.scandir

    def locked(folder):
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr("os.scandir", locked)
    with pytest.raises(InputError, match=r"locked' cannot be read \(Permission denied"):
        read_pictures(tmp_path)
