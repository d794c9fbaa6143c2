"""Where a store is: a folder that this host sees, or a prefix in object storage.

A folder is a ``pathlib.Path``, object storage an ``ObjectPath``.
"""

import contextlib
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tracking.errors import StoreError
from tracking.files.door import refuse_links
from tracking.files.objects import ObjectPath

StorePath = Path | ObjectPath


def locate(place: "str | StorePath") -> StorePath:
    """Parse a store's name: a folder, or ``s3://BUCKET/PREFIX``.

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
    return ObjectPath("/".join([parts.netloc, *names]))


def remove_folder(path: StorePath) -> None:
    """Remove a folder recursively; errors are ignored. Links are removed, not followed.

    Raises:
        StoreError: a link leads to it out of the store.
    """
    if isinstance(path, ObjectPath):
        with contextlib.suppress(StoreError, FileNotFoundError):
            path.remove_below()
    else:
        refuse_links(path)
        shutil.rmtree(path, ignore_errors=True)


def set_aside(path: StorePath) -> StorePath:
    """Rename a file to ``NAME.aside-N`` beside it; returns the new path.

    Raises:
        StoreError: a link leads to it out of the store.
    """
    if isinstance(path, Path):
        refuse_links(path)
    number = len([*path.parent.glob(f"{path.name}.aside-*")]) + 1
    name = f"{path.name}.aside-{number}"
    return path.rename(path.parent / name) if isinstance(path, Path) else path.rename(name)
