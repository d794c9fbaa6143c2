"""Every method on three classes of Fashion-MNIST, clean and polluted, on two cores.

Images, network and trainings are far smaller than any paper's, so the numbers replicate none:

    apt-get install dataset-fashion-mnist      # or give the folder of its files as --data-root
    python benchmarks/every_method.py

It writes fewer images than the data set has to a Parquet file, runs a study of them, and makes
results/every_method.md from its store. The same command goes on where it was interrupted; what
follows a ``--`` goes to the study (``-- --seeds 3``).
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from every_method_report import report
from PIL import Image

from nsa_core import ImageSet, load_images
from studies import Layout, Preset, Study
from studies import main as run_study
from studies.one_class_benchmark import ARMS, SHARES, SHORT

HERE = Path(__file__).parent
OUTPUT = HERE / "results" / "every_method.md"
TRAIN, TEST = 1000, 200  # images of each of the ten classes
STEPS, ADAPTED = 300, 40  # of a training from scratch, and of pre-trained weights
LITE, PIXELS = "efficientnet_lite0", 64
FIELDS = (
    "method", "norm", "batch_size", "learning_rate", "method_options", "budget", "backbone",
    "image_size", "depth", "width", "stem",
)  # fmt: skip
SCRATCH, BACKBONE = (STEPS, "", 224, 10, 8, "3x3/2"), (LITE, PIXELS, 18, 64, "3x3")
CELLS = (
    *((*arm, *SHORT[arm[0]], *SCRATCH) for arm in ARMS),
    ("frozen", "none", 32, 1e-4, {}, 1, *BACKBONE),
    ("panda", "none", 32, 1e-2, {}, ADAPTED, *BACKBONE),
    ("msc", "none", 32, 1e-5, {}, ADAPTED, *BACKBONE),
)


def reduced(images: ImageSet, count: int) -> pa.Table:
    """So many images of every class, drawn at random, as PNG."""
    order = np.random.default_rng(0).permutation(len(images))
    rows = np.sort(np.concatenate([order[images.labels[order] == c][:count] for c in range(10)]))
    encoded = [{"bytes": _png(images.images[row, 0]), "path": f"{row}.png"} for row in rows]
    labels = [images.class_names[images.labels[row]] for row in rows]
    return pa.table({"image": encoded, "label": labels})


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def study(dataset: str) -> Study:
    """All methods, each with its published training but for what is in ``CELLS``."""
    preset = Preset(
        dataset=dataset,
        classes=("Coat", "Shirt", "Bag"),
        axes={FIELDS: CELLS, "pollution": SHARES},
        base={
            "budget_unit": "steps", "evaluations": 3, "warmup_epochs": 0, "precision": "fp32",
        },
        seeds=2,
        recipes=True,
    )  # fmt: skip
    layout = Layout(rows=("method", "norm"), columns="pollution", lead=("tables",))
    title = "Every method, clean and polluted, very small"
    return Study(name="every_method", title=title, layout=layout, presets={"quick": preset})


def main() -> int:
    """Make the images, run the study, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="of Fashion-MNIST's files")
    parser.add_argument("--store", type=Path, default=Path("results/every_method"), metavar="DIR")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    parser.add_argument("study", nargs="*", metavar="-- OPTION", help="of the study")
    options = parser.parse_args()
    name = "results/every_method-{split}.parquet"
    for split, count in (("train", TRAIN), ("test", TEST)):
        path = Path(name.replace("{split}", split))
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            pq.write_table(
                reduced(load_images("fashion-mnist", split, options.data_root), count), path
            )
    status = run_study(study(name), ["--store", str(options.store), *options.study])
    if "--dry-run" not in options.study:
        text = report(options.store, f"{TRAIN:,} training and {TEST} test images of each class")
        options.output.write_text(text)
        print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
