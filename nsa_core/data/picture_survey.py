"""What pictures are to become, and whether they can, by their headers alone."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from nsa_core.data.decode import ImageError, image_shape
from nsa_core.data.picture_source import Encoded, Found
from nsa_core.data.resize import RESIZES
from nsa_core.errors import InputError, unknown, whole
from nsa_core.limits import usable_cores

PHOTOGRAPH_PIXELS = 2**26
"""Of an image: what cameras of 60 megapixels make."""

MOST_BROKEN = 0.15
"""The largest share of images that is skipped on request; above it, something else is wrong."""

BROKEN = ("refuse", "skip")

_AT_ONCE = 32  # images that are read, then decoded side by side
_LISTED = 5
_In = TypeVar("_In")
_Out = TypeVar("_Out")

Shape = tuple[int, int, int]
"""Channels, height and width."""


@dataclass(frozen=True)
class Wanted:
    """What pictures are to become: see ``read_pictures``."""

    size: tuple[int, int] | None
    resize: str
    on_broken: str
    channels: int | None

    @classmethod
    def checked(
        cls, size: int | Sequence[int] | None, resize: str, on_broken: str, channels: int | None
    ) -> "Wanted":
        """Of arguments as a caller gives them, or an InputError that names the wrong one."""
        if resize not in RESIZES:
            raise unknown("resize", resize, RESIZES)
        if on_broken not in BROKEN:
            raise unknown("on_broken", on_broken, BROKEN)
        if channels not in (None, 1, 3):
            raise InputError(f"channels is {channels!r}; need 1 (grey), 3 (colour) or None")
        if size is None:
            return cls(None, resize, on_broken, channels)
        if isinstance(size, Sequence) and not isinstance(size, str):
            sides = tuple(size)
        else:
            sides = size, size
        if len(sides) != 2:
            raise InputError(f"size is {size!r}; need a side in pixels, or (height, width)")
        height, width = (whole("size", side, 1) for side in sides)
        return cls((height, width), resize, on_broken, channels)


@dataclass(frozen=True)
class Survey:
    """What the headers of all images say.

    Attributes:
        shape: of all images once they are read.
        content: SHA-256 (hex) of the bytes of all images in their order.
    """

    shape: Shape
    content: str


def survey(found: Found, wanted: Wanted) -> Survey:
    """Read all images once, without decoding them.

    Raises:
        InputError: broken images (or too many, if they are to be skipped), or sizes that differ
            without a policy.
    """
    content = hashlib.sha256()
    shapes: dict[str, Shape] = {}
    broken: list[tuple[str, str]] = []
    for name, (digest, seen) in zip(found.names, in_order(_seen, found.encoded()), strict=True):
        content.update(digest)
        if isinstance(seen, str):
            broken.append((name, seen))
            if wanted.on_broken == "skip":
                refuse_broken(found, broken, wanted)
        else:
            shapes[name] = seen
    refuse_broken(found, broken, wanted, so_far="at least ")  # others show when they are decoded
    return Survey(_one_shape(found, shapes, wanted), content.hexdigest())


def in_order(function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """The results one after another, made side by side, a few at once."""
    left = iter(items)
    with ThreadPoolExecutor(usable_cores()) as pool:  # Pillow lets go of the interpreter
        while some := list(islice(left, _AT_ONCE)):
            yield from pool.map(function, some)


def refuse_broken(
    found: Found, broken: list[tuple[str, str]], wanted: Wanted, so_far: str = ""
) -> None:
    """An InputError if there are broken images, or too many to skip."""
    total = len(found.names)
    listed = "; ".join(f"{name} ({reason})" for name, reason in broken[:_LISTED])
    listed += "; ..." * (len(broken) > _LISTED)
    if broken and wanted.on_broken == "refuse":
        raise InputError(
            f"{found.where}: {so_far}{len(broken)} of {total} images cannot be read: {listed}; "
            f"repair or remove them, or skip up to {MOST_BROKEN:.0%} of them (on_broken=skip, or "
            "--skip-broken of a command)"
        )
    if len(broken) > MOST_BROKEN * total:
        raise InputError(
            f"{found.where}: more than {MOST_BROKEN:.0%} of {total} images cannot be read, "
            f"too many to skip: {listed}"
        )


def _seen(encoded: Encoded) -> tuple[bytes, Shape | str]:
    """A digest, and what the header says or why it does not."""
    try:
        data = encoded()
    except (ImageError, OSError) as error:
        return hashlib.sha256(str(error).encode()).digest(), str(error)
    digest = hashlib.sha256(data).digest()
    try:
        return digest, image_shape(data, PHOTOGRAPH_PIXELS)
    except ImageError as error:
        return digest, str(error)


def _one_shape(found: Found, shapes: dict[str, Shape], wanted: Wanted) -> Shape:
    examples = {shape[1:]: name for name, shape in shapes.items()}
    sizes = Counter(shape[1:] for shape in shapes.values())
    size = wanted.size or (next(iter(sizes)) if len(sizes) == 1 else None)
    if size is None or (wanted.resize == "refuse" and set(sizes) != {size}):
        listed = ", ".join(
            f"{number} of {high}x{wide} ({examples[high, wide]})"
            for (high, wide), number in sizes.most_common(_LISTED)
        ) + ", ..." * (len(sizes) > _LISTED)
        asked = f"not all of {size[0]}x{size[1]}" if size else f"of {len(sizes)} sizes"
        need = "" if size else "a size (such as 96) and "
        need = f"need {need}a resize policy: stretch, crop or pad"
        raise InputError(f"{found.where}: images are {asked}: {listed}; {need}")
    channels = wanted.channels or max(shape[0] for shape in shapes.values())
    return channels, *size
