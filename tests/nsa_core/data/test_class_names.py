"""Classes as strangers write them: mappings, accents in two spellings, commas, texts as labels."""

import json
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nsa_core import InputError, class_index, load_images, load_splits, one_class_split
from nsa_core.data.class_names import checked_names

RNG = np.random.default_rng(0)
COUNT = 12
NFC, NFD = "été", unicodedata.normalize("NFD", "été")


@pytest.fixture
def write(tmp_path, write_parquet, encode):
    """Write a file of grey images in tmp_path, all of them new."""

    def to(name, labels, metadata=None, **columns):
        images = [encode(RNG.integers(0, 256, (4, 4), dtype=np.uint8)) for _ in labels]
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        return write_parquet(path, images, metadata, label=labels, **columns)

    return to


def names_of(tmp_path, name="a-train.parquet"):
    return load_images(name, "train", tmp_path).class_names


def huggingface(names):
    return {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}


@pytest.mark.parametrize(
    "metadata",
    [
        huggingface(["cat", "dog", "emu"]),
        huggingface({"0": "cat", "1": "dog", "2": "emu"}),
        huggingface({"2": "emu", "0": "cat", "1": "dog"}),
        {"class_names": json.dumps({"label": {"0": "cat", "1": "dog", "2": "emu"}})},
        {"class_names": json.dumps({"0": "cat", "1": "dog", "2": "emu"})},
        {"class_names": json.dumps(["cat", "dog", "emu"])},
        {"class_names": json.dumps({"other": ["x"]}), **huggingface(["cat", "dog", "emu"])},
    ],
)
def test_names_may_be_a_list_or_a_mapping_from_numbers(write, tmp_path, metadata):
    write("a-train.parquet", np.arange(COUNT) % 3, metadata)
    assert names_of(tmp_path) == ("cat", "dog", "emu")


def test_a_number_that_a_mapping_leaves_out_is_its_own_name(write, tmp_path):
    write("a-train.parquet", np.arange(COUNT) % 3, huggingface({"0": "cat", "2": "emu"}))
    assert names_of(tmp_path) == ("cat", "1", "emu")


@pytest.mark.parametrize(
    "names", ["cat", {"cat": 0}, {}, {"0": {"1": "x"}, "z": 1}, None, {"-1": "x"}, {"x": None}]
)
def test_what_is_no_list_of_names_is_left_aside(write, tmp_path, names):
    write("a-train.parquet", np.arange(COUNT) % 3, huggingface(names))
    assert names_of(tmp_path) == ("0", "1", "2")


def test_a_mapping_with_a_number_without_end_is_refused(write, tmp_path):
    write("a-train.parquet", np.arange(COUNT) % 3, huggingface({"0": "cat", str(10**15): "x"}))
    with pytest.raises(InputError, match="need at most 100000 classes"):
        names_of(tmp_path)


def test_a_name_is_the_same_in_both_spellings_of_its_accents(write, tmp_path):
    for split, name in (("train", NFC), ("test", NFD)):
        metadata = {"class_names": json.dumps({"label": [name, "hiver"]})}
        write(f"a-{split}.parquet", np.arange(COUNT) % 2, metadata)
    train, test = load_splits("a-{split}.parquet", tmp_path)
    assert train.class_names == test.class_names == (NFC, "hiver")
    for typed in (NFC, NFD):
        assert class_index(train, typed) == 0
        assert one_class_split(train, test, typed).normal_class == 0


@pytest.mark.parametrize("as_type", [pa.string(), pa.large_string(), "dictionary"])
def test_labels_may_be_text(write, tmp_path, as_type):
    texts = pa.array(["good", "bad, very", NFC, NFD] * 3)
    texts = texts.dictionary_encode() if as_type == "dictionary" else texts.cast(as_type)
    write("a-train.parquet", texts)
    found = load_images("a-train.parquet", "train", tmp_path)
    assert found.class_names == ("bad, very", "good", NFC)
    assert found.labels.tolist() == [1, 0, 2, 2] * 3


