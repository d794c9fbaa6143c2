"""Decoded image sets on disk, memory-mapped, so that all trials of a host share one copy."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nsa_core.data.image_set import ImageSet

_VERSION = 1  # raise it when decoding changes, so that older entries are not used


def cache_root() -> Path:
    """``$NSA_CACHE``, else ``$XDG_CACHE_HOME/nsa-studies``, else ``~/.cache/nsa-studies``."""
    if explicit := os.environ.get("NSA_CACHE"):
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nsa-studies"


def cached(name: str, sources: list[Path], decode: Callable[[], ImageSet]) -> ImageSet:
    """The set that ``decode`` makes from ``sources``, decoded once for each content of them."""
    readable = re.sub(r"[^\w.-]", "_", name)[:60]  # a user's name may hold a path
    entry = cache_root() / f"{readable}-{_digest(name, sources)[:24]}"
    found = _read(entry)
    if found is None:
        _write(entry, decode())
        found = _read(entry)
        assert found is not None
    return found


def _digest(name: str, sources: list[Path]) -> str:
    digest = hashlib.sha256(f"{_VERSION} {name}".encode())
    for source in sources:
        with source.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _read(entry: Path) -> ImageSet | None:
    try:
        meta = json.loads((entry / "meta.json").read_text())
        images = np.load(entry / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(entry / "labels.npy", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):  # absent or damaged: decode again
        return None
    return ImageSet(images, labels, tuple(meta["class_names"]), meta["fingerprint"])


def _write(entry: Path, image_set: ImageSet) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        np.save(partial / "images.npy", image_set.images)
        np.save(partial / "labels.npy", image_set.labels)
        meta = {"class_names": image_set.class_names, "fingerprint": image_set.fingerprint}
        (partial / "meta.json").write_text(json.dumps(meta))
        if _read(entry) is None:  # another process may have been faster
            shutil.rmtree(entry, ignore_errors=True)
            try:
                partial.rename(entry)
            except OSError:
                if _read(entry) is None:
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
