"""What ails a whole store, and what does not: by the kernel's own errors, or in Ray's words."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from studies.trial.failures import (
    DiskFullError,
    UnusableStoreError,
    check_there,
    check_usable,
    checked_store,
)
from studies.trial.life import run_trial
from tests.faults.test_disk import no_mounts
from tracking import create_store
from tracking.errors import DamagedFileError

NOBODY = 65534


@contextmanager
def nobody():
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "store")


@pytest.mark.root
@no_mounts
def test_a_store_of_somebody_else_is_one_line_and_its_trials_wait(store):
    record = store.trial("0123456789abcdef")
    record.create({}, {})
    store.root.chmod(0o700)  # and the folders it is in, which pytest makes
    with nobody(), pytest.raises(UnusableStoreError, match="Permission denied") as raised:
        next(run_trial(record, None, torch.device("cpu")))
    assert str(raised.value).startswith(f"store {store.root} cannot be used (")
    assert "let this user read and write all of it, then the same command" in str(raised.value)
    assert record.state()["status"] == "pending"


def test_a_store_below_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "store"
    with pytest.raises(UnusableStoreError, match="Not a directory"), checked_store(place):
        create_store(place)


def test_a_trial_whose_store_is_gone_makes_no_husk_of_it(store):
    record = store.trial("0123456789abcdef")
    record.create({}, {})
    store.root.rename(store.root.with_name("elsewhere"))
    with pytest.raises(UnusableStoreError, match="is not there any more; bring it back"):
        next(run_trial(record, None, torch.device("cpu")))
    assert not store.root.exists()


def test_a_husk_blocks_no_command(tmp_path):
    (tmp_path / "store" / "trials" / "0123456789abcdef").mkdir(parents=True)
    (tmp_path / "store" / "trials" / "0123456789abcdef" / ".lock").touch()
    check_there(create_store(tmp_path / "store").root)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ESTALE])
def test_a_disk_that_fails_while_it_is_read_or_written_names_no_file(store, number):
    error = DamagedFileError("scores.parquet", "it fails")
    error.__cause__ = OSError(number, os.strerror(number))
    with pytest.raises(UnusableStoreError, match=os.strerror(number)):
        check_usable(error, store.root)


def test_what_ray_hands_on_in_words_is_recognised(store):
    words = f"ray::step()\n  ...\nPermissionError: [Errno 13] Permission denied: '{store.root}/ray'"
    with pytest.raises(UnusableStoreError, match="let this user read and write") as raised:
        check_usable(RuntimeError(words), store.root)
    assert "\n" not in str(raised.value)
    with pytest.raises(DiskFullError, match="no space left on the disk of"):
        check_usable(RuntimeError("[Errno 28] No space left on device"), store.root)


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "/data/train.parquet"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/train.parquet"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        OSError("a page has another checksum than it should"),
        ValueError("Permission denied"),
    ],
)
def test_what_ails_something_else_is_left_alone(store, error):
    check_usable(error, store.root)


def test_a_file_that_a_store_lacks_is_no_reason(store):
    with pytest.raises(FileNotFoundError) as raised:
        (store.root / "trials" / "none").read_bytes()
    check_usable(raised.value, store.root)
    assert isinstance(store.root, Path)
