"""Files that unpack to far more than they are, or out of their place, are refused in a moment."""

import ast
import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsa_core import InputError, load_images
from nsa_core.data.cache import cache_root
from tests.security.test_checkpoints import SOURCES
from tests.studies.conftest import ROOT

LOADED = """
import json, resource, sys
from nsa_core import InputError, load_images
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, folder in json.loads(sys.argv[1]):
    said = ""
    try:
        load_images(name, "train", folder)
    except InputError as error:
        said = str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([said, grown]), flush=True)
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NSA_CACHE", str(tmp_path / "cache"))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A grey image of zeros, of a thousandth of its size, with chunks after the header."""
    packer = zlib.compressobj(1)
    line = b"\x00" * (width + 1)
    data = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write(path, images, labels=None, names=None):
    labels = [0] * len(images) if labels is None else labels
    table = pa.table({"image": images, "label": labels, "split": ["train"] * len(images)})
    if names is not None:
        table = table.replace_schema_metadata({"class_names": names})
    pq.write_table(table, path)


def too_many_pixels() -> list[bytes]:
    bomb = png(20_000, 20_000)
    assert len(bomb) < 10_000_000
    return [bomb]


def more_images_than_memory() -> list[bytes]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return [png(4096, 4096)] * (memory // (3 * 2**24))  # the same bytes again, so a small file


def a_text_that_unpacks_to_much() -> list[bytes]:
    text = b"Comment\x00\x00" + zlib.compress(b"x" * 200_000_000, 1)
    return [png(8, 8, chunk(b"zTXt", text))]


BOMBS = {  # images, and what is said of them
    "too many pixels": (too_many_pixels, "need at most 16777216 pixels|DecompressionBombError"),
    "just over the limit": (
        lambda: [png(4096, 4097)],
        "row 0 holds no readable image .it is 4097x4096; need at most 16777216",
    ),
    "a large one among small ones": (
        lambda: [png(8, 8), png(4096, 4096)],
        "row 1 is 4096x4096, the first image is 8x8",
    ),
    "more than memory": (more_images_than_memory, "GB decoded; need"),
    "a text that unpacks to much": (a_text_that_unpacks_to_much, "row 0 holds no readable image"),
}
GZIP = "a gzip file"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What is said of each bomb, and the memory that a process of its own has grown by so far, in
    MB: it loads them all, one after another.
    """
    folder = tmp_path_factory.mktemp("bombs")
    asked = []
    for number, (images, _) in enumerate(BOMBS.values()):
        write(folder / f"{number}.parquet", images())
        asked.append([f"{number}.parquet", str(folder)])
    part = gzip.compress(b"\x00" * 10_000_000)
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        (folder / name).write_bytes(part * 80)  # parts follow one another, as gzip allows
    asked.append(["fashion-mnist", str(folder)])
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(asked)], capture_output=True, text=True,
        timeout=600, check=False, cwd=ROOT, env=os.environ | {"NSA_CACHE": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip([*BOMBS, GZIP], map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("bomb", BOMBS)
def test_images_that_would_be_too_much_are_refused_undecoded(loaded, bomb):
    said, grown = loaded[bomb]
    assert re.search(BOMBS[bomb][1], said), said
    assert grown < 300


@pytest.mark.parametrize("label", [10**5, 10**12, 2**62])
def test_labels_that_would_be_as_many_classes_are_refused(tmp_path, label):
    write(tmp_path / "my.parquet", [png(8, 8)], [label])
    with pytest.raises(InputError, match=f"labels go up to {label}; need at most 100000 classes"):
        load_images("my.parquet", "train", tmp_path)


@pytest.mark.parametrize("names", ["[" * 100_000, '{"label": ' * 100_000, "\x00", "{", "1", "[]"])
def test_class_names_that_are_no_names_are_left_aside(tmp_path, names):
    write(tmp_path / "my.parquet", [png(8, 8)], names=names)
    assert load_images("my.parquet", "train", tmp_path).class_names == ("0",)


def test_a_gzip_file_that_unpacks_to_much_is_refused(loaded):
    said, grown = loaded[GZIP]  # of 800 MB
    assert "wrong checksum" in said
    assert grown < 500


@pytest.mark.parametrize("column", ["/../../../escape", "../../escape", "/etc", "a/b", "L" * 300])
def test_a_column_cannot_lead_out_of_the_cache(tmp_path, column):
    table = pa.table({"image": [png(8, 8)], column: [0], "split": ["train"]})
    pq.write_table(table, tmp_path / "my.parquet")
    found = load_images(f"my.parquet#{column}", "train", tmp_path)
    assert len(found) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"my.parquet", "cache"}
    (entry,) = cache_root().iterdir()
    assert {path.name for path in entry.iterdir()} == {"images.npy", "labels.npy", "meta.json"}


def test_two_columns_never_share_a_cache_entry(tmp_path):
    columns = {"a/b": [0], "a_b": [1]}
    described = {"class_names": json.dumps({name: ["x", "y"] for name in columns})}
    table = pa.table({"image": [png(8, 8)], **columns, "split": ["train"]})
    pq.write_table(table.replace_schema_metadata(described), tmp_path / "my.parquet")
    for column, (label,) in columns.items():
        assert load_images(f"my.parquet#{column}", "train", tmp_path).labels.tolist() == [label]


def test_no_source_unpacks_an_archive():
    for path in (path for name in SOURCES for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {"tarfile", "py7zr", "rarfile"} & set(imported), path
            if "zipfile" in imported:  # which reads the checksums of a checkpoint, no more
                assert path.name == "torch_file.py"
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"unpack_archive", "extract", "extractall"}, path


def test_the_bombs_are_images(tmp_path):
    with Image.open(io.BytesIO(png(8, 9))) as image:
        assert image.size == (8, 9)
        assert not np.asarray(image).any()
