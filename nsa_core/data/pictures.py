"""Pictures as people have them: folders, Parquet files and lists, of any format and size."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsa_core.data.picture_blocks import Block, blocks
from nsa_core.data.picture_cache import VERSION, fingerprint_of, kept
from nsa_core.data.picture_search import Source, find
from nsa_core.data.picture_source import Found
from nsa_core.data.picture_survey import Wanted, survey

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images of one shape, with or without labels.

    Attributes:
        images: uint8 [N, C, H, W], C = 1 (grey) or 3 (RGB), N of at least 1; may be a read-only
            memory map.
        names: N different names: paths below the folder, or ``file.parquet:ROW``, rows from 0.
        labels: N names of classes, by class folder or label column; None unless all have one.
        fingerprint: SHA-256 (hex) of the decoded pixels and the names.
        skipped: name and reason of broken images that were left out.
        class_names: the classes of the whole source in their order, whatever split was asked for.
    """

    images: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    labels: tuple[str, ...] | None
    fingerprint: str
    skipped: tuple[tuple[str, str], ...] = ()
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


def read_pictures(
    source: Source,
    *,
    split: str | None = None,
    size: int | Sequence[int] | None = None,
    resize: str = "refuse",
    on_broken: str = "refuse",
    channels: int | None = None,
) -> Pictures:
    """Decode all pictures of a source, once for each content; memory holds a block of them.

    Args:
        source: a folder (flat, ``CLASS/...``, ``SPLIT/...``, or of Parquet files), an image, a
            Parquet file (``PATH.parquet#label_column``; of a shard, all shards), or a list of them.
        split: of a folder with ``train/`` and ``test/``, or of Parquet files; None for all.
        size: the side in pixels, or (H, W); None for the size that all of them have.
        resize: how an image of another size gets it: "refuse", "stretch", "crop" or "pad".
        on_broken: "refuse", or "skip" if they are no more than 15 % of all.
        channels: 1 or 3; None for 1 if all are grey, else 3.

    Raises:
        InputError: no images, broken ones, sizes that differ without a policy, an argument out of
            range, or a cache that cannot be written.
    """
    wanted = Wanted.checked(size, resize, on_broken, channels)
    found = find(source, split)
    surveyed = survey(found, wanted)
    asked = (VERSION, surveyed, resize, on_broken, found.names)
    key = hashlib.sha256(repr(asked).encode()).hexdigest()
    entry = kept(key, found, surveyed.shape, lambda: blocks(found, surveyed.shape, wanted, _BLOCK))
    left_out = {row for row, _ in entry.broken}
    rows = [row for row in range(len(found.names)) if row not in left_out]
    return _pictures(found, Block(entry.images, rows, list(entry.broken)), entry.fingerprint)


def picture_batches(
    source: Source,
    *,
    split: str | None = None,
    size: int | Sequence[int] | None = None,
    resize: str = "refuse",
    on_broken: str = "refuse",
    channels: int | None = None,
    batch: int = _BLOCK,
) -> Iterator[Pictures]:
    """The pictures of ``read_pictures`` in their order, at most ``batch`` at a time; none is kept.

    If both ``size`` and ``channels`` are given, every image is read once, else twice.

    Raises:
        InputError: as ``read_pictures``; of what is found late, after the first batches.
    """
    wanted = Wanted.checked(size, resize, on_broken, channels)
    found = find(source, split)
    if wanted.size and wanted.channels:
        shape = wanted.channels, *wanted.size
    else:
        shape = survey(found, wanted).shape
    return (
        _pictures(found, block, fingerprint_of(shape, [block.images], _names(found, block)))
        for block in blocks(found, shape, wanted, batch)
    )


def _names(found: Found, block: Block) -> list[str]:
    return [found.names[row] for row in block.rows]


def _pictures(found: Found, block: Block, fingerprint: str) -> Pictures:
    labels = found.labels
    return Pictures(
        images=block.images,
        names=tuple(_names(found, block)),
        labels=None if labels is None else tuple(labels[row] for row in block.rows),
        fingerprint=fingerprint,
        skipped=tuple((found.names[row], reason) for row, reason in block.broken),
        class_names=found.class_names,
    )
