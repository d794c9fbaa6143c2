"""Frozen ImageNet features as one-class detectors: good on CIFAR-10, poor on SVHN, as in Table 4.

    python benchmarks/pretrained.py --data-root DIR

EfficientNet-Lite0 with the weights of its package, cosine 2-NN. DIR holds CIFAR-10 and SVHN, or of
SVHN the parts that are named ``svhn-train-first1083.parquet`` and ``svhn-test-first10000.parquet``:
of these, positions below 6,800 of the test part are trained on too, and the others tested, as
neighbours in the file are digits of one house number. For scale, SimCLR with f-norm is trained from
scratch on as many SVHN digits, in minutes: a narrow network.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from hardware import Spread, describe, markdown_table
from torch import Tensor

from nsa_core import ImageSet, TrialConfig, auroc, load_images, one_class_split, train
from nsa_core.models import Encoder
from nsa_core.scorers import CosineKNN
from nsa_core.training import build_method

OUTPUT = Path(__file__).parent / "results" / "pretrained.md"
TRAIN, TEST = 150, 1000  # images a class, and images in all, of each draw
CUT = 6800  # in the original order of SVHN's test split
NEIGHBOURS = 2
PAPER = (
    "61 (ResNet-18), 66 (-50), 64 (-152), 65 (-50, SimCLR), 70 (-50, a billion images), 68 adapted"
)
SCRATCH = {
    "method": "simclr", "norm": "f", "batch_size": 64, "learning_rate": 1e-3, "width": 16,
    "evaluations": 1, "layers": ("embedding",), "augment": {"flip": 0.0},
}  # fmt: skip


def svhn(root: Path) -> tuple[ImageSet, ImageSet]:
    """Both splits, or what can be made of the first digits of each."""
    parts = [root / f"svhn-{name}.parquet" for name in ("train-first1083", "test-first10000")]
    if not all(part.is_file() for part in parts):
        return load_images("svhn", "train", root), load_images("svhn", "test", root)
    first, rest = (load_images(str(part), "all") for part in parts)
    image = pq.read_table(parts[1], columns=["image"])["image"].combine_chunks()
    position = np.array([int(Path(path).stem) for path in image.field("path").to_pylist()])
    early = position < CUT
    images = np.concatenate([first.images, rest.images[early]])
    labels = np.concatenate([first.labels, rest.labels[early]])
    names = first.class_names
    return ImageSet(images, labels, names), ImageSet(
        rest.images[~early], rest.labels[~early], names
    )


def drawn(images: ImageSet, count: int, draw: int) -> np.ndarray:
    """Rows of a draw: ``count`` of every class; draws share no row."""
    order = np.random.default_rng(0).permutation(len(images))
    rows = [order[images.labels[order] == c][draw * count :][:count] for c in range(10)]
    if min(map(len, rows)) < count:
        raise SystemExit(f"not every class has {(draw + 1) * count} images; use fewer --draws")
    return np.concatenate(rows)


@torch.inference_mode()
def embedded(encoder: Encoder, images: np.ndarray) -> Tensor:
    """Embeddings of uint8 images [N, 3, H, W]."""
    blocks = torch.from_numpy(np.ascontiguousarray(images)).split(encoder.images_at_once)
    return torch.cat([encoder(block / 255) for block in blocks])


def frozen(encoder: Encoder, train_set: ImageSet, test_set: ImageSet, draw: int) -> list[float]:
    """AUROC of each class against the others."""
    rows = drawn(train_set, TRAIN, draw)
    bank, known = embedded(encoder, train_set.images[rows]), train_set.labels[rows]
    order = np.random.default_rng(1).permutation(len(test_set))[draw * TEST :][:TEST]
    test, labels = embedded(encoder, test_set.images[order]), test_set.labels[order]
    scorer = CosineKNN(k=NEIGHBOURS)
    return [auroc(scorer.fit(bank[known == c]).score(test), labels != c) for c in range(10)]


def scratch(train_set: ImageSet, test_set: ImageSet, digit: int, steps: int) -> float:
    """AUROC of cosine 1-NN after a training from scratch on all images of the digit."""
    split = one_class_split(train_set, test_set, digit)
    plain = {**SCRATCH, "dataset": "svhn", "normal_class": digit}
    config = TrialConfig.from_dict({**plain, "budget": steps, "budget_unit": "steps"})
    (last,) = train(config, split)
    return last.test.auroc["embedding", "cosine-knn"]


def row(name: str, draws: list[list[float]]) -> list[str]:
    """Mean over classes of every draw, and over draws of every class, in percent."""
    means = Spread.of([100 * float(np.mean(draw)) for draw in draws])
    classes = [f"{100 * value:.1f}" for value in np.mean(draws, axis=0)]
    return [name, f"{means.median:.1f} ({means.low:.1f}–{means.high:.1f})", str(means.n), *classes]


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", required=True, type=Path, metavar="DIR")
    parser.add_argument("--draws", type=int, default=3, metavar="N")
    parser.add_argument("--image-size", type=int, default=128, metavar="PIXELS")
    parser.add_argument("--digits", type=int, nargs="*", default=[1, 4, 7], metavar="D")
    parser.add_argument("--steps", type=int, default=800, metavar="N", help="from scratch")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args()
    config = TrialConfig(
        method="frozen", norm="none", backbone="efficientnet_lite0", image_size=options.image_size
    )
    encoder = build_method(config).eval().encoder
    machine = describe(torch.device("cpu"))
    cifar = [load_images("cifar10", split, options.data_root) for split in ("train", "test")]
    digits = svhn(options.data_root)
    rows = []
    for name, sets in (("CIFAR-10", cifar), ("SVHN", digits)):
        rows.append(row(name, [frozen(encoder, *sets, draw) for draw in range(options.draws)]))
        print(*rows[-1], flush=True)
    by_digit = []
    for digit in options.digits:
        value = scratch(*digits, digit, options.steps)
        by_digit.append([str(digit), f"{100 * value:.1f}", rows[1][3 + digit]])
        print(*by_digit[-1], flush=True)
    text = "\n\n".join(
        [
            "# Frozen pre-trained features",
            f"Made by `python benchmarks/pretrained.py {' '.join(sys.argv[1:])}`. "
            f"EfficientNet-Lite0 of ImageNet (weights {config.weights_sha256[:12]}...) at "
            f"{options.image_size} pixels, cosine {NEIGHBOURS}-NN on the embedding, {TRAIN} "
            f"training images a class and {TEST:,} test images of all classes in each draw; draws "
            "share no image. AUROC in percent: median of the draws' means over classes (range), "
            "and each class's mean over draws.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            markdown_table(["set", "AUROC", "n", *(f"class {c}" for c in range(10))], rows),
            f"The paper's Table 4 for SVHN, pre-trained: {PAPER}; from scratch: 94.9 (SS(n)), 93.8 "
            "(SC(n)).",
            f"## SVHN from scratch, on a part of it: {options.steps} steps",
            f"SimCLR with f-norm, ResNet-18 of width {SCRATCH['width']}, batch "
            f"{SCRATCH['batch_size']}, no flips, one seed, cosine 1-NN; all training images of the "
            f"digit ({min(np.bincount(digits[0].labels)):,} to "
            f"{max(np.bincount(digits[0].labels)):,}) and all {len(digits[1]):,} test images.",
            markdown_table(["digit", "from scratch", "frozen, above"], by_digit),
        ]
    )
    options.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
