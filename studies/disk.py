"""A full disk: how it is recognised, and what is said of it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from tracking import StoreError
from tracking.storage import StorePath

_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFullError(StoreError):
    """There is no space to write results to; nothing that was written is lost."""


def check_space(error: BaseException, place: StorePath | str) -> None:
    """Raise a DiskFullError where a full disk is behind an error."""
    if any(_says_full(each) for each in _chain(error)):
        raise DiskFullError(
            f"no space left on the disk of {place}; free some, then the same command goes on "
            "where it stopped"
        ) from error


@contextmanager
def checked_space(place: StorePath | str) -> Iterator[None]:
    """Have errors behind which is a full disk raised as a DiskFullError."""
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        check_space(error, place)
        raise


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return "No space left on device" in str(error)  # as Ray hands on what others raised


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
