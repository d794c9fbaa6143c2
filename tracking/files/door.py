"""No symbolic link leads out of a store: its folders and files are its own.

A store can come from somebody else. A link in it would have a reader show, and a writer replace or
remove, what is not the store's.
"""

import errno
import os
import stat
from pathlib import Path

from tracking.errors import DamagedFileError, StoreError

_ADVICE = {
    errno.EROFS: "; make its file system writable, or work on a copy of the store",
    errno.EACCES: "; give this user the right to write there, or work on a copy of the store",
    errno.EPERM: "; give this user the right to write there, or work on a copy of the store",
    errno.ENOSPC: "; make room on its disk",
}

MARKER = "store.json"
"""The file at the top of a store."""


def refuse_links(path: Path) -> None:
    """Check the folders between a store and one of its files, or folders; above it all is allowed.

    Raises:
        StoreError: one of them is a link.
    """
    linked = None
    for folder in path.parents:
        if os.path.lexists(folder / MARKER):
            if linked is not None:
                raise StoreError(
                    f"{linked} is led out of the store by a link; move into the store what it "
                    "points to"
                )
            return
        if folder.is_symlink():
            linked = folder


def open_plain(path: Path, flags: int) -> int:
    """Open a file of a store without following a link; returns the descriptor.

    Args:
        flags: as of ``os.open``; with ``os.O_CREAT`` folders are made, of a store that is there.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is a link, a folder or a device.
        StoreError: a link leads to it out of the store, or the system refuses.
    """
    refuse_links(path)
    if path.is_symlink():
        raise DamagedFileError(path, "it is a link")
    try:
        if flags & os.O_CREAT and not path.parent.is_dir():
            _make_folders(path)
        # O_NONBLOCK: else to open a pipe would wait for somebody at its other end.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except FileNotFoundError as error:
        if flags & os.O_CREAT:
            raise unusable(path, error) from error
        raise
    except OSError as error:
        raise unusable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DamagedFileError(path, "it is no plain file")
    return descriptor


def _make_folders(path: Path) -> None:
    """Make the folders of a file that lack below its store, from above: of a store that was moved
    away meanwhile nothing is made anew.
    """
    missing = []
    for folder in path.parents:
        if os.path.lexists(folder / MARKER):
            break
        missing.append(folder)
    else:
        raise FileNotFoundError(errno.ENOENT, "its store is not there", str(path))
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder of no store, or a store's own, and all that it is in.

    Raises:
        StoreError: the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(folder, error) from error


def unusable(path: Path, error: OSError) -> StoreError:
    """What the system says of a file, as an error of the store that says what to do."""
    advice = _ADVICE.get(error.errno or 0, "")
    return StoreError(f"{path} cannot be used ({error.strerror or error}){advice}")
