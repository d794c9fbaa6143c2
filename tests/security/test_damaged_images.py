"""Random damage to images of every format and mode, through every door that opens one.

``benchmarks/damage_images.py`` does the same with more of it.
"""

import contextlib
import io
import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsa_core.data.decode import FORMATS, ImageError, decode_image
from tests.security.damaged_images import DAMAGES, DOORS, MODES, cases, originals
from tests.security.test_bombs import png
from tests.studies.conftest import ROOT
from tests.tracking.report.conftest import configurations, run
from tracking import create_store
from tracking.errors import DamagedFileError
from tracking.mlflow.run import write_artifacts
from tracking.mlflow_sync import main as sync
from tracking.report.document import write_report
from tracking.report.mistakes import KINDS, mistakes
from tracking.report.render.pictures import extremes_picture

COUNT = 150  # at each door


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NSA_CACHE", str(tmp_path / "cache"))


def test_every_format_and_nearly_every_mode_is_among_them():
    words = [name.split() for name in originals()]
    assert {first for first, *_ in words} == set(FORMATS)
    assert {mode for _, mode, *_ in words} > set(MODES) - {"La"}  # which Pillow writes nowhere


@pytest.mark.parametrize("door", DOORS)
def test_a_damaged_image_is_read_or_refused_in_words(tmp_path, door):
    read = [DOORS[door](data, tmp_path) for _, _, data in cases(COUNT)]
    assert len(read) == COUNT
    assert not all(read)


@pytest.mark.parametrize("door", DOORS)
def test_an_undamaged_one_comes_through_every_door_that_it_is_for(tmp_path, door):
    known = originals()
    assert DOORS[door](known["PNG RGB"], tmp_path)
    assert DOORS[door](known["TIFF RGB tiff_lzw"], tmp_path) == (door != "report and MLflow")


def test_damage_is_of_every_kind_and_the_same_for_a_seed():
    some = list(cases(COUNT))
    assert some == list(cases(COUNT))
    assert {damage for _, damage, _ in some} == set(DAMAGES)


QUIET = """
import sys
from nsa_core.data.decode import ImageError, decode_image
try:
    decode_image(sys.stdin.buffer.read())
except ImageError:
    pass
"""


def warns(data: bytes) -> bool:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with contextlib.suppress(ImageError):
            decode_image(data)
    return bool(seen)


def test_what_pillow_warns_of_is_not_shown():
    """In a process of its own: pytest puts its own filters in place of ours."""
    noisy = next(data for _, _, data in cases(600) if warns(data))
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", QUIET], input=noisy, capture_output=True, cwd=ROOT,
        check=True,
    )  # fmt: skip
    assert b"Warning" not in done.stderr


BAD = {
    "a few bytes that unpack to much": png(8192, 8192),
    "another format": originals()["BMP RGB"],
    "a script": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n",
    "nothing": b"",
    "cut": originals()["PNG RGB"][:-60],
}


def keep_extremes(store, trial_id: str, image: bytes, count: int = 1) -> None:
    rows = [{"kind": kind, "rank": rank, "row": 0, "score": 0.5, "class_name": "a", "image": image}
            for kind in KINDS for rank in range(1, count + 1)]  # fmt: skip
    path = store.trial(trial_id).folder / "extremes.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize("bad", BAD)
def test_an_image_of_a_foreign_store_is_refused_by_file_in_report_and_mirror(tmp_path, bad, capsys):
    store = create_store(tmp_path / "store")
    (config,) = configurations()
    trial_id = run(store, config, kept=("scores",))
    store.plan("table3", [trial_id], {"rows": ["norm"], "columns": "batch_size"})
    keep_extremes(store, trial_id, BAD[bad])
    said = rf"{trial_id}/extremes\.parquet cannot be read \(an image in it is no good PNG: "
    with pytest.raises(DamagedFileError, match=said):
        write_report(store, "table3")
    assert not (store.root / "report").exists()
    with pytest.raises(DamagedFileError, match=said):
        write_artifacts(store.trial(trial_id), tmp_path)
    if bad == "cut":
        assert sync([str(store.root)]) == 2
        assert "error: " in (err := capsys.readouterr().err)
        assert "Traceback" not in err


def test_large_and_many_images_make_a_picture_of_a_pages_size(tmp_path):
    store = create_store(tmp_path / "store")
    (config,) = configurations()
    trial_id = run(store, config)
    keep_extremes(store, trial_id, png(2048, 1024), count=40)
    path = store.trial(trial_id).folder / "extremes.parquet"
    found = mistakes(path)
    assert [len(found[kind]) for kind in KINDS] == [12, 12]
    with Image.open(io.BytesIO(extremes_picture(found, path))) as picture:
        assert picture.size == (12 * 294 + 6, 2 * 150 + 6)


def test_small_images_are_shown_three_times_as_large_pixel_for_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    store = create_store(tmp_path / "store")
    (config,) = configurations()
    trial_id = run(store, config)
    keep_extremes(store, trial_id, stream.getvalue(), count=2)
    path = store.trial(trial_id).folder / "extremes.parquet"
    with Image.open(io.BytesIO(extremes_picture(mistakes(path), path))) as picture:
        shown = np.asarray(picture)
    large = pixels.repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(shown[6:30, 6:36], large)
    np.testing.assert_array_equal(shown[36:60, 42:72], large)
