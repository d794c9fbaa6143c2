"""The pictures of compactness from networks of known concentration."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsa_core import kappa
from tests.benchmarks.test_scripts import run

DIM, ROWS = 6, 60


@pytest.fixture
def features(tmp_path):
    """Two networks, one twice as wide around its mean; outliers lie the other way."""
    folder = tmp_path / "features"
    folder.mkdir()
    rng = np.random.default_rng(0)
    mean, away = np.eye(DIM)[0], np.eye(DIM)[1]
    for norm, width in (("none", 0.4), ("f", 0.2)):
        normal = mean + width * rng.standard_normal((2 * ROWS, DIM))
        odd = away + width * rng.standard_normal((ROWS, DIM))
        rows = np.concatenate([normal, odd]).astype(np.float16)
        split = ["train"] * ROWS + ["test"] * ROWS + ["train"] * 10 + ["test"] * (ROWS - 10)
        flags = [False] * 2 * ROWS + [True] * ROWS
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), DIM)
        config = {"method": "simclr", "norm": norm, "batch_size": 64}
        about = {"provenance": json.dumps({"config": config, "epochs": 7})}
        table = pa.table({"split": split, "is_outlier": flags, "embedding": embedding})
        pq.write_table(table.replace_schema_metadata(about), folder / f"{norm}.parquet")
    return folder


def test_compactness_tells_the_compact_network_and_draws_both(features, tmp_path):
    output = tmp_path / "compactness.md"
    sizes = ("--draws", "2", "--pictures", str(tmp_path))
    run("compactness.py", "--features", str(features), *sizes, "--output", str(output))
    lines = output.read_text().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| SimCLR")
    ]
    assert [row[0] for row in rows] == ["SimCLR, no norm", "SimCLR, f-norm"]
    assert all(row[1] == "batch 64, 7 epochs" for row in rows)
    for row, name in zip(rows, ("none", "f"), strict=True):
        table = pq.read_table(features / f"{name}.parquet", filters=[("split", "=", "train")])
        train = np.array(table["embedding"].to_pylist(), dtype=np.float32)
        assert int(row[2]) == round(kappa(train))
        clean, polluted, cost = float(row[6]), float(row[-2]), float(row[-1])
        assert cost == pytest.approx(polluted - clean, abs=0.11)
    assert int(rows[1][2]) > int(rows[0][2])
    for picture in ("compactness.png", "compactness_pollution.png"):
        assert Image.open(tmp_path / picture).width == 1080
