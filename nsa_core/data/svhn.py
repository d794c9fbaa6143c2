"""SVHN, cropped digits, from torchvision's MATLAB files or from image Parquet files."""

from pathlib import Path
from typing import Any

import numpy as np

from nsa_core.data.cache import cached
from nsa_core.data.folder import data_folder, parquet_name
from nsa_core.data.image_parquet import image_parquet
from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError

_DIGITS = tuple(map(str, range(10)))


def svhn(split: str, root: Path | None) -> ImageSet:
    """73,257 training or 26,032 test images [N, 3, 32, 32] of digits; class 0 is the digit 0.

    ``root`` (default ``$NSA_DATA``, else ``data``) holds ``train_32x32.mat`` and
    ``test_32x32.mat``, itself or in a folder ``svhn`` or ``SVHN``, or ``svhn-train.parquet`` and
    ``svhn-test.parquet`` or their shards. The further 531,131 digits of "extra" are not used.
    Classes are unequal: a digit has 4,659 (9) to 13,861 (1) training images.
    """
    folder = data_folder(root)
    if name := parquet_name(folder, "svhn", split):
        found = image_parquet(name, split, folder)
        return ImageSet(found.images, _digits(found, folder), _DIGITS)
    path = _find(folder, split)
    return cached(f"svhn-{split}", [path], lambda: _decode(path, split))


def _digits(found: ImageSet, folder: Path) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Labels 0 to 9, or as the original files have them: 1 to 10, which is the digit 0."""
    lowest, highest = int(found.labels.min()), int(found.labels.max())
    if highest > 10 or (highest == 10 and lowest == 0):
        raise InputError(
            f"svhn: the labels in {folder} run from {lowest} to {highest}; need 0 to 9, or 1 to 10 "
            "with 10 for the digit 0"
        )
    return found.labels % 10


def _find(folder: Path, split: str) -> Path:
    name = f"{split}_32x32.mat"
    places = [folder, folder / "svhn", folder / "SVHN"]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise InputError(
        f"svhn: neither {name} in {', '.join(map(str, places))} nor "
        f"{folder / f'svhn-{split}.parquet'} exists. Give the folder that holds one of them "
        '(--data-root), or download it with python -c "from torchvision.datasets import SVHN as S; '
        f"S('data', '{split}', download=True)\""
    )


def _decode(path: Path, split: str) -> ImageSet:
    from torchvision.datasets import SVHN  # seconds to import, and other sets do without

    try:  # torchvision checks the MD5, so how far the file unpacks is known before it is read
        source = SVHN(str(path.parent), split, download=False)
    except RuntimeError as error:
        raise InputError(
            f"svhn: {path} has a wrong checksum ({error}); fetch the file again"
        ) from error
    return ImageSet(np.ascontiguousarray(source.data), source.labels, _DIGITS)
