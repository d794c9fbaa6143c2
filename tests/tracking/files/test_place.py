"""Object storage as paths: against a real S3 interface on loopback."""

import itertools
import json
import multiprocessing
import pickle
import time

import pytest

from tracking import StoreError
from tracking.files.objects import ChangedError, ObjectPath
from tracking.files.place import locate, remove_folder
from tracking.files.read import read_json
from tracking.files.write import write_json

SPAWN = multiprocessing.get_context("spawn")


def test_a_folder_stays_a_path(tmp_path):
    assert locate(str(tmp_path / "store")) == tmp_path / "store"
    assert locate("results/store").is_absolute()


def test_an_object_is_written_read_listed_and_removed(s3_store):
    root = locate(s3_store)
    assert isinstance(root, ObjectPath)
    assert not root.exists()
    assert list(root.iterdir()) == []
    write_json(root / "a" / "b.json", {"x": 1})
    (root / "a" / "c.txt").write_bytes(b"c")
    assert read_json(root / "a" / "b.json") == {"x": 1}
    assert (root / "a").is_dir()
    assert not (root / "a").is_file()
    assert (root / "a" / "b.json").is_file()
    assert sorted(path.name for path in (root / "a").iterdir()) == ["b.json", "c.txt"]
    assert [path.stem for path in (root / "a").glob("[!.]*.json")] == ["b"]
    assert [path.parent for path in root.glob("a")] == [root]
    assert root.tags().keys() == {"a/b.json", "a/c.txt"}
    tag = root.tags()["a/c.txt"]
    (root / "a" / "c.txt").write_bytes(b"d")
    assert root.tags()["a/c.txt"] != tag
    (root / "a" / "c.txt").unlink()
    with pytest.raises(FileNotFoundError):
        (root / "a" / "c.txt").read_bytes()
    with pytest.raises(FileNotFoundError):
        (root / "a" / "c.txt").unlink()
    (root / "a" / "c.txt").unlink(missing_ok=True)
    remove_folder(root / "a")
    assert root.tags() == {}


def test_of_two_that_create_or_replace_one_object_one_succeeds(s3_store):
    path = locate(s3_store) / "mark"
    first = path.create(b"first")
    with pytest.raises(FileExistsError):
        path.create(b"second")
    second = path.replace_version(b"second", first)
    with pytest.raises(ChangedError):
        path.replace_version(b"third", first)
    assert path.read_tagged() == (b"second", second)
    path.unlink()
    with pytest.raises(ChangedError):
        path.replace_version(b"third", second)


def test_an_object_of_several_parts_is_whole(s3_store):
    data = bytes(range(256)) * 80_000  # 20 MB: S3 takes parts of 5 to 10
    path = locate(s3_store) / "checkpoint.pt"
    path.write_bytes(data)
    assert path.read_bytes() == data


def _replace_for(place, seconds):
    """With longer and shorter texts in turn, several times a second."""
    path, end = locate(place), time.monotonic() + seconds
    for length in itertools.cycle((10, 100_000, 1000)):
        path.write_bytes(json.dumps("x" * length).encode())
        time.sleep(0.05)
        if time.monotonic() > end:
            return


def test_who_reads_while_others_write_never_sees_a_part(s3_store):
    path = locate(s3_store) / "status.json"
    path.write_bytes(b'""')
    writer = SPAWN.Process(target=_replace_for, args=(str(path), 5.0))
    writer.start()
    lengths = set()
    while writer.is_alive():
        lengths.add(len(json.loads(path.read_bytes())))
    assert writer.exitcode == 0
    assert lengths <= {0, 10, 1000, 100_000}
    assert len(lengths) >= 3


def test_a_path_travels_to_another_process_without_keys(s3_store):
    path = locate(s3_store) / "x"
    path.write_bytes(b"x")
    frozen = pickle.dumps(path)
    assert b"nothing" not in frozen
    assert pickle.loads(frozen).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gs://bucket/store", "scheme 'gs'; need a folder or s3://BUCKET/PREFIX"),
        ("s3://bucket", "need s3://BUCKET/PREFIX"),
        ("s3:///store", "need s3://BUCKET/PREFIX"),
        ("s3://bucket/../other", "need s3://BUCKET/PREFIX"),
        ("s3://bucket/a//b", "need s3://BUCKET/PREFIX"),
        ("s3://bucket/a?region=x", "need s3://BUCKET/PREFIX"),
    ],
)
def test_a_name_that_is_none_is_refused(name, message):
    with pytest.raises(StoreError) as caught:
        locate(name)
    assert message in str(caught.value)


def test_keys_in_a_name_are_refused_and_not_repeated():
    with pytest.raises(StoreError, match="AWS_SECRET_ACCESS_KEY") as caught:
        locate("s3://AKIDEXAMPLE:wJalrXUtnFEMI@bucket/store")
    assert "wJalr" not in str(caught.value)
    assert "AKID" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_named(s3_server):
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/store/x cannot be reached.*bucket"):
        (locate("s3://no-such-bucket/store") / "x").write_bytes(b"x")


def test_an_endpoint_that_is_no_address_is_named(s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    with pytest.raises(StoreError, match=r"AWS_ENDPOINT_URL is .* need http://HOST"):
        locate("s3://nsa/store")
