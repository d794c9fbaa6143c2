"""Files are what was written, where it was written, or an error: bit by bit."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracking.errors import DamagedFileError
from tracking.files.read import read_any_parquet, read_json
from tracking.files.write import write_json, write_parquet

TABLE = pa.table({"loss": [-0.5, 0.25, 1e9], "name": ["a", "b", "a"]})
VALUES = {"status": "finished", "attempts": 3, "nested": {"b": [1.5, None], "a": "é\n"}}


@pytest.fixture(params=["status.json", "dynamics.parquet"])
def file(request, tmp_path):
    """A file, how it is read, and what it holds."""
    path = tmp_path / "0123456789abcdef" / request.param
    path.parent.mkdir()
    if path.suffix == ".json":
        write_json(path, VALUES)
        return path, read_json, VALUES
    write_parquet(path, TABLE)
    return path, read_any_parquet, TABLE


def test_what_is_written_is_read(file):
    path, read, held = file
    assert read(path) == held
    others = json.loads(path.read_text()) if path.suffix == ".json" else pq.read_table(path)
    if path.suffix == ".json":
        del others["nsa_sha256"]
    assert others == held  # by readers that know no seal


def test_no_bit_that_is_flipped_changes_what_is_read(file):
    path, read, held = file
    whole = path.read_bytes()
    bits = random.Random(0).sample(range(8 * len(whole)), min(1500, 8 * len(whole)))
    refused = 0
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = read(path)
            assert found == held or held.items() <= found.items()  # with a name of the seal's
        except DamagedFileError as error:
            refused += error.path == path
    assert refused > 0.9 * len(bits)  # all but those in the name of the seal


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -9])
def test_a_file_that_was_cut_is_refused(file, keep):
    path, read, _ = file
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedFileError):
        read(path)


def test_a_file_in_the_place_of_another_is_refused(file):
    path, read, _ = file
    for place in (
        path.with_name("other" + path.suffix),
        path.parent.parent / ("f" * 16) / path.name,
    ):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(path.read_bytes())
        with pytest.raises(DamagedFileError, match="not what was written here"):
            read(place)


def test_files_of_older_versions_have_no_seal_and_are_read(tmp_path):
    (tmp_path / "status.json").write_text(json.dumps(VALUES))
    pq.write_table(TABLE, tmp_path / "dynamics.parquet")
    assert read_json(tmp_path / "status.json") == VALUES
    assert read_any_parquet(tmp_path / "dynamics.parquet") == TABLE
