"""CIFAR-10 from torchvision's folder or from image Parquet files."""

from pathlib import Path

from nsa_core.data.cifar_batches import cifar_batches
from nsa_core.data.folder import data_folder, parquet_name
from nsa_core.data.image_parquet import image_parquet
from nsa_core.data.image_set import ImageSet


def cifar10(split: str, root: Path | None) -> ImageSet:
    """50,000 training or 10,000 test images [N, 3, 32, 32].

    ``root`` (default ``$NSA_DATA``, else ``data``) holds ``cifar-10-batches-py``, or
    ``cifar10-train.parquet`` and ``cifar10-test.parquet`` or their shards.
    """
    folder = data_folder(root)
    if name := parquet_name(folder, "cifar10", split):
        return image_parquet(name, split, folder)
    return cifar_batches("cifar10", "CIFAR10", split, folder)
