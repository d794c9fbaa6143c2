"""Fashion-MNIST from its original IDX files, zero-padded from 28x28 to 32x32."""

import gzip
import hashlib
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nsa_core.data.cache import cached
from nsa_core.data.folder import data_folder
from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_PREFIX = {"train": "train", "test": "t10k"}
_LARGEST = 16 + 60_000 * 28 * 28  # bytes of an unpacked file
_CONTENT_SHA256 = {  # of the unpacked files
    "train-images-idx3-ubyte.gz": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "train-labels-idx1-ubyte.gz": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def fashion_mnist(split: str, root: Path | None) -> ImageSet:
    """60,000 training or 10,000 test images [N, 1, 32, 32]."""
    names = [f"{_PREFIX[split]}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    folder = _find(names, root)
    sources = [folder / name for name in names]
    return cached(f"fashion-mnist-{split}", sources, lambda: _decode(*sources))


def _find(names: list[str], root: Path | None) -> Path:
    if root is not None:
        places = [root, root / "fashion-mnist", root / "FashionMNIST" / "raw"]
    else:
        data = data_folder(None)
        places = [_DEBIAN, data / "FashionMNIST" / "raw", data / "fashion-mnist"]
    for place in places:
        if all((place / name).is_file() for name in names):
            return place
    raise InputError(
        f"fashion-mnist: {names[0]} not found in {', '.join(map(str, places))}. "
        "Install it with 'apt-get install dataset-fashion-mnist', or download it with "
        "python -c \"from torchvision.datasets import FashionMNIST as F; F('data', download=True)\""
    )


def _decode(images_path: Path, labels_path: Path) -> ImageSet:
    images = _read_idx(images_path, 3)
    labels = _read_idx(labels_path, 1)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))[:, None]
    return ImageSet(padded, labels.astype(np.int64), tuple(_official().classes))


def _read_idx(path: Path, dims: int) -> npt.NDArray[np.uint8]:
    packed = path.read_bytes()
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            raw = stream.read(_LARGEST + 1)  # what is longer has a wrong checksum, unread
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file ({error}); fetch it again") from error
    md5 = {url.rsplit("/", 1)[-1]: digest for url, digest in _official().resources}[path.name]
    if hashlib.md5(packed, usedforsecurity=False).hexdigest() != md5:
        digest = hashlib.sha256(raw).hexdigest()  # Debian compresses the same content anew
        if digest != _CONTENT_SHA256[path.name]:
            raise InputError(
                f"{path}: wrong checksum (sha256 of the content {digest}, "
                f"expected {_CONTENT_SHA256[path.name]}); the file is altered, fetch it again"
            )
    shape = np.frombuffer(raw, ">i4", dims, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)


def _official() -> Any:
    """torchvision's class, for its checksums and names."""
    from torchvision.datasets import FashionMNIST  # seconds to import, and needed once

    return FashionMNIST
