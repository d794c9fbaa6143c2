"""CIFAR-10 and CIFAR-100 as torchvision lays them out: pickles of known checksums."""

from pathlib import Path
from typing import Any

import numpy as np

from nsa_core.data.cache import cached
from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError


def cifar_batches(name: str, kind: str, split: str, folder: Path) -> ImageSet:
    """The images [N, 3, 32, 32] of a split, with the finest labels that the files have.

    Args:
        name: of the data set, for messages and the cache.
        kind: torchvision's class, "CIFAR10" or "CIFAR100".
        split: "train" or "test".
        folder: holds torchvision's folder.

    Raises:
        InputError: neither that folder nor a Parquet file of the split is there, or a file of it is
            missing or altered.
    """
    source = _official(kind)
    batches = folder / source.base_folder
    if not batches.is_dir():
        raise InputError(
            f"{name}: neither {batches} nor {folder / f'{name}-{split}.parquet'} exists. "
            "Give the folder that holds one of them (--data-root), or download it with "
            f"python -c \"from torchvision.datasets import {kind} as C; C('data', download=True)\""
        )
    members = source.train_list if split == "train" else source.test_list
    sources = [batches / member for member, _ in members]
    if missing := [str(each) for each in sources if not each.is_file()]:
        raise InputError(f"{name}: {', '.join(missing)} is missing; fetch the archive again")
    return cached(f"{name}-{split}", sources, lambda: _decode(name, kind, split, folder))


def _decode(name: str, kind: str, split: str, folder: Path) -> ImageSet:
    official = _official(kind)
    try:  # torchvision checks every file's MD5 before it unpickles one
        source = official(str(folder), train=split == "train", download=False)
    except RuntimeError as error:
        raise InputError(
            f"{name}: a file in {folder / official.base_folder} has a wrong checksum ({error}); "
            "fetch the archive again"
        ) from error
    images = np.ascontiguousarray(source.data.transpose(0, 3, 1, 2))
    return ImageSet(images, np.asarray(source.targets, dtype=np.int64), tuple(source.classes))


def _official(kind: str) -> Any:
    import torchvision.datasets  # seconds to import, and other sets do without

    return getattr(torchvision.datasets, kind)
