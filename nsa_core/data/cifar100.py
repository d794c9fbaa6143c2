"""CIFAR-100 with its 20 super-classes as classes, from torchvision's folder or from Parquet."""

from pathlib import Path

import numpy as np

from nsa_core.data.cifar_batches import cifar_batches
from nsa_core.data.folder import data_folder, parquet_name
from nsa_core.data.image_parquet import image_parquet
from nsa_core.data.image_set import ImageSet
from nsa_core.errors import InputError

SUPER_CLASSES = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""Krizhevsky's own, in the order of his coarse labels. The list in CSI's code, which others copied,
is another one in 13 of the 20 (METHODS, section 2.8): its numbers are not of this data set."""

FINE_CLASSES = tuple(sorted(fine for members in SUPER_CLASSES.values() for fine in members))
"""The 100 classes, in the order of the alphabet, which is that of the fine labels."""

_SUPER_CLASS = np.array(
    [next(i for i, m in enumerate(SUPER_CLASSES.values()) if fine in m) for fine in FINE_CLASSES]
)


def cifar100(split: str, root: Path | None) -> ImageSet:
    """50,000 training or 10,000 test images [N, 3, 32, 32]; a class is one of 20 super-classes.

    ``root`` (default ``$NSA_DATA``, else ``data``) holds ``cifar-100-python``, or
    ``cifar100-train.parquet`` and ``cifar100-test.parquet`` or their shards, of which the column
    ``fine_label`` is read. With ``cifar100-{split}.parquet#fine_label`` as the data set's name the
    100 classes are the classes.
    """
    folder = data_folder(root)
    if name := parquet_name(folder, "cifar100", split):
        fine = image_parquet(f"{name}#fine_label", split, folder)
    else:
        fine = cifar_batches("cifar100", "CIFAR100", split, folder)
    numbers = tuple(map(str, range(len(fine.class_names))))  # where a Parquet file names none
    if fine.class_names not in (FINE_CLASSES, numbers) or fine.labels.max() >= len(FINE_CLASSES):
        raise InputError(
            f"cifar100: the {len(fine.class_names)} fine classes of split {split!r} in {folder} "
            f"are {', '.join(fine.class_names[:4])}, ...; need those of CIFAR-100: "
            f"{', '.join(FINE_CLASSES[:4])}, ..."
        )
    return ImageSet(fine.images, _SUPER_CLASS[fine.labels], tuple(SUPER_CLASSES))
