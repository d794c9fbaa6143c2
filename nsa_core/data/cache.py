"""Cache of decoded image sets, memory-mapped so that all trials of a host share one copy."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError

_VERSION = 3  # raise it when decoding changes, so that older entries are not used


def cache_root() -> Path:
    """``$NSA_CACHE``, else ``$XDG_CACHE_HOME/nsa-studies``, else ``~/.cache/nsa-studies``.

    Raises:
        InputError: none of them is set, and this user has no home.
    """
    if explicit := os.environ.get("NSA_CACHE"):
        return Path(explicit)
    try:
        return user_cache()
    except RuntimeError as error:
        raise InputError(
            "decoded images have no place: this user has no home; set NSA_CACHE to a folder"
        ) from error


def user_cache() -> Path:
    """This project's folder in the user's cache; the standard has a relative name ignored.

    Raises:
        RuntimeError: there is none, as this user has no home.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "nsa-studies"


def cached(name: str, sources: list[Path], decode: Callable[[], ImageSet]) -> ImageSet:
    """Decode ``sources`` once for each content and return the memory-mapped result.

    Raises:
        InputError: the cache cannot be read or written.
    """
    readable = re.sub(r"[^\w.-]", "_", name)[:60]  # a user's name may hold a path
    entry = cache_root() / f"{readable}-{_digest(name, sources)[:24]}"
    with usable(entry.parent):
        found = _read(entry)
    if found is None:
        decoded = decode()
        with usable(entry.parent):
            _write(entry, decoded)
            found = _read(entry)
        assert found is not None
    return found


@contextmanager
def usable(root: Path) -> Iterator[None]:
    """An InputError in place of what the system says of the cache."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the cache of decoded images, {root}, cannot be used ({error.strerror or error}); set "
            "NSA_CACHE to a folder that can be written and has space"
        ) from error


def _digest(name: str, sources: list[Path]) -> str:
    digest = hashlib.sha256(f"{_VERSION} {name}".encode())
    for source in sources:
        with source.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def plain(*paths: Path) -> bool:
    """Whether all of them are plain files: to open a pipe would wait for ever."""
    return all(path.is_file() for path in paths)


def _read(entry: Path) -> ImageSet | None:
    if not plain(*(entry / name for name in ("meta.json", "images.npy", "labels.npy"))):
        return None
    try:
        meta = json.loads((entry / "meta.json").read_text())
        images = np.load(entry / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(entry / "labels.npy", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError, KeyError, TypeError):  # absent or damaged
        return None
    found = ImageSet(images, labels, tuple(meta["class_names"]))  # which computes its fingerprint
    return found if found.fingerprint == meta["fingerprint"] else None


def _write(entry: Path, image_set: ImageSet) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        np.save(partial / "images.npy", image_set.images)
        np.save(partial / "labels.npy", image_set.labels)
        meta = {"class_names": image_set.class_names, "fingerprint": image_set.fingerprint}
        (partial / "meta.json").write_text(json.dumps(meta))
        for path in partial.iterdir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        if _read(entry) is None:  # another process may have been faster
            shutil.rmtree(entry, ignore_errors=True)
            try:
                partial.rename(entry)
            except OSError:
                if _read(entry) is None:
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
