import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsa_core.data import load_images, load_splits
from nsa_core.errors import AbsentError, InputError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 8, 10), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture(scope="module")
def pngs(encode):
    return [encode(image) for image in COLOUR]


@pytest.fixture(scope="module")
def greys(encode):
    return [encode(image) for image in GREY]


@pytest.fixture
def write(tmp_path, write_parquet, pngs):
    """Write a file of six images in tmp_path, whose columns and bytes can be replaced."""

    def to(name, images=None, metadata=None, **columns):
        return write_parquet(
            tmp_path / name, images or pngs, metadata, **(columns or {"label": LABELS})
        )

    return to


def decoded_by_pil(path, row):
    data = pq.read_table(path)["image"][row].as_py()["bytes"]
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image), image.format


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_colour_images_are_decoded_as_they_were_encoded(write, encode, tmp_path, kind):
    write("a-train.parquet", [encode(image, kind) for image in COLOUR])
    loaded = load_images("a-train.parquet", "train", tmp_path)
    np.testing.assert_array_equal(loaded.images, COLOUR.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(loaded.labels, LABELS)
    assert loaded.class_names == ("0", "1", "2")


def test_grey_images_keep_one_channel(write, greys, tmp_path):
    write("a-train.parquet", greys)
    loaded = load_images("a-train.parquet", "train", tmp_path)
    np.testing.assert_array_equal(loaded.images, GREY[:, None])


def test_grey_among_colour_is_replicated(write, pngs, greys, tmp_path):
    write("a-train.parquet", greys[:3] + pngs[3:])
    images = load_images("a-train.parquet", "train", tmp_path).images
    for channel in range(3):
        np.testing.assert_array_equal(images[:3, channel], GREY[:3])
        np.testing.assert_array_equal(images[3:, channel], COLOUR[3:, :, :, channel])


def test_palette_images_take_their_colours(write, tmp_path):
    image = Image.fromarray(np.arange(80, dtype=np.uint8).reshape(8, 10) % 4, mode="P")
    image.putpalette([10, 20, 30, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    write("a-train.parquet", [stream.getvalue()] * 6)
    images = load_images("a-train.parquet", "train", tmp_path).images
    assert images[0, :, 0, 0].tolist() == [10, 20, 30]
    assert images[0, :, 0, 1].tolist() == [255, 0, 0]


def test_images_may_be_a_plain_column_of_bytes(tmp_path, pngs):
    pq.write_table(pa.table({"image": pngs, "label": LABELS}), tmp_path / "a-train.parquet")
    loaded = load_images("a-train.parquet", "train", tmp_path)
    np.testing.assert_array_equal(loaded.images, COLOUR.transpose(0, 3, 1, 2))


def test_many_rows_stay_in_order(write, encode, tmp_path):
    """More than the decoder's threads take at once."""
    images = [encode(np.full((2, 2), index % 256, dtype=np.uint8)) for index in range(1000)]
    write("a-all.parquet", images, label=np.arange(1000) % 7)
    loaded = load_images("a-all.parquet", "all", tmp_path)
    np.testing.assert_array_equal(loaded.images[:, 0, 0, 0], np.arange(1000) % 256)
    np.testing.assert_array_equal(loaded.labels, np.arange(1000) % 7)


def test_class_names_come_from_either_metadata(write, tmp_path):
    names = ["cat", "dog", "emu"]
    write("a-train.parquet", metadata={"class_names": json.dumps({"label": names})})
    info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    write("b-train.parquet", metadata={"huggingface": json.dumps(info)})
    for name in ("a", "b"):
        loaded = load_images(f"{name}-train.parquet", "train", tmp_path)
        assert loaded.class_names == ("cat", "dog", "emu")


def test_labels_beyond_the_class_names_are_refused(write, tmp_path):
    write("a-train.parquet", metadata={"class_names": json.dumps({"label": ["cat", "dog"]})})
    with pytest.raises(InputError, match="from 0 to 2; with 2 class names"):
        load_images("a-train.parquet", "train", tmp_path)


def test_the_label_column_is_named_after_a_hash_sign(write, tmp_path):
    coarse = np.array([1, 1, 0, 0, 1, 1], dtype=np.int16)
    names = json.dumps({"label": ["a", "b", "c"], "coarse": ["x", "y"]})
    write("a-train.parquet", metadata={"class_names": names}, label=LABELS, coarse=coarse)
    loaded = load_images("a-train.parquet#coarse", "train", tmp_path)
    np.testing.assert_array_equal(loaded.labels, coarse)
    assert loaded.class_names == ("x", "y")
    by_default = load_images("a-train.parquet", "train", tmp_path)
    assert by_default.class_names == ("a", "b", "c")


def test_a_placeholder_names_one_file_a_split(write, pngs, tmp_path):
    write("train.x.parquet", pngs[:4], label=LABELS[:4])
    write("test.x.parquet", pngs[4:], label=LABELS[4:])
    train = load_images("{split}.x.parquet", "train", tmp_path)
    test = load_images("{split}.x.parquet", "test", tmp_path)
    np.testing.assert_array_equal(train.images, COLOUR[:4].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(test.images, COLOUR[4:].transpose(0, 3, 1, 2))


def test_a_column_split_selects_rows(write, tmp_path):
    column = ["train", "test", "train", "train", "test", "train"]
    write("images.parquet", label=LABELS, split=column)
    for split, rows in (("train", [0, 2, 3, 5]), ("test", [1, 4])):
        loaded = load_images("images.parquet", split, tmp_path)
        np.testing.assert_array_equal(loaded.images, COLOUR[rows].transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(loaded.labels, LABELS[rows])
    assert len(load_images("images.parquet", "all", tmp_path)) == 6


def test_a_split_that_no_row_has_is_refused_with_those_found(write, tmp_path):
    write("images.parquet", label=LABELS, split=["train"] * 3 + ["extra"] * 3)
    with pytest.raises(InputError, match=r"no row of split 'test' \(.*'extra', 'train'"):
        load_images("images.parquet", "test", tmp_path)


@pytest.mark.parametrize("name", ["a-train", "train", "my_train_b", "x.train"])
def test_a_word_of_the_files_name_says_the_split(write, tmp_path, name):
    write(f"{name}.parquet")
    assert len(load_images(f"{name}.parquet", "train", tmp_path)) == 6
    with pytest.raises(InputError, match="cannot tell which rows are split 'test'"):
        load_images(f"{name}.parquet", "test", tmp_path)


@pytest.mark.parametrize("name", ["images", "trainer", "constrained"])
def test_a_split_that_nothing_tells_is_refused_with_the_ways_out(write, tmp_path, name):
    write(f"{name}.parquet")
    with pytest.raises(InputError, match=r"images-\{split\}.parquet.*column 'split'.*'all'"):
        load_images(f"{name}.parquet", "train", tmp_path)
    assert len(load_images(f"{name}.parquet", "all", tmp_path)) == 6


@pytest.mark.parametrize("name", ["parts-train-test", "train_val", "a.test.train.b"])
def test_a_name_with_two_splits_tells_neither(write, tmp_path, name):
    write(f"{name}.parquet")
    for split in ("train", "test"):
        with pytest.raises(InputError, match=r"its name says \w+ and \w+"):
            load_images(f"{name}.parquet", split, tmp_path)


def test_of_a_shard_all_shards_are_read_in_order(write, pngs, tmp_path):
    for number in range(3):
        part = slice(2 * number, 2 * number + 2)
        name = f"train-{number:05}-of-00003.parquet"
        write(name, pngs[part], label=LABELS[part])
    write("test-00000-of-00001.parquet", pngs[:1], label=LABELS[:1])
    for shard in ("{split}-00000-of-00003", "{split}-00000-of-00001", "train-00002-of-00003"):
        loaded = load_images(f"{shard}.parquet", "train", tmp_path)
        np.testing.assert_array_equal(loaded.images, COLOUR.transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(loaded.labels, LABELS)
    assert len(load_images("{split}-00000-of-00003.parquet", "test", tmp_path)) == 1


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_shard_is_named(write, tmp_path, gone):
    for number in {0, 1, 2} - {gone}:
        write(f"train-{number:05}-of-00003.parquet")
    with pytest.raises(InputError, match=f"train-{gone:05}-of-00003.parquet"):
        load_images("{split}-00000-of-00003.parquet", "train", tmp_path)


def test_shards_of_two_exports_are_not_mixed(write, tmp_path):
    write("train-00000-of-00001.parquet")
    write("train-00000-of-00002.parquet")
    with pytest.raises(InputError, match=r"train-00000-of-00002\.parquet"):
        load_images("{split}-00000-of-00001.parquet", "train", tmp_path)


def test_a_shard_with_other_columns_is_named(write, tmp_path):
    write("train-00000-of-00002.parquet")
    write("train-00001-of-00002.parquet", label=LABELS.astype(np.int32))
    with pytest.raises(InputError, match=r"00001-of-00002\.parquet: column .label. is int32"):
        load_images("{split}-00000-of-00002.parquet", "train", tmp_path)


SPLITS = pa.array(["train", "test"] * 3)


@pytest.mark.parametrize(
    "column",
    [
        SPLITS.dictionary_encode(),
        SPLITS.cast(pa.binary()),
        SPLITS.cast(pa.large_string()),
        SPLITS.cast(pa.binary()).dictionary_encode(),
        pa.array(["train", "test", "train", "test", None, "test"]),
    ],
)
def test_a_column_split_may_be_of_any_kind_of_text(write, tmp_path, column):
    write("images.parquet", label=LABELS, split=column)
    assert load_images("images.parquet", "test", tmp_path).labels.tolist() == [1, 0, 2]


@pytest.mark.parametrize("names", [["train", "test"], {"1": "test", "0": "train"}])
def test_a_column_split_of_numbers_is_read_by_their_names(write, tmp_path, names):
    info = {"info": {"features": {"split": {"names": names, "_type": "ClassLabel"}}}}
    described = {"huggingface": json.dumps(info)}
    write("images.parquet", metadata=described, label=LABELS, split=[0, 1] * 3)
    assert load_images("images.parquet", "test", tmp_path).labels.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([0, 1] * 3, "no row of split 'test' .*has: '0', '1'"),
        ([True, False] * 3, "no row of split 'test' .*has: 'false', 'true'"),
        ([0.5] * 6, "no row of split 'test' .*has: '0.5'"),
        ([b"\xff"] * 6, "column 'split' is binary .*; need text such as 'train'"),
        ([["test"]] * 6, "column 'split' is list.*; need text such as 'train'"),
        ([None] * 6, "no row of split 'test'"),
        (list("abcdefghijklmnop")[:6], "has: 'a', 'b', 'c'"),
    ],
)
def test_a_column_split_that_says_nothing_is_refused_in_words(write, tmp_path, column, said):
    write("images.parquet", label=LABELS, split=column)
    with pytest.raises(InputError, match=said):
        load_images("images.parquet", "test", tmp_path)


def test_numbers_without_a_name_are_refused(write, tmp_path):
    described = {"class_names": json.dumps({"split": ["train", "test"]})}
    write("images.parquet", metadata=described, label=LABELS, split=[0, 1, 2] * 2)
    with pytest.raises(InputError, match="column 'split' is int64"):
        load_images("images.parquet", "test", tmp_path)


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no-train.parquet' does not exist"):
        load_images("no-{split}.parquet", "train", tmp_path)


def test_missing_columns_are_refused_with_those_there_are(write, pngs, tmp_path):
    write("a-train.parquet", kind=LABELS)
    with pytest.raises(InputError, match=r"no column 'label' \(it has: image, kind\)"):
        load_images("a-train.parquet", "train", tmp_path)
    with pytest.raises(InputError, match="no column 'fine'"):
        load_images("a-train.parquet#fine", "train", tmp_path)
    pq.write_table(pa.table({"img": pngs, "label": LABELS}), tmp_path / "b-train.parquet")
    with pytest.raises(InputError, match=r"no column 'image' \(it has: img, label\)"):
        load_images("b-train.parquet", "train", tmp_path)


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(write, tmp_path, keep):
    path = write("a-train.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError, match=r"a-train.parquet: not a whole Parquet file"):
        load_images("a-train.parquet", "train", tmp_path)


def test_a_file_with_a_damaged_page_is_refused(write, tmp_path):
    path = write("a-train.parquet")
    content = bytearray(path.read_bytes())
    content[4:24] = b"\xff" * 20  # the first page header
    path.write_bytes(content)
    with pytest.raises(InputError, match="fetch it again") as caught:
        load_images("a-train.parquet", "train", tmp_path)
    assert "\n" not in str(caught.value)  # Arrow says it in two


def test_images_of_another_size_are_refused_by_row(write, encode, pngs, tmp_path):
    write("a-train.parquet", [*pngs[:4], encode(COLOUR[0, :5]), pngs[5]])
    with pytest.raises(InputError, match="row 4 is 5x10, the first image is 8x10; all"):
        load_images("a-train.parquet", "train", tmp_path)


@pytest.mark.parametrize("data", [b"", b"not an image", None])
def test_an_unreadable_image_is_refused_by_row(write, pngs, tmp_path, data):
    write("a-train.parquet", [*pngs[:3], data, *pngs[4:]])
    with pytest.raises(InputError, match="row 3 holds no readable image"):
        load_images("a-train.parquet", "train", tmp_path)


def test_a_truncated_image_is_refused_by_row(write, pngs, tmp_path):
    write("a-train.parquet", [*pngs[:5], pngs[5][:-40]])
    with pytest.raises(InputError, match="row 5 holds no readable image"):
        load_images("a-train.parquet", "train", tmp_path)


def test_an_unreadable_image_is_named_by_its_own_file_and_the_row_there(write, pngs, tmp_path):
    write("train-00000-of-00002.parquet", pngs[:4], label=LABELS[:4])
    write("train-00001-of-00002.parquet", [pngs[4], b"x"], label=LABELS[4:])
    with pytest.raises(InputError, match=r"00001-of-00002\.parquet: row 1 holds no readable image"):
        load_images("{split}-00000-of-00002.parquet", "train", tmp_path)
    split = ["test", "train"] * 3
    write("images.parquet", [*pngs[:5], b"x"], label=LABELS, split=split)
    with pytest.raises(InputError, match=r"images\.parquet: row 5 holds no readable image"):
        load_images("images.parquet", "train", tmp_path)


def test_a_row_group_of_more_than_two_gigabytes_is_read(tmp_path, encode):
    """Arrow reads no such column of structs at once: "Nested data conversions not implemented"."""
    data = encode(GREY[0]) + bytes(1 << 20)  # a decoder stops at the end of the image
    count = (1 << 31) // len(data) + 2
    table = pa.table({"image": [{"bytes": data}], "label": [0]})
    path = tmp_path / "a-train.parquet"
    whole = {"row_group_size": count, "dictionary_pagesize_limit": 1 << 22}  # the same, noted once
    pq.write_table(pa.concat_tables([table] * count), path, **whole)
    images = load_images("a-train.parquet", "train", tmp_path).images
    np.testing.assert_array_equal(images, np.stack([GREY[:1]] * count))


def test_real_svhn_png_digits_equal_pils(shared_data):
    path = shared_data("svhn-train-first1083.parquet")
    loaded = load_images(path.name, "train", path.parent)
    assert loaded.images.shape == (1083, 3, 32, 32)
    counts = np.bincount(loaded.labels, minlength=10)
    assert (counts.min(), counts.max()) == (66, 227)
    for row in (0, 500, 1082):
        expected, kind = decoded_by_pil(path, row)
        assert kind == "PNG"
        np.testing.assert_array_equal(loaded.images[row], expected.transpose(2, 0, 1))


def test_real_magnetic_tiles_are_grey_and_have_392_defects(shared_data):
    path = shared_data("magnetic-tile96-all.parquet")
    loaded = load_images(path.name, "all", path.parent)
    assert loaded.images.shape == (1344, 1, 96, 96)
    assert (loaded.labels == loaded.class_names.index("MT_Free")).sum() == 952
    expected, _ = decoded_by_pil(path, 7)
    np.testing.assert_array_equal(loaded.images[7, 0], expected)


def test_real_cifar100_webp_images_have_20_coarse_classes_of_500(shared_data):
    path = shared_data("cifar100-test.parquet")
    loaded = load_images(f"{path.name}#coarse_label", "test", path.parent)
    assert loaded.images.shape == (10000, 3, 32, 32)
    assert np.bincount(loaded.labels).tolist() == [500] * 20
    assert loaded.class_names[0] == "aquatic_mammals"
    expected, kind = decoded_by_pil(path, 123)
    assert kind == "WEBP"
    np.testing.assert_array_equal(loaded.images[123], expected.transpose(2, 0, 1))
    groups = pq.read_table(path, columns=["fine_label", "coarse_label"])
    pairs = set(zip(*(groups[name].to_pylist() for name in groups.column_names), strict=True))
    assert len(pairs) == 100
    map_of = {group: [fine for fine, coarse in pairs if coarse == group] for group in range(20)}
    # METHODS, section 5: the official groups, not the list that CSI released
    assert sorted(map_of[0]) == [4, 30, 55, 72, 95]
    assert sorted(map_of[6]) == [5, 20, 25, 84, 94]
    assert sorted(map_of[10]) == [23, 33, 49, 60, 71]


def test_placeholder_and_column_do_not_share_a_cache_entry(write, tmp_path):
    write("a-train.parquet", label=LABELS, split=["train"] * 4 + ["test"] * 2)
    assert len(load_images("a-{split}.parquet", "train", tmp_path)) == 6
    assert len(load_images("a-train.parquet", "train", tmp_path)) == 4


def test_a_file_without_rows_is_refused(tmp_path, write_parquet, pngs):
    path = write_parquet(tmp_path / "a-train.parquet", pngs, label=LABELS)
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(InputError, match=r"a-train.parquet"):
        load_images("a-train.parquet", "train", tmp_path)


def test_a_damaged_split_column_is_refused(write, tmp_path):
    path = write("images.parquet", label=LABELS, split=["train"] * 6)
    content = bytearray(path.read_bytes())
    columns = pq.ParquetFile(path).metadata.row_group(0)
    start = columns.column(columns.num_columns - 1).dictionary_page_offset
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"images.parquet"):
        load_images("images.parquet", "train", tmp_path)


def test_an_image_column_of_paths_is_refused(tmp_path):
    table = pa.table({"image": ["a.png", "b.png"], "label": [0, 1]})
    pq.write_table(table, tmp_path / "a-train.parquet")
    with pytest.raises(InputError, match=r"a-train.parquet"):
        load_images("a-train.parquet", "train", tmp_path)


@pytest.mark.parametrize(
    ("file", "name", "columns"),
    [
        ("a-train.parquet", "a-{split}.parquet", {}),
        ("a-train.parquet", "a-train.parquet", {}),
        ("train-00000-of-00001.parquet", "{split}-00000-of-00001.parquet", {}),
        ("a.parquet", "a.parquet", {"split": ["train"] * 6}),
    ],
)
def test_a_data_set_may_have_no_test_split(write, tmp_path, file, name, columns):
    write(file, label=LABELS, **columns)
    train, test = load_splits(name, tmp_path)
    assert train.labels.tolist() == LABELS.tolist()
    assert test is None
    with pytest.raises(AbsentError):
        load_images(name, "test", tmp_path)


def test_a_test_split_that_cannot_be_read_is_not_taken_for_none(write, tmp_path):
    write("train-00000-of-00001.parquet")
    write("test-00000-of-00002.parquet")  # its other half is lost
    with pytest.raises(InputError, match="need exactly the shards 0 to 1 of 2"):
        load_splits("{split}-00000-of-00001.parquet", tmp_path)
    write("a-train.parquet")
    (tmp_path / "a-test.parquet").write_bytes(b"no Parquet")
    with pytest.raises(InputError, match=r"a-test\.parquet"):
        load_splits("a-{split}.parquet", tmp_path)
