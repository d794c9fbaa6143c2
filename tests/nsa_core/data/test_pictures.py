"""Pictures as people have them: any mixture of formats and sizes, in memory that does not grow."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from nsa_core import InputError
from nsa_core.data import picture_batches, picture_blocks, read_pictures
from nsa_core.data.decode import decode_image
from nsa_core.data.resize import resized
from tests.nsa_core.data.picture_files import encoded, noise, refused, tree

MIXED = Path(__file__).resolve().parents[4] / "shared" / "data" / "mixed_folder"


needs_mixed = pytest.mark.skipif(
    not MIXED.is_dir(), reason=f"{MIXED} is absent; it is not part of the project"
)


def with_broken(folder, broken: int, whole: int):
    """Every fourth is cut in its pixels, so that its header is whole."""
    tree(folder, *[f"{number:03}.png" for number in range(whole + broken)])
    for number in range(broken):
        path = folder / f"{4 * number % (whole + broken):03}.png"
        path.write_bytes(path.read_bytes()[:-30])
    return folder


def test_mixed_sizes_need_a_policy(tmp_path):
    tree(tmp_path, "a.png", "b.png")
    tree(tmp_path, "c.png", shape=(8, 6, 3))
    refused(
        "of 2 sizes: 2 of 4x6 .b.png., 1 of 8x6 .c.png.; need a size .such as 96. and", tmp_path
    )
    refused("of 2 sizes", tmp_path, resize="pad")
    refused("not all of 4x6: .*; need a resize policy: stretch, crop or pad", tmp_path, size=(4, 6))
    for policy in ("stretch", "crop", "pad"):
        found = read_pictures(tmp_path, size=(5, 7), resize=policy).images
        assert found.shape == (3, 3, 5, 7)
        want = resized(noise(0, 8, 6, 3), (5, 7), policy)
        np.testing.assert_array_equal(found[2].transpose(1, 2, 0), want)


def test_images_of_one_size_keep_it_and_are_made_no_other_unasked(tmp_path):
    tree(tmp_path, "a.png", "b.png")
    assert read_pictures(tmp_path, resize="pad").images.shape == (2, 1, 4, 6)
    assert read_pictures(tmp_path, size=(4, 6)).images.shape == (2, 1, 4, 6)
    refused("not all of 6x6: 2 of 4x6", tmp_path, size=6)
    with pytest.raises(InputError, match=r"a\.png is 4x6, not 6x6; need a resize policy"):
        list(picture_batches(tmp_path, size=6, channels=1))


def test_channels_are_those_of_all_unless_asked_for(tmp_path):
    tree(tmp_path, "grey.png")
    assert read_pictures(tmp_path).images.shape[1] == 1
    (tmp_path / "colour.png").write_bytes(encoded(noise(1, 4, 6, 3)))
    found = read_pictures(tmp_path).images
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), noise(1, 4, 6, 3))
    np.testing.assert_array_equal(found[1], [noise(0)] * 3)
    grey = read_pictures(tmp_path, channels=1).images
    luma = noise(1, 4, 6, 3) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(grey[0, 0], luma, atol=1)
    np.testing.assert_array_equal(grey[1, 0], noise(0))


def test_broken_files_are_named_and_skipped_only_on_request(tmp_path):
    with_broken(tmp_path, 3, 17)
    refused(
        "of 20 images cannot be read: 000.png .*skip up to 15% of them .on_broken=skip", tmp_path
    )
    found = read_pictures(tmp_path, on_broken="skip")
    assert [name for name, _ in found.skipped] == ["000.png", "004.png", "008.png"]
    assert all(reason for _, reason in found.skipped)
    assert len(found.images) == len(found.names) == 17
    np.testing.assert_array_equal(found.images[0, 0], noise(1))


@pytest.mark.parametrize(("broken", "whole"), [(4, 16), (1, 4), (3, 0), (1, 0)])
def test_too_many_broken_files_are_not_skipped(tmp_path, broken, whole):
    with_broken(tmp_path, broken, whole)
    message = f"more than 15% of {broken + whole} images cannot be read, too many"
    refused(message, tmp_path, on_broken="skip")
    with pytest.raises(InputError, match=message):
        list(picture_batches(tmp_path, size=(4, 6), channels=1, on_broken="skip"))


def test_a_bomb_is_one_of_the_broken_files(tmp_path):
    tree(tmp_path, *[f"{number}.png" for number in range(9)])
    Image.new("1", (16_000, 12_500)).save(tmp_path / "bomb.png")  # 200 megapixels
    refused("1 of 10 images cannot be read: bomb.png .*; need at most 67108864 pixels", tmp_path)
    assert len(read_pictures(tmp_path, on_broken="skip")) == 9


def test_batches_are_the_same_pictures(tmp_path):
    with_broken(tmp_path / "a", 2, 21)
    tree(tmp_path, "b/x.png", "b/y.png", shape=(9, 9, 3))
    asked = {"size": 8, "resize": "crop", "on_broken": "skip"}
    whole = read_pictures(tmp_path, **asked)
    for more in ({}, {"channels": 3}):
        parts = list(picture_batches(tmp_path, **asked, **more, batch=7))
        assert [len(part) for part in parts] == [7, 7, 7, 2]
        np.testing.assert_array_equal(np.concatenate([p.images for p in parts]), whole.images)
        for what in ("names", "labels", "skipped"):
            assert sum((getattr(part, what) for part in parts), ()) == getattr(whole, what)
    (single,) = picture_batches(tmp_path, **asked)
    assert single.fingerprint == whole.fingerprint


def test_bad_arguments_of_batches_are_said_at_once(tmp_path):
    with pytest.raises(InputError, match="there is nothing of this name"):
        picture_batches(tmp_path / "none", size=8, channels=3)


def test_the_fingerprint_is_of_pixels_and_names(tmp_path):
    one = read_pictures(tree(tmp_path / "1", "a.png", "b.png")).fingerprint
    assert read_pictures(tree(tmp_path / "2", "a.png", "b.png")).fingerprint == one
    (tmp_path / "2" / "b.png").write_bytes(encoded(noise(1), compress_level=0))
    assert read_pictures(tmp_path / "2").fingerprint == one  # other bytes, the same pixels
    assert read_pictures(tree(tmp_path / "3", "a.png", "c.png")).fingerprint != one
    assert read_pictures(tree(tmp_path / "4", "b.png", "a.png")).fingerprint != one


def expectations():
    """The rows of its table."""
    lines = (MIXED / "INDEX.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines[1:]]


@needs_mixed
def test_a_folder_as_people_have_it():
    found = read_pictures(MIXED, size=64, resize="pad", on_broken="skip")
    skipped = dict(found.skipped)
    assert len(expectations()) == 60
    for path, _, _, _, what, expected, *_ in expectations():
        read = path in found.names
        if expected.startswith("reads") and " or " not in expected:
            assert read, path
        elif "must be reported" in expected:
            assert path in skipped, path
        elif expected == "passed over":
            assert not read, path
            assert path not in skipped, path
        elif expected == "reads or is reported":
            assert read or path in skipped, path
        else:
            assert expected == "reads or is passed over", (path, what)
    assert len(found.names) + len(skipped) == 57
    assert "odd/float32.tif" in found.names
    images = dict(zip(found.names, found.images.astype(int), strict=True))
    beaches = [images[f"holiday/rotated/beach_{turn}.jpg"] for turn in range(1, 9)]
    assert max(np.abs(beach - beaches[0]).mean() for beach in beaches) < 6
    man = images["odd/grey.jpg"]
    for same in ("grey16.png", "grey16_12bit_range.tif", "float32.tif"):
        assert np.abs(images[f"odd/{same}"] - man).mean() < 3


@needs_mixed
def test_every_file_that_reads_is_shown_as_pillow_shows_it():
    """All but 16 bits and floats, which Pillow does not scale."""
    for path, _, pillow, load, *_ in expectations():
        if load != "ok" or any(mode in pillow for mode in (" I;16", " F ", "AVIF", "JPEG2000")):
            continue
        with Image.open(MIXED / path) as image:
            image = image.convert("RGBA") if image.has_transparency_data else image
            upright = ImageOps.exif_transpose(image)
            if upright.mode == "RGBA":
                white = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(white, upright)
            shown = np.asarray(upright.convert("RGB")).astype(int)
        pixels = decode_image((MIXED / path).read_bytes()).astype(int)
        pixels = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)
        assert np.abs(pixels - shown).max() <= 1, path


def test_memory_does_not_grow_with_the_number_of_images(tmp_path, monkeypatch):
    """15 MB of pixels pass through blocks of 1 MB, of which two are there at once."""
    monkeypatch.setattr(picture_blocks, "_MOST_BYTES", 2**20)
    tree(tmp_path, "few/a.png", "many/0000.png", shape=(16, 16))
    for number in range(1, 300):
        os.link(tmp_path / "many" / "0000.png", tmp_path / "many" / f"{number:04}.png")
    asked = {"size": 128, "resize": "stretch", "channels": 3}
    read_pictures(tmp_path / "few", **asked)  # what is imported and made once
    tracemalloc.start()
    try:
        found = read_pictures(tmp_path / "many", **asked)
        batches = [len(each) for each in picture_batches(tmp_path / "many", **asked)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.images.nbytes > 14_000_000
    assert set(batches[:-1]) == {2**20 // (3 * 128 * 128)}
    assert peak < 8_000_000


def test_few_images_are_read_ahead_of_what_is_used(tmp_path, monkeypatch):
    tree(tmp_path, "0000.png")
    for number in range(1, 500):
        os.link(tmp_path / "0000.png", tmp_path / f"{number:04}.png")
    decoded = []
    decode = picture_blocks.decode_image
    counted = lambda *a, **k: decoded.append(1) or decode(*a, **k)  # noqa: E731
    monkeypatch.setattr(picture_blocks, "decode_image", counted)
    batches = picture_batches(tmp_path, size=(4, 6), channels=1, batch=10)
    for number, _ in zip(range(3), batches, strict=False):
        assert len(decoded) <= 10 * (number + 1) + 64
    batches.close()


def test_all_broken_files_are_counted_before_they_are_refused(tmp_path):
    tree(tmp_path, *[f"{n:02}.png" for n in range(20)])
    for n in (3, 9, 14):  # whole headers
        path = tmp_path / f"{n:02}.png"
        path.write_bytes(path.read_bytes()[:-30])
    match = "3 of 20 images cannot be read: 03.png .*; 09.png .*; 14.png .*; repair"
    refused(match, tmp_path)
    with pytest.raises(InputError, match=match):
        list(picture_batches(tmp_path, batch=4))
    refused("at an empty name|'', an empty name", "")
