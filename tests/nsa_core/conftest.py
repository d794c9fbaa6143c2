"""Settings and data that the tests of the core share."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from nsa_core.data import load_images

_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """No test reads or fills the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("nsa-cache")
        patch.setenv("NSA_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny networks lose time to threads, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data():
    """The path of a file in ../shared/data; skips where the folder is absent."""

    def find(name: str) -> Path:
        if not (_SHARED / name).is_file():
            pytest.skip(f"{_SHARED / name} is absent; it is not part of the project")
        return _SHARED / name

    return find


@pytest.fixture(scope="session")
def digits():
    """Training and test split of the bundled digits."""
    return load_images("digits", "train"), load_images("digits", "test")


@pytest.fixture(scope="session")
def encode():
    """Pixels [H, W] or [H, W, 3] to the bytes of an image file without loss."""

    def to_bytes(pixels: np.ndarray, kind: str = "PNG") -> bytes:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind, **({"lossless": True} if kind == "WEBP" else {}))
        return stream.getvalue()

    return to_bytes


@pytest.fixture(scope="session")
def write_parquet():
    """Write encoded images and other columns in the Hugging Face convention."""

    def write(path: Path, images: list[bytes], metadata: dict | None = None, **columns) -> Path:
        image = pa.array([{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(images)])
        table = pa.table({"image": image, **columns})
        if metadata:
            table = table.replace_schema_metadata(metadata)
        pq.write_table(table, path)
        return path

    return write
