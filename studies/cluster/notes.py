"""Storage for Ray's own files while a study runs: in the store, which every host sees."""

import contextlib
import os
import secrets
from typing import Any

from pyarrow.fs import AwsStandardS3RetryStrategy, FileSystem, S3FileSystem

from tracking import Store
from tracking.files.door import refuse_links
from tracking.files.objects import ObjectPath
from tracking.files.place import remove_folder
from tracking.files.s3 import s3_endpoint

_FOLDER = "ray"


def notes_storage(store: Store) -> dict[str, Any]:
    """Arguments of Tune's ``RunConfig``: a new place in the store.

    Raises:
        StoreError: a link leads to it out of the store.
    """
    notes = store.root / _FOLDER / f"tune-{secrets.token_hex(4)}"
    if isinstance(notes, ObjectPath):
        return {"storage_path": notes.key, "storage_filesystem": _s3()}
    refuse_links(notes)
    return {"storage_path": str(notes)}


def remove_notes(store: Store) -> None:
    """Remove all that Ray has left in the store; what cannot be removed stays."""
    place = store.root / _FOLDER
    if isinstance(place, ObjectPath):
        with contextlib.suppress(OSError):
            _s3().delete_dir(place.key)  # by Arrow, which makes an object of every folder
    else:
        remove_folder(place)


def _s3() -> FileSystem:
    """The S3 file system that the environment describes."""
    address = s3_endpoint()
    return S3FileSystem(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        scheme=address.scheme or None,
        endpoint_override=address.netloc or None,
        connect_timeout=5,
        request_timeout=30,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=6),
    )
