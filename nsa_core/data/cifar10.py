"""CIFAR-10 from torchvision's folder or from image Parquet files."""

import os
from pathlib import Path

import numpy as np

from nsa_core.data.cache import cached
from nsa_core.data.image_parquet import image_parquet
from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError


def cifar10(split: str, root: Path | None) -> ImageSet:
    """50,000 training or 10,000 test images [N, 3, 32, 32].

    ``root`` (default ``$NSA_DATA``, else ``data``) holds ``cifar-10-batches-py`` or
    ``cifar10-train.parquet`` and ``cifar10-test.parquet``.
    """
    folder = root or Path(os.environ.get("NSA_DATA", "data"))
    if (folder / f"cifar10-{split}.parquet").is_file():
        return image_parquet("cifar10-{split}.parquet", split, folder)
    batches = folder / "cifar-10-batches-py"
    if not batches.is_dir():
        raise InputError(
            f"cifar10: neither {batches} nor {folder / f'cifar10-{split}.parquet'} exists. "
            "Give the folder that holds one of them (--data-root), or download it with "
            "python -c \"from torchvision.datasets import CIFAR10 as C; C('data', download=True)\""
        )
    from torchvision.datasets import CIFAR10  # seconds to import, and other sets do without

    members = CIFAR10.train_list if split == "train" else CIFAR10.test_list
    sources = [batches / name for name, _ in members]
    if missing := [str(source) for source in sources if not source.is_file()]:
        raise InputError(f"cifar10: {', '.join(missing)} is missing; fetch the archive again")
    return cached(f"cifar10-{split}", sources, lambda: _decode(folder, split))


def _decode(folder: Path, split: str) -> ImageSet:
    from torchvision.datasets import CIFAR10

    try:  # torchvision checks every file's MD5 before it unpickles one
        source = CIFAR10(str(folder), train=split == "train", download=False)
    except RuntimeError as error:
        raise InputError(
            f"cifar10: a file in {folder / CIFAR10.base_folder} has a wrong checksum ({error}); "
            "fetch the archive again"
        ) from error
    images = np.ascontiguousarray(source.data.transpose(0, 3, 1, 2))
    return ImageSet(images, np.asarray(source.targets, dtype=np.int64), tuple(source.classes))
