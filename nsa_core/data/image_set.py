"""A labelled set of images of one size, and the fingerprint that identifies its content."""

import hashlib
import unicodedata
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nsa_core.errors import InputError


def same_spelling(name: str) -> str:
    """The name with its accents as Unicode composes them (NFC); some systems decompose them."""
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with class labels.

    Attributes:
        images: uint8 [N, C, H, W], C = 1 (grey) or 3 (RGB); may be memory-mapped and read-only.
        labels: int64 [N], indices into ``class_names``.
        class_names: one name a class, each in the one spelling of ``same_spelling``.
        fingerprint: SHA-256 (hex) of shape, pixels, labels and class names, in row order.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    fingerprint: str = field(default="")

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        object.__setattr__(self, "class_names", tuple(map(same_spelling, self.class_names)))
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise InputError(
                f"images are {images.dtype} {list(images.shape)}; need uint8 [N, 1 or 3, H, W]"
            )
        if labels.shape != (len(images),) or labels.dtype != np.int64:
            raise InputError(
                f"labels are {labels.dtype} {list(labels.shape)}; need int64 [{len(images)}]"
            )
        if len(labels) == 0:
            raise InputError("an image set needs at least one image; this one is empty")
        if labels.min() < 0 or labels.max() >= len(self.class_names):
            raise InputError(
                f"labels run from {labels.min()} to {labels.max()}; "
                f"with {len(self.class_names)} class names they must lie in "
                f"[0, {len(self.class_names) - 1}]"
            )
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", self._digest())

    def __len__(self) -> int:
        return len(self.images)

    def _digest(self) -> str:
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        digest.update(np.ascontiguousarray(self.labels).data)
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()
