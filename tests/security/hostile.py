"""Names that would do harm wherever a text is more than a text, a data set made of them, a trap."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from nsa_core.data import load_images

PRINTABLE = (
    "../../../escape",
    "/etc/passwd",
    "~/.ssh/id",
    "<script>alert(1)</script><img src=x onerror=alert(2)>\" onload='alert(3)",
    "'; DROP TABLE trials; --",
    "$(touch executed) `touch executed` ; touch executed | touch executed",
    "{{7*7}} ${7*7} {0.__class__} %s %n",
    "| a | **b** [link](javascript:alert(4)) $\\frac{$ $x$",
    "=cmd|'/c calc'!A1",
    "L" * 200,
)
UNPRINTABLE = (
    "nul\x00",
    "new\nline",
    "\x1b[31m\x1b]0;title\x07",
    "\x9b2J",
    "\u202egnp.exe",
    "\u2066\u200b",
    "\r",
    "\ud800",
    "L" * 201,
)
FILE = "x;$(touch executed)'\"<b>{{7}}$\\frac{$|`touch executed`.parquet"


def write_data_set(path: Path, names: tuple[str, ...] = PRINTABLE) -> None:
    """scikit-learn's digits as a user's own Parquet file, both splits in it."""
    images, labels, splits = [], [], []
    for split in ("train", "test"):
        digits = load_images("digits", split)
        for pixels, label in zip(digits.images[:, 0], digits.labels, strict=True):
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "PNG")
            images.append(stream.getvalue())
            labels.append(label)
            splits.append(split)
    table = pa.table({"image": images, "label": np.array(labels), "split": splits})
    described = {"class_names": json.dumps({"label": names})}
    pq.write_table(table.replace_schema_metadata(described), path)


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self):
        return os.mkdir, (str(self.sentinel),)
