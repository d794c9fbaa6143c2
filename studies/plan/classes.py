"""Which classes of a data set are normal, one after another."""

from collections.abc import Sequence

import numpy as np

from nsa_core import ImageSet, InputError, class_index
from nsa_core.data import same_spelling


def normal_classes(
    train: ImageSet,
    test: ImageSet | None,
    wanted: str | Sequence[int | str],
    usual: Sequence[int | str] = (),
) -> list[int]:
    """Indices of the wanted classes, each once; of the usual ones if none is wanted, and of all
    that can be normal if there is no usual one, or only one that can.

    A class can be normal if the training split has images of it, and the test split too where there
    is one. A text lists classes with commas between them.

    Raises:
        InputError: a class is unknown or cannot be normal, or none can.
    """
    sets = [train] if test is None else [train, test]
    counts = [np.bincount(each.labels, minlength=len(train.class_names)) for each in sets]
    able = np.flatnonzero(np.min(counts, axis=0)).tolist()
    if not able:
        raise InputError("no class can be normal: that takes images in both splits")
    if len(able) > 1:
        wanted = wanted or usual
    listed = _listed(wanted, train.class_names) if isinstance(wanted, str) else wanted
    chosen = dict.fromkeys(class_index(train, each) for each in listed)
    for index in chosen:
        if index not in able:
            found = " and ".join(
                f"{count[index]} of {len(each)} {split} images"
                for count, each, split in zip(counts, sets, ("training", "test"), strict=False)
            )
            raise InputError(
                f"class {train.class_names[index]!r} cannot be normal: {found} are of it; need "
                f"some of each (classes that can, by index: {able})"
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
