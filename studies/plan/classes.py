"""Which classes of a data set are normal, one after another."""

from collections.abc import Sequence

import numpy as np

from nsa_core import ImageSet, InputError, class_index
from nsa_core.data import same_spelling


def normal_classes(train: ImageSet, test: ImageSet, wanted: str | Sequence[int | str]) -> list[int]:
    """Indices of the wanted classes, each once; of all that can be normal if none is wanted.

    A class can be normal if both splits have images of it and the test split has others. A text
    lists classes with commas between them.

    Raises:
        InputError: a class is unknown or cannot be normal, or none can.
    """
    trained, tested = (np.bincount(s.labels, minlength=len(s.class_names)) for s in (train, test))
    able = np.flatnonzero((trained > 0) & (tested > 0) & (tested < len(test))).tolist()
    if not able:
        raise InputError(
            "no class can be normal: that takes images in both splits, and others in the test split"
        )
    listed = _listed(wanted, train.class_names) if isinstance(wanted, str) else wanted
    chosen = dict.fromkeys(class_index(train, each) for each in listed)
    for index in chosen:
        if index not in able:
            raise InputError(
                f"class {train.class_names[index]!r} cannot be normal: {trained[index]} training "
                f"images and {tested[index]} of {len(test)} test images are of it; need some of "
                f"both, and other test images (classes that can, by index: {able})"
            )
    return list(chosen) or able


def _listed(text: str, names: Sequence[str]) -> list[str]:
    """The classes of a list; where the name of a class has commas, it is the longest that fits."""
    found: list[str] = []
    pieces = text.split(",") if text else []
    while pieces:
        starts = [",".join(pieces[:count]) for count in range(len(pieces), 0, -1)]
        fits = [start for start in starts if same_spelling(start) in names]
        found.append(fits[0] if fits else pieces[0])
        pieces = pieces[found[-1].count(",") + 1 :]
    return found
