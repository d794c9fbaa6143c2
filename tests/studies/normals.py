"""A stranger's data set of normals alone, as a Parquet file."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from nsa_core import load_images

DIGIT = 3


def write_normals(folder: Path, *, tested: bool = False) -> Path:
    """The training images of a digit, class "good"; its test images as a split "test" if asked."""
    splits = ("train", "test") if tested else ("train",)
    rows = []
    for split in splits:
        whole = load_images("digits", split)
        for image in whole.images[whole.labels == DIGIT]:
            stream = io.BytesIO()
            Image.fromarray(image[0]).save(stream, "PNG")
            png = {"bytes": stream.getvalue(), "path": "x.png"}
            rows.append({"image": png, "label": "good", "split": split})
    path = folder / "normals.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path
