"""Files of torch, read whole and without executing anything; no other place reads one."""

import pickle
import re
import struct
import zlib
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

import torch

from nsa_core.errors import first_line

_ARCHIVE = b"PK\x03\x04"
_NOT_WHOLE = (
    BadZipFile, EOFError, KeyError, OSError, RuntimeError, ValueError, struct.error, zlib.error
)  # fmt: skip


class NotTensorsError(Exception):
    """The file holds more than tensors and plain values, which could run code."""


class NotWholeError(Exception):
    """The file is damaged, cut short, or none of torch's."""


def read_torch_file(stream: BinaryIO) -> Any:
    """What ``torch.save`` wrote, on the CPU.

    Raises:
        NotTensorsError: it is a program.
        NotWholeError: it is not whole.
    """
    try:
        _check_whole(stream)
        return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))  # torch's words are advice how to run it
        raise NotTensorsError(f"it names {named[1]}" if named else "a pickle") from error
    except _NOT_WHOLE as error:
        no_opcode = isinstance(error, KeyError)
        raise NotWholeError("no file of torch's" if no_opcode else first_line(error)) from error


def _check_whole(stream: BinaryIO) -> None:
    """Compare every part with its checksum, which torch writes and does not read."""
    if _ARCHIVE.startswith(stream.read(len(_ARCHIVE))):  # else torch says what it is
        with ZipFile(stream) as archive:
            if damaged := archive.testzip():
                raise BadZipFile(f"{damaged} is not what was written")
    stream.seek(0)
