"""Three real inspections as a person has them: images to train on, clean or not, and a test.

Images of one tile, or of one solar module, are not independent: they share a group, and a group
lies on one side of a split.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from nsa_core import load_images

NORMAL, DEFECT, DOUBTFUL = 0, 1, -1

CUT = 200_000  # tiles: no number between 195,761 and 240,048 was given
SAME_TILES = 200  # a step in number below this may be the same tile under another exposure
POLLUTION = 0.1  # of a training set that comes clean
SEED = 17  # of which defects pollute it

_FREE = 4  # the class of tiles without a defect
_CELLS = 60  # of a solar module, numbered in a row
_SURE = 3  # the class of cells that are surely defective; between it and 0 the annotators doubt


@dataclass(frozen=True, eq=False)
class Part:
    """Images of one side of a split.

    Attributes:
        images: uint8 [N, 1, H, W].
        kind: int64 [N] of ``NORMAL``, ``DEFECT`` and ``DOUBTFUL``.
        group: int64 [N], equal where images are not independent.
        path: [N] in the source.
    """

    images: np.ndarray
    kind: np.ndarray
    group: np.ndarray
    path: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def at(self, rows: np.ndarray) -> "Part":
        """Those rows, given by index or by a mask."""
        return Part(self.images[rows], self.kind[rows], self.group[rows], self.path[rows])

    def counts(self) -> str:
        """For instance ``453 normal, 50 defective``."""
        names = {NORMAL: "normal", DEFECT: "defective", DOUBTFUL: "doubtful"}
        found = [(int((self.kind == kind).sum()), name) for kind, name in names.items()]
        return ", ".join(f"{count:,} {name}" for count, name in found if count)


@dataclass(frozen=True, eq=False)
class Case:
    """One inspection.

    Attributes:
        name, split: what it is, and how it was split, in words.
        polluted: normal images and others to train on; a fit is not told which are which.
        test: normal and defective images, the same whatever was trained on.
    """

    name: str
    split: str
    polluted: Part
    test: Part

    @property
    def clean(self) -> Part:
        """The normal images to train on, in their order among the polluted ones."""
        return self.polluted.at(self.polluted.kind == NORMAL)

    def at_most(self, count: int) -> "Case":
        """A toy of it: about that many images of each part, every kind in its own share."""
        return Case(self.name, self.split, *(_share(p, count) for p in (self.polluted, self.test)))


def tiles(root: Path) -> Case:
    """Magnetic tiles: trained on what was photographed first, tested on what came later."""
    found = _read(root / "magnetic-tile96-all.parquet")
    number = _numbers(found.path, r"num_(\d+)")
    order = np.argsort(number)
    steps = np.diff(number[order], prepend=number[order[0]])
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(steps >= SAME_TILES)
    kind = np.where(found.kind == _FREE, NORMAL, DEFECT)
    known = Part(found.images, kind, group, found.path)
    early, late = known.at(number < CUT), known.at(number >= CUT)
    train = _polluted(early.at(early.kind == NORMAL), early)
    split = f"numbers below {CUT:,} to train, with a tenth of defects or none; the others to test"
    return Case("magnetic tiles", split, train, late)


def solar(root: Path) -> Case:
    """Solar cells: the training file holds defects as it comes."""
    train, test = (_cells(root / f"elpv128-{split}.parquet") for split in ("train", "test"))
    split = "the files' own, by modules; the training file as it comes, or its functional cells"
    return Case("solar cells", split, train, test.at(test.kind != DOUBTFUL))


def screws(root: Path) -> Case:
    """Screws: defects that pollute are taken out of the test, whatever is trained on."""
    clean, test = (_read(root / f"mvtec-screw128-{split}.parquet") for split in ("train", "test"))
    polluted = _polluted(clean, test)
    left = test.at(~np.isin(test.path, polluted.path))
    split = "the official one; a tenth of defects is moved to training, and never tested"
    return Case("screws", split, polluted, left)


CASES: tuple[Callable[[Path], Case], ...] = (tiles, solar, screws)


def _read(path: Path) -> Part:
    """A file with its class as ``kind``, every image a group."""
    held = load_images(str(path), "all")
    column = pq.read_table(path, columns=["image"])["image"].combine_chunks()
    names = np.array(column.field("path").to_pylist())
    return Part(np.asarray(held.images), held.labels, np.arange(len(held)), names)


def _cells(path: Path) -> Part:
    found = _read(path)
    kind = np.select([found.kind == 0, found.kind == _SURE], [NORMAL, DEFECT], DOUBTFUL)
    return Part(found.images, kind, _modules(_numbers(found.path, r"cell(\d+)")), found.path)


def _modules(cell: np.ndarray) -> np.ndarray:
    """Number of the first cell of the module, as far as numbers tell: by sixties of every run."""
    ordered = np.sort(cell)
    first = ordered[np.diff(ordered, prepend=-1) > 1]
    start = first[np.searchsorted(first, cell, side="right") - 1]
    return cell - (cell - start) % _CELLS


def _numbers(paths: np.ndarray, pattern: str) -> np.ndarray:
    return np.array([int(re.search(pattern, path).group(1)) for path in paths])


def _polluted(clean: Part, source: Part) -> Part:
    """Clean images and ``POLLUTION`` of defects of the source, in a random order."""
    random = np.random.default_rng(SEED)
    defects = np.flatnonzero(source.kind == DEFECT)
    count = round(POLLUTION / (1 - POLLUTION) * len(clean))
    added = source.at(random.choice(defects, count, replace=False))
    names = ("images", "kind", "group", "path")
    both = Part(*(np.concatenate([getattr(clean, n), getattr(added, n)]) for n in names))
    return both.at(random.permutation(len(both)))


def _share(part: Part, count: int) -> Part:
    share = min(1.0, count / len(part))
    rows = [np.flatnonzero(part.kind == kind) for kind in np.unique(part.kind)]
    return part.at(np.concatenate([each[: max(2, round(share * len(each)))] for each in rows]))
