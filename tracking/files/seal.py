"""Seals: a digest in every file of a store, of what is in the file and of where it belongs.

A flipped bit, a lost block or a file in another's place then is an error, not another number. The
digest stands in the file itself, so that file and digest are replaced in one step: 64 hexadecimal
digits behind ``KEY``, taken of the file's bytes with zeros in their place.
"""

import hashlib
import re

from tracking.errors import DamagedFileError
from tracking.files.place import StorePath

KEY = "nsa_sha256"
BLANK = "0" * 64

_MARK = re.compile(KEY.encode() + rb".{2,4}?([0-9a-f]{64})", re.DOTALL)


def seal(path: StorePath, data: bytes) -> bytes:
    """Put the digest in the place of ``BLANK``, which follows ``KEY`` in the data."""
    start = data.index(BLANK.encode(), _key(data))
    end, view = start + len(BLANK), memoryview(data)
    return b"".join([view[:start], _digest(path, data, start, end), view[end:]])


def check_seal(path: StorePath, data: bytes) -> None:
    """Compare a file with its digest; files of older versions have none.

    Raises:
        DamagedFileError: it is not what was written there.
    """
    if (at := _key(data)) < 0:
        return
    found = _MARK.match(data, at)
    if found and _digest(path, data, *found.span(1)) == found[1]:
        return
    raise DamagedFileError(path, "its content is not what was written here")


def _key(data: bytes) -> int:
    """Where ``KEY`` is: in JSON the first, in Parquet the last that reads so; -1 for none."""
    key = KEY.encode()
    return data.rfind(key) if data.startswith(b"PAR1") else data.find(key)


def _digest(path: StorePath, data: bytes, start: int, end: int) -> bytes:
    """Of the data with zeros from ``start`` to ``end``; nothing is copied, as it may be large."""
    view = memoryview(data)
    found = hashlib.sha256(f"{path.parent.name}/{path.name}\n".encode())
    for part in (view[:start], BLANK.encode(), view[end:]):
        found.update(part)
    return found.hexdigest().encode()