def test_labels_may_be_a_dictionary_of_integers(write, tmp_path):
    write("a-train.parquet", pa.array([5, 0, 5, 2] * 3).dictionary_encode())
    assert load_images("a-train.parquet", "train", tmp_path).labels.tolist() == [5, 0, 5, 2] * 3


@pytest.mark.parametrize("layout", ["two files", "a column", "shards"])
def test_text_labels_are_numbered_over_both_splits(write, tmp_path, layout):
    train, test = ["good"] * COUNT, ["good", "bad", "ugly"] * 4
    name = "a-{split}.parquet"
    if layout == "a column":
        name = "a.parquet"
        write(name, train + test, split=["train"] * COUNT + ["test"] * COUNT)
    elif layout == "shards":
        name = "{split}-00000-of-00001.parquet"
        write("train-00000-of-00001.parquet", train)
        for number in range(2):
            write(f"test-{number:05}-of-00002.parquet", test[6 * number :][:6])
    else:
        write("a-train.parquet", train)
        write("a-test.parquet", test)
    found = load_splits(name, tmp_path)
    assert found[0].class_names == found[1].class_names == ("bad", "good", "ugly")
    assert found[0].labels.tolist() == [1] * COUNT
    assert found[1].labels.tolist() == [1, 0, 2] * 4


def test_a_class_that_the_other_file_brings_is_not_missed_by_the_cache(write, tmp_path):
    write("a-train.parquet", ["good"] * COUNT)
    name = "a-{split}.parquet"
    assert load_images(name, "train", tmp_path).class_names == ("good",)
    write("a-test.parquet", ["bad", "good"] * 6)
    assert load_images(name, "train", tmp_path).class_names == ("bad", "good")


@pytest.mark.parametrize(
    ("labels", "kind"), [(np.arange(COUNT) / 2, "double"), ([True] * COUNT, "bool")]
)
def test_labels_that_are_neither_integers_nor_text_are_refused(write, tmp_path, labels, kind):
    write("a-train.parquet", labels)
    with pytest.raises(InputError, match=f"column 'label' is {kind}; need integers or text"):
        names_of(tmp_path)


@pytest.mark.parametrize("text", ["new\nline", "L" * 201])
def test_text_labels_are_held_to_what_names_are(write, tmp_path, text):
    write("a-train.parquet", ["good", text] * 6)
    with pytest.raises(InputError, match=r"the name of class \d is .*need printable text"):
        names_of(tmp_path)


@pytest.mark.parametrize("folder", ["a#b", "#", "x.parquet#y", "a{split"])
def test_a_folder_may_have_a_hash_sign(write, tmp_path, folder):
    write(f"{folder}/a-train.parquet", np.arange(COUNT) % 2, coarse=np.arange(COUNT) % 3)
    assert names_of(tmp_path, f"{folder}/a-train.parquet") == ("0", "1")
    assert names_of(tmp_path, f"{folder}/a-{{split}}.parquet#coarse") == ("0", "1", "2")


def test_a_column_may_have_a_hash_sign(tmp_path, write_parquet, encode):
    images = [encode(np.zeros((2, 2), np.uint8))] * 2
    write_parquet(tmp_path / "a-train.parquet", images, **{"label": [0, 0], "a#b": [0, 1]})
    assert names_of(tmp_path, "a-train.parquet#a#b") == ("0", "1")


def test_a_column_that_is_there_twice_is_refused(tmp_path, encode):
    data = [encode(np.zeros((2, 2), np.uint8))]
    table = pa.table(
        [pa.array(data), pa.array([0]), pa.array([1])], names=["image", *["label"] * 2]
    )
    pq.write_table(table, tmp_path / "a-train.parquet")
    with pytest.raises(InputError, match=r"label, label\).*need 'image' and a label column"):
        names_of(tmp_path)


def test_two_classes_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"two classes have the name 'a' \(a folder"):
        checked_names(tmp_path, ("b", "a", "a"), 3, "a folder")
