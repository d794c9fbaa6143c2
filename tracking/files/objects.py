"""Object storage behind the part of a path's interface that a store needs, over ``obstore``."""

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from tracking.errors import StoreError
from tracking.files.s3 import ADVICE, s3_store

SCHEME = "s3://"


class ChangedError(StoreError):
    """An object is not, or no longer, the version that was to be replaced."""


class ObjectPath:
    """A place in object storage: an object, or all that begin with its name and a slash.

    Endpoint, region and keys come from the environment, of each process that uses it.

    Args:
        key: bucket and name, with slashes between.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        bucket, _, self._name = key.partition("/")
        self._bucket = s3_store(bucket)

    def __reduce__(self) -> tuple[type["ObjectPath"], tuple[str]]:
        return ObjectPath, (self.key,)  # without the keys to the storage

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(f"{self.key}/{name}")

    def __str__(self) -> str:
        return SCHEME + self.key

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def name(self) -> str:
        """The last component."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return PurePosixPath(self.key).stem

    @property
    def parent(self) -> "ObjectPath":
        """Everything before the last component."""
        return ObjectPath(self.key.rpartition("/")[0])

    def exists(self) -> bool:
        """Whether it is an object or a prefix of one."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether it is an object."""
        try:
            with self._reached():
                obstore.head(self._bucket, self._name)
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether there are objects below it."""
        with self._reached():
            return any(obstore.list(self._bucket, self._name, chunk_size=1))

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Its children."""
        bucket = self.key.partition("/")[0]
        with self._reached():
            found = obstore.list_with_delimiter(self._bucket, self._name)
        names = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return (ObjectPath(f"{bucket}/{name}") for name in names)

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """Children whose names match the pattern."""
        return (each for each in self.iterdir() if fnmatch.fnmatchcase(each.name, pattern))

    def tags(self) -> dict[str, str]:
        """The version tags of all objects below it, by the rest of their names."""
        return {path[len(self._name) + 1 :]: tag for path, tag in self._below()}

    def read_bytes(self) -> bytes:
        """The whole object.

        Raises:
            FileNotFoundError: there is none.
            StoreError: the storage does not answer, or refuses.
        """
        return self.read_tagged()[0]

    def read_tagged(self) -> tuple[bytes, str]:
        """The whole object and its version tag; errors as for ``read_bytes``."""
        with self._reached():
            answer = obstore.get(self._bucket, self._name)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

    def write_bytes(self, data: bytes) -> None:
        """Replace the whole object, or leave it as it was."""
        self._put(data, "overwrite")

    def create(self, data: bytes) -> str:
        """Write the object where there is none; returns its version tag.

        Raises:
            FileExistsError: there is one.
            StoreError: the storage does not answer, or refuses.
        """
        try:
            return self._put(data, "create")
        except AlreadyExistsError as error:
            raise FileExistsError(f"{self} exists") from error

    def replace_version(self, data: bytes, tag: str) -> str:
        """Replace the object if it still has this version tag; returns the new one.

        Raises:
            ChangedError: it has another one by now, or is gone.
            StoreError: the storage does not answer, or refuses.
        """
        try:
            return self._put(data, {"e_tag": tag})
        except PreconditionError as error:
            raise ChangedError(f"{self} has changed") from error

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(str(self))
        with self._reached():
            obstore.delete(self._bucket, self._name)

    def rename(self, name: str) -> "ObjectPath":
        """Move the object to another name beside it; returns that."""
        renamed = self.parent / name
        with self._reached():
            obstore.rename(self._bucket, self._name, renamed._name)
        return renamed

    def remove_below(self) -> None:
        """Remove all objects below it."""
        paths = [path for path, _ in self._below()]
        with self._reached():
            obstore.delete(self._bucket, paths)

    def _below(self) -> list[tuple[str, str]]:
        """Names in the bucket and version tags of all objects below it."""
        with self._reached():
            pages: list[Sequence[Any]] = list(obstore.list(self._bucket, self._name))
        return [(each["path"], str(each["e_tag"])) for page in pages for each in page]

    def _put(self, data: bytes, mode: Any) -> str:
        try:
            with self._reached():
                return str(obstore.put(self._bucket, self._name, data, mode=mode)["e_tag"])
        except FileNotFoundError as error:
            if isinstance(mode, dict):
                raise ChangedError(f"{self} is gone") from error
            raise self._unreachable(error) from error

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, AlreadyExistsError, PreconditionError):
            raise
        except (BaseError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> StoreError:
        reason = str(error).partition("\n")[0].strip()  # without the library's account of it
        return StoreError(f"{self} cannot be reached ({reason}); {ADVICE}")
