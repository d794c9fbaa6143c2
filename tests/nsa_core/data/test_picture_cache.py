"""Pictures are decoded once for each content, whole or not at all."""

import json
import os
from collections import namedtuple

import numpy as np
import pytest

from nsa_core import InputError
from nsa_core.data import picture_blocks, read_pictures
from nsa_core.data.cache import cache_root
from tests.nsa_core.data.picture_files import encoded, noise, refused, tree


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NSA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def decoded(monkeypatch):
    """The number of images that were decoded."""
    calls = []
    decode = picture_blocks.decode_image
    counted = lambda *a, **k: calls.append(1) or decode(*a, **k)  # noqa: E731
    monkeypatch.setattr(picture_blocks, "decode_image", counted)
    return calls


def entries():
    return [path for path in cache_root().iterdir() if not path.name.startswith(".")]


def test_a_second_reading_decodes_nothing(tmp_path, decoded):
    folder = tree(tmp_path / "in", "a.png", "b.png")
    first = read_pictures(folder)
    assert len(decoded) == 2
    second = read_pictures(folder)
    assert len(decoded) == 2
    assert (second.fingerprint, second.names) == (first.fingerprint, first.names)
    np.testing.assert_array_equal(second.images, first.images)


def test_what_was_left_out_is_remembered(tmp_path, decoded):
    folder = tree(tmp_path / "in", *[f"{number:02}.png" for number in range(20)])
    cut = encoded(noise(5))[:-30]
    (folder / "05.png").write_bytes(cut)
    first, second = (read_pictures(folder, on_broken="skip") for _ in range(2))
    assert first.skipped == second.skipped
    assert first.names == second.names
    refused("1 of 20", folder)  # what was skipped once is not skipped unasked


def test_other_content_and_other_options_are_other_entries(tmp_path, decoded):
    folder = tree(tmp_path / "in", "a.png", "b.png")
    for options in (
        {},
        {"channels": 3},
        {"size": 5, "resize": "pad"},
        {"size": 5, "resize": "crop"},
    ):
        read_pictures(folder, **options)
    assert len(entries()) == 4
    (folder / "a.png").write_bytes(encoded(noise(9)))
    np.testing.assert_array_equal(read_pictures(folder).images[0, 0], noise(9))
    (folder / "b.png").rename(folder / "c.png")
    assert read_pictures(folder).names == ("a.png", "c.png")
    assert len(entries()) == 6


def test_a_damaged_entry_is_decoded_again(tmp_path, decoded):
    folder = tree(tmp_path / "in", "a.png", "b.png")
    wanted = np.array(read_pictures(folder).images)
    (entry,) = entries()
    meta = json.loads((entry / "meta.json").read_text())
    for name, data in (
        ("pixels", b"short"),
        ("pixels", bytes(wanted.size)),
        ("pixels", b""),
        ("meta.json", b"{}"),
        ("meta.json", b"["),
        ("meta.json", json.dumps({**meta, "broken": [[0, "x"]]}).encode()),
    ):
        (entry / name).write_bytes(data)
        np.testing.assert_array_equal(read_pictures(folder).images, wanted)
    assert len(decoded) == 14


def test_nothing_is_left_half_written(tmp_path):
    folder = tree(tmp_path / "in", "a.png", "b.png")
    (folder / "b.png").write_bytes(encoded(noise(5))[:-30])
    refused("1 of 2 images", folder)
    assert list(cache_root().iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_decoded(tmp_path, monkeypatch, decoded):
    folder = tree(tmp_path / "in", "a.png", "b.png")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1, 1, 47))
    refused("2 images of 4x6 take 0.0 GB decoded, .* has 0.0 GB; set NSA_CACHE", folder)
    assert decoded == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NSA_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match=r"the cache of decoded images, .*, cannot be used"):
        read_pictures(tree(tmp_path / "in", "a.png"))


@pytest.mark.parametrize("name", ["meta.json", "pixels"])
def test_a_pipe_in_place_of_a_file_is_made_anew_and_not_waited_for(tmp_path, decoded, name):
    folder = tree(tmp_path / "in", "a.png", "b.png")
    first = read_pictures(folder)
    (entry,) = entries()
    (entry / name).unlink()
    os.mkfifo(entry / name)
    np.testing.assert_array_equal(read_pictures(folder).images, first.images)
    assert len(decoded) == 4
