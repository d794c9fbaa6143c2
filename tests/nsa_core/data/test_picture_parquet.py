"""Pictures in Parquet: every layout of Hugging Face, labels of every kind or none."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nsa_core.data import picture_splits, read_pictures
from tests.nsa_core.data.picture_files import encoded, noise, refused

IMAGES = [encoded(noise(seed)) for seed in range(6)]


def write(path, images, column="image", **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [{"bytes": data, "path": "../../etc/passwd"} for data in images]
    pq.write_table(pa.table({column: values, **columns}), path)
    return path


def test_one_file_without_labels(tmp_path):
    path = write(tmp_path / "my.parquet", IMAGES)
    found = read_pictures(path)
    assert found.names == tuple(f"my.parquet:{row}" for row in range(6))
    assert (found.labels, found.class_names) == (None, ())
    np.testing.assert_array_equal(found.images[:, 0], [noise(seed) for seed in range(6)])


@pytest.mark.parametrize("column", ["img", "picture"])
def test_the_column_of_images_may_have_another_name(tmp_path, column):
    assert len(read_pictures(write(tmp_path / "my.parquet", IMAGES, column))) == 6


def test_plain_bytes_are_images_too(tmp_path):
    pq.write_table(pa.table({"image": IMAGES}), tmp_path / "my.parquet")
    assert len(read_pictures(tmp_path / "my.parquet")) == 6


def test_no_or_several_columns_that_hold_images(tmp_path):
    pq.write_table(pa.table({"a": IMAGES, "b": IMAGES, "c": range(6)}), tmp_path / "my.parquet")
    refused("no column 'image' .it has: a, b, c", tmp_path / "my.parquet")


TEXT = ["dog", "cat", "dog", "cafe\u0301", "cat", "dog"]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_labels_that_are_text(tmp_path, kind):
    path = write(tmp_path / "my.parquet", IMAGES, label=pa.array(TEXT).cast(kind))
    found = read_pictures(path)
    assert found.labels == ("dog", "cat", "dog", "caf\u00e9", "cat", "dog")
    assert found.class_names == ("caf\u00e9", "cat", "dog")


def test_labels_that_are_numbers_with_and_without_names(tmp_path):
    path = write(tmp_path / "my.parquet", IMAGES, label=[2, 0, 1, 1, 0, 2])
    assert read_pictures(path).labels == ("2", "0", "1", "1", "0", "2")
    table = pq.read_table(path)
    for metadata in (
        {"class_names": json.dumps(["z", "y", "x"])},
        {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["z", "y", "x"]}}}})},
    ):
        pq.write_table(table.replace_schema_metadata(metadata), path)
        found = read_pictures(path)
        assert found.labels == ("x", "z", "y", "y", "z", "x")
        assert found.class_names == ("z", "y", "x")  # in their numbers' order


@pytest.mark.parametrize(
    "labels", [["cat", None] * 3, [0, None] * 3, [-1] * 6, [0.5] * 6, [[1]] * 6, [None] * 6]
)
def test_labels_that_are_missing_or_none_leave_pictures_without(tmp_path, labels):
    assert read_pictures(write(tmp_path / "my.parquet", IMAGES, label=labels)).labels is None


def test_another_column_can_be_named(tmp_path):
    path = write(tmp_path / "my.parquet", IMAGES, label=[0] * 6, kind=TEXT, score=[0.5] * 6)
    assert read_pictures(f"{path}#kind").labels[0] == "dog"
    refused("no column 'none' .it has: image, label, kind, score", f"{path}#none")
    refused("column 'score' is double; need integers or text", f"{path}#score")


def sharded(folder, name="{split}-{n:05}-of-00002.parquet"):
    for split, rows in (("train", (0, 2, 4)), ("test", (4, 5, 6))):
        for n in (0, 1):
            some = slice(rows[n], rows[n + 1])
            write(folder / name.format(split=split, n=n), IMAGES[some], label=TEXT[some])
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "data/{split}-{n:05}-of-00002.parquet",
        "data/{split}-{n:05}-of-00002-b42a775f407cee45.parquet",
        "default/{split}/{n:04}.parquet",
        "{split}/part-{n}.parquet",
        "mine_{split}_{n}.parquet",
    ],
)
def test_a_folder_of_shards(tmp_path, name):
    sharded(tmp_path, name)
    (tmp_path / "README.md").write_text("a data set")
    (tmp_path / ".gitattributes").write_text("")
    assert picture_splits(tmp_path) == ("test", "train")
    found = read_pictures(tmp_path, split="train")
    assert found.names[1:3] == (
        f"{name.format(split='train', n=0)}:1",
        f"{name.format(split='train', n=1)}:0",
    )
    np.testing.assert_array_equal(found.images[:, 0], [noise(seed) for seed in range(4)])
    assert found.labels == ("dog", "cat", "dog", "caf\u00e9")
    test = read_pictures(tmp_path, split="test")
    assert test.class_names == found.class_names == ("caf\u00e9", "cat", "dog")
    assert len(read_pictures(tmp_path)) == 6
    refused("unknown split of folder .* 'val' .known: test, train", tmp_path, split="val")


def test_a_shard_stands_for_all_of_its_split(tmp_path):
    path = sharded(tmp_path) / "train-00001-of-00002.parquet"
    assert len(read_pictures(path)) == 4
    (tmp_path / "train-00000-of-00002.parquet").unlink()
    refused("missing or out of place: train-00000-of-00002", path)
    refused("missing or out of place: train-00000-of-00002", tmp_path)


def test_a_placeholder_stands_for_the_split(tmp_path):
    path = sharded(tmp_path) / "{split}-00000-of-00002.parquet"
    found = read_pictures(path, split="test")
    assert (found.labels, found.class_names) == (("cat", "dog"), ("caf\u00e9", "cat", "dog"))
    refused("does not exist", path)


@pytest.mark.parametrize("in_folder", [False, True])
def test_a_column_may_say_the_split(tmp_path, in_folder):
    split = ["train", "test", "train", "train", "test", "train"]
    path = write(tmp_path / "my.parquet", IMAGES, label=TEXT, split=split)
    found = read_pictures(tmp_path if in_folder else path, split="test")
    assert found.names == ("my.parquet:1", "my.parquet:4")
    assert found.labels == ("cat", "cat")
    np.testing.assert_array_equal(found.images[:, 0], [noise(1), noise(4)])


def test_broken_rows_are_named_by_their_place(tmp_path):
    images = [encoded(noise(seed)) for seed in range(20)]
    images[7] = b"no image"
    images[11] = None
    path = write(tmp_path / "my.parquet", images, label=list(range(20)))
    refused("2 of 20 images cannot be read: my.parquet:7 .*; my.parquet:11 ", path)
    found = read_pictures(path, on_broken="skip")
    assert [name for name, _ in found.skipped] == ["my.parquet:7", "my.parquet:11"]
    assert found.labels == tuple(str(row) for row in range(20) if row not in (7, 11))


def test_a_path_inside_of_a_file_is_never_opened(tmp_path):
    path = tmp_path / "my.parquet"
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    image = pa.array([{"bytes": None, "path": "/etc/passwd"}] * 2, kind)
    pq.write_table(pa.table({"image": image}), path)
    refused("2 of 2 images cannot be read", path)


def test_files_that_do_not_match_or_are_none(tmp_path):
    write(tmp_path / "a.parquet", IMAGES[:2])
    write(tmp_path / "b.parquet", IMAGES[2:4], "img")
    refused("b.parquet: no column 'image', which .*a.parquet has", tmp_path)
    (tmp_path / "b.parquet").write_bytes(b"none")
    refused("b.parquet: not a whole Parquet file", tmp_path)


def test_a_file_without_rows(tmp_path):
    write(tmp_path / "my.parquet", IMAGES)
    pq.write_table(pq.read_table(tmp_path / "my.parquet")[:0], tmp_path / "my.parquet")
    refused("holds no image", tmp_path / "my.parquet")


def test_images_beside_parquet_files_are_not_mixed_in(tmp_path):
    write(tmp_path / "my.parquet", IMAGES)
    (tmp_path / "a.png").write_bytes(IMAGES[0])
    refused("holds Parquet files .my.parquet. and images .a.png.; name the ones or", tmp_path)


def test_a_linked_parquet_file_outside_is_refused(tmp_path):
    path = write(tmp_path / "outside" / "my.parquet", IMAGES)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "my.parquet").symlink_to(path)
    refused("a link that leads out of the folder; name the file itself", tmp_path / "inside")


@pytest.mark.parametrize("name", ["train-test/0000", "train/test", "test/train-0"])
def test_a_path_that_names_two_splits_is_refused(tmp_path, name):
    sharded(tmp_path / "shards")
    path = tmp_path / "data" / f"{name}.parquet"
    path.parent.mkdir(parents=True)
    (tmp_path / "shards" / "train-00000-of-00002.parquet").rename(path)
    match = f"{name}.parquet names the splits train and test; need one for each file"
    for split in ("train", "test"):
        refused(match, tmp_path / "data", split=split)


@pytest.mark.parametrize(
    "name",
    ["train-{n:05}-of-00002-{n:x}bcdef0123456789", "train-{n}-of-2", "train_{n:05}_of_00002",
     "train-{n:06}-of-000002", "{n}_of_2-train", "train-{m}-of-2"],
)  # fmt: skip
def test_shards_are_shards_however_they_are_spelled(tmp_path, name):
    sharded(tmp_path, "{split}-{n:05}-of-00002.parquet")
    paths = []
    for n in range(2):
        paths.append(tmp_path / f"{name.format(n=n, m=n + 1)}.parquet")
        (tmp_path / f"train-{n:05}-of-00002.parquet").rename(paths[-1])
    for path in paths:
        assert len(read_pictures(path, split="train")) == 4
    paths[0].unlink()
    refused("need exactly the shards 0 to 1 of 2; missing or out of place: ", paths[1])


def test_a_part_that_others_lie_beside_is_not_taken_for_a_split(tmp_path):
    sharded(tmp_path, "{split}-{n:05}.parquet")
    path = tmp_path / "train-00000.parquet"
    refused(
        "train-00001.parquet lies beside it, so it may be a part of a split", path, split="train"
    )
    assert len(read_pictures(path)) == 2  # this file was named
    sharded(tmp_path / "folders", "{split}/{n:04}.parquet")
    path = tmp_path / "folders" / "{split}" / "0000.parquet"
    refused("0001.parquet lies beside it", path, split="train")
