import os

import numpy as np
import pytest

from nsa_core import InputError
from nsa_core.data import ImageSet
from nsa_core.data.cache import cache_root, cached


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("NSA_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "source.bin"
    source.write_bytes(b"content")
    return source


class Decoder:
    """Counts how often it decodes."""

    def __init__(self):
        self.calls = 0
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (5, 1, 4, 4), dtype=np.uint8)

    def __call__(self):
        self.calls += 1
        return ImageSet(self.images, np.array([0, 1, 0, 1, 0]), ("a", "b"))


def entries(place):
    return sorted((place.parent / "cache").iterdir())


def test_second_load_is_memory_mapped_and_does_not_decode(place):
    decode = Decoder()
    first = cached("set", [place], decode)
    second = cached("set", [place], decode)
    assert decode.calls == 1
    for loaded in (first, second):
        assert isinstance(loaded.images, np.memmap)
        np.testing.assert_array_equal(loaded.images, decode.images)
        assert loaded.class_names == ("a", "b")
        assert loaded.labels.tolist() == [0, 1, 0, 1, 0]
        assert loaded.fingerprint == decode().fingerprint


def test_cached_images_cannot_be_written_to(place):
    loaded = cached("set", [place], Decoder())
    with pytest.raises(ValueError, match="read-only"):
        loaded.images[0] = 1


def test_a_source_that_changed_is_decoded_again(place):
    decode = Decoder()
    cached("set", [place], decode)
    place.write_bytes(b"other content")
    cached("set", [place], decode)
    assert decode.calls == 2
    assert len(entries(place)) == 2


def test_a_source_that_moved_is_not_decoded_again(place, tmp_path):
    decode = Decoder()
    cached("set", [place], decode)
    cached("set", [place.rename(tmp_path / "elsewhere.bin")], decode)
    assert decode.calls == 1


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["truncate", "empty", "remove"])
def test_a_damaged_entry_is_decoded_again(place, name, damage):
    decode = Decoder()
    cached("set", [place], decode)
    (entry,) = entries(place)
    victim = entry / name
    if damage == "remove":
        victim.unlink()
    else:
        content = victim.read_bytes()
        victim.write_bytes(content[: len(content) // 2] if damage == "truncate" else b"")
    loaded = cached("set", [place], decode)
    assert decode.calls == 2
    np.testing.assert_array_equal(loaded.images, decode.images)
    assert entries(place) == [entry]
    cached("set", [place], decode)
    assert decode.calls == 2


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_a_bit_that_rotted_is_noticed(place, name):
    decode = Decoder()
    cached("set", [place], decode)
    (entry,) = entries(place)
    content = bytearray((entry / name).read_bytes())
    content[-8] ^= 1
    (entry / name).write_bytes(content)
    loaded = cached("set", [place], decode)
    assert decode.calls == 2
    np.testing.assert_array_equal(loaded.images, decode.images)
    assert loaded.labels.tolist() == [0, 1, 0, 1, 0]


def test_a_decoder_that_fails_leaves_nothing_behind(place):
    def fail():
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        cached("set", [place], fail)
    assert not (place.parent / "cache").exists() or entries(place) == []


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NSA_CACHE", str(tmp_path / "explicit"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "explicit"
    monkeypatch.delenv("NSA_CACHE")
    assert cache_root() == tmp_path / "xdg" / "nsa-studies"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == tmp_path / ".cache" / "nsa-studies"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == tmp_path / ".cache" / "nsa-studies"


def test_a_cache_that_cannot_be_used_is_one_line(place, monkeypatch):
    monkeypatch.setenv("NSA_CACHE", str(place / "below a file"))
    with pytest.raises(InputError, match=r"cannot be used \(Not a directory\); set NSA_CACHE to"):
        cached("set", [place], Decoder())


def test_a_user_without_a_home_is_told_what_to_set(place, monkeypatch):
    for name in ("NSA_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)  # whom no passwd file knows
    with pytest.raises(InputError, match="this user has no home; set NSA_CACHE to a folder"):
        cached("set", [place], Decoder())


@pytest.mark.parametrize("name", ["meta.json", "images.npy", "labels.npy"])
def test_a_pipe_in_place_of_a_file_is_made_anew_and_not_waited_for(place, name):
    decode = Decoder()
    cached("set", [place], decode)
    (entry,) = entries(place)
    (entry / name).unlink()
    os.mkfifo(entry / name)
    found = cached("set", [place], decode)
    assert decode.calls == 2
    np.testing.assert_array_equal(found.images, decode.images)
