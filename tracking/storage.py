"""Where a store is: a folder that this host sees, or a prefix in object storage.

A folder is a ``pathlib.Path``. Object storage is an ``ObjectPath``, which has the part of a path's
interface that a store needs, over ``pyarrow.fs``. An object is replaced whole by nature; a file
needs ``tracking.atomic``.
"""

import contextlib
import fnmatch
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pyarrow.fs import (
    AwsStandardS3RetryStrategy,
    FileSelector,
    FileSystem,
    FileType,
    S3FileSystem,
    resolve_s3_region,
)

from tracking.errors import StoreError

_SCHEME = "s3://"
_READS = 4
_ADVICE = (
    "is the bucket there, and does this host have its AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
    "(or a role), AWS_REGION and, for a storage of your own, AWS_ENDPOINT_URL?"
)


class ObjectPath:
    """A place in object storage: an object, or all that begin with its name and a slash.

    Args:
        filesystem: of pyarrow.
        key: bucket and name, with slashes between.
    """

    def __init__(self, filesystem: FileSystem, key: str) -> None:
        self.filesystem = filesystem
        self.key = key

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(self.filesystem, f"{self.key}/{name}")

    def __str__(self) -> str:
        return _SCHEME + self.key

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def name(self) -> str:
        """What comes after the last slash."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return PurePosixPath(self.key).stem

    @property
    def parent(self) -> "ObjectPath":
        """What comes before the last slash."""
        return ObjectPath(self.filesystem, self.key.rpartition("/")[0])

    def exists(self) -> bool:
        """Is it an object, or the beginning of one's name?"""
        return bool(self._type() != FileType.NotFound)

    def is_file(self) -> bool:
        """Is it an object?"""
        return bool(self._type() == FileType.File)

    def is_dir(self) -> bool:
        """Are there objects below it?"""
        return bool(self._type() == FileType.Directory)

    def iterdir(self) -> Iterator["ObjectPath"]:
        """What is directly below it."""
        with self._reached():
            selector = FileSelector(self.key, allow_not_found=True)
            found = self.filesystem.get_file_info(selector)
        return (ObjectPath(self.filesystem, each.path) for each in found)

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """What is directly below it and has a name like the pattern."""
        return (each for each in self.iterdir() if fnmatch.fnmatchcase(each.name, pattern))

    def stamps(self) -> dict[str, list[int]]:
        """Size and time of the last change, in ns, of all objects below it, by the rest of their
        names. Storage may keep whole seconds only: see ``tracking.compaction``.
        """
        with self._reached():
            selector = FileSelector(self.key, recursive=True, allow_not_found=True)
            found = self.filesystem.get_file_info(selector)
        start = len(self.key) + 1
        return {
            each.path[start:]: [each.size, each.mtime_ns]
            for each in found
            if each.type == FileType.File
        }

    def read_bytes(self) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: there is none.
            StoreError: the storage does not answer, or refuses.
        """
        for attempt in range(_READS):
            if attempt:
                time.sleep(0.2 * attempt)
            with self._reached(may_fail=attempt + 1 < _READS):
                with self.filesystem.open_input_stream(self.key) as stream:
                    data: bytes = stream.read()
                # pyarrow asks for the size, then reads so far: of a larger one that replaced the
                # object in between, a part.
                if self.filesystem.get_file_info(self.key).size == len(data):
                    return data
        raise StoreError(f"{self} cannot be read: it changed {_READS} times while it was read")

    def write_bytes(self, data: bytes) -> None:
        """Replace the whole object, or leave it as it was."""
        with self._reached():
            stream = self.filesystem.open_output_stream(self.key)
            stream.write(data)  # in no "with": to close after a failure would keep a part
            stream.close()

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the object."""
        try:
            with self._reached():
                self.filesystem.delete_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rename(self, name: str) -> "ObjectPath":
        """Move the object to another name beside it; returns that."""
        renamed = self.parent / name
        with self._reached():
            self.filesystem.move(self.key, renamed.key)
        return renamed

    def remove_below(self) -> None:
        """Remove all objects below it."""
        with self._reached():
            self.filesystem.delete_dir(self.key)

    def _type(self) -> FileType:
        with self._reached():
            return self.filesystem.get_file_info(self.key).type

    @contextmanager
    def _reached(self, may_fail: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if may_fail:
                return
            reason = str(error).splitlines()[0]
            raise StoreError(f"{self} cannot be reached ({reason}); {_ADVICE}") from error


StorePath = Path | ObjectPath


def locate(place: "str | StorePath") -> StorePath:
    """What a user names a store by: a folder, or ``s3://BUCKET/PREFIX``.

    Endpoint, region and keys come from the environment (``AWS_ENDPOINT_URL``, ``AWS_REGION``, ...)
    or from the role of the host, never from the name, which is shown and recorded.

    Raises:
        StoreError: the name is neither.
    """
    text = str(place)
    if "://" not in text:
        return Path(text).absolute()
    parts = urlsplit(text)
    if parts.scheme != "s3":
        raise StoreError(
            f"store is of scheme {parts.scheme!r}; need a folder or s3://BUCKET/PREFIX"
        )
    if "@" in parts.netloc:
        raise StoreError(
            "the store's name has a key in it; put it into AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, and name s3://BUCKET/PREFIX alone"
        )
    names = parts.path.strip("/").split("/")
    if not parts.netloc or parts.query or parts.fragment or {"", ".", ".."} & set(names):
        raise StoreError(f"store is {text!r}; need s3://BUCKET/PREFIX")
    return ObjectPath(_s3(parts.netloc), "/".join([parts.netloc, *names]))


def remove_folder(path: StorePath) -> None:
    """Remove a folder with all that is in it; what cannot be removed stays."""
    if isinstance(path, ObjectPath):
        with contextlib.suppress(StoreError, FileNotFoundError):
            path.remove_below()
    else:
        shutil.rmtree(path, ignore_errors=True)


def set_aside(path: StorePath) -> StorePath:
    """Give a file a name of its own beside it, where nothing looks for it; returns that."""
    number = len([*path.parent.glob(f"{path.name}.aside-*")]) + 1
    name = f"{path.name}.aside-{number}"
    return path.rename(path.parent / name) if isinstance(path, Path) else path.rename(name)


def _s3(bucket: str) -> FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    address = urlsplit(endpoint or "")
    if endpoint and not (address.scheme in ("http", "https") and address.netloc):
        raise StoreError(f"AWS_ENDPOINT_URL is {endpoint!r}; need http://HOST or https://HOST")
    try:
        return S3FileSystem(
            region=region or (None if endpoint else resolve_s3_region(bucket)),
            scheme=address.scheme or None,
            endpoint_override=address.netloc or None,
            connect_timeout=5,
            request_timeout=30,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=6),  # for some 20 seconds
            allow_delayed_open=True,  # one request for a small object instead of three
        )
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"{_SCHEME}{bucket} cannot be reached ({reason}); {_ADVICE}") from error
