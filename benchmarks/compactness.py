"""Two pictures of why compactness matters, from the embeddings of four trained networks.

    python benchmarks/compactness.py --features DIR

DIR holds a Parquet file a network, two of each method: ``embedding``, ``split``, ``is_outlier``.
Writes the numbers and the pictures that docs/compactness.md shows: how near test images are to the
mean direction of the training set, and what outliers in the fit of c-Cos cost in one network.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hardware import Spread, markdown_table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nsa_core import auroc, kappa
from nsa_core.scorers import CCos

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "benchmarks" / "results" / "compactness.md"
NAMES = {"simsiam": "SimSiam", "simclr": "SimCLR"}
NORMS = {"none": "no norm", "f": "f-norm", "both": "f- and g-norm"}
NORMAL, OUTLIER = "#0072b2", "#d55e00"  # Okabe and Ito's blue and vermilion
LINES = {"SimSiam": "#009e73", "SimCLR": "#0072b2"}
KEPT = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the training set's outliers


@dataclass(frozen=True)
class Network:
    """Embeddings of one training; rows of the training set, and of the test set."""

    method: str
    norm: str
    length: str
    train: NDArray[np.float32]
    polluted: NDArray[np.bool_]
    test: NDArray[np.float32]
    is_outlier: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """As tables and pictures call it."""
        return f"{self.method}, {NORMS[self.norm]}"


def read(path: Path) -> Network:
    """The embeddings of one file; method and norm are in its metadata."""
    table = pq.read_table(path, columns=["embedding", "split", "is_outlier"])
    about = json.loads(table.schema.metadata[b"provenance"])
    config = about["config"]
    flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    rows = flat.reshape(len(table), -1).astype(np.float32)
    train = np.array(table["split"].to_pylist()) == "train"
    flags = table["is_outlier"].to_numpy()
    return Network(
        NAMES[config["method"]], config["norm"],
        f"batch {config['batch_size']}, {about['epochs']} epochs",
        rows[train], flags[train], rows[~train], flags[~train],
    )  # fmt: skip


def cosines(network: Network) -> NDArray[np.float64]:
    """Of test rows [N] with the mean direction of the training set."""
    train, test = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (network.train.astype(np.float64), network.test.astype(np.float64))
    )
    mean = train.mean(axis=0)
    return np.asarray(test @ (mean / np.linalg.norm(mean)))


def polluted_fits(network: Network, draws: int) -> list[Spread]:
    """AUROC in percent of c-Cos fitted with a share of the outliers, for every share in KEPT."""
    normal, outliers = np.flatnonzero(~network.polluted), np.flatnonzero(network.polluted)
    found = []
    for share in KEPT:
        values = []
        for draw in range(draws if 0 < share < 1 else 1):
            order = np.random.default_rng(draw).permutation(outliers)
            rows = np.concatenate([normal, order[: round(share * len(order))]])
            scores = CCos().fit(network.train[rows]).score(network.test)
            values.append(100 * auroc(scores, network.is_outlier))
        found.append(Spread.of(values))
    return found


def draw_directions(networks: list[Network], path: Path) -> None:
    """A histogram a network: cosines of normal test images and of outliers."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    places = figure.subplots(len(networks) // 2, 2, sharex=True, squeeze=False)
    for place, network in zip(places.flat, networks, strict=True):
        values, bins = cosines(network), np.linspace(0.4, 1, 61)
        for name, flag, colour in (("normal", False, NORMAL), ("outlier", True, OUTLIER)):
            place.hist(
                values[network.is_outlier == flag], bins, density=True, alpha=0.55, color=colour,
                label=f"{name} test images",
            )  # fmt: skip
        place.set_title(f"{network.name}: kappa {kappa(network.train):,.0f}", fontsize=10)
        plain(place)
        place.set_yticks([])
    figure.axes[0].legend(fontsize=8, frameon=False, loc="upper left")
    figure.supxlabel("cosine with the mean direction of the training set", fontsize=9)
    figure.savefig(path, dpi=150)


def draw_pollution(networks: list[Network], fits: list[list[Spread]], path: Path) -> None:
    """A panel a method: AUROC against the share of outliers in the fit."""
    methods = list(dict.fromkeys(network.method for network in networks))
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    places = figure.subplots(1, len(methods), squeeze=False)[0]
    for place, method in zip(places, methods, strict=True):
        for network, fit in zip(networks, fits, strict=True):
            if network.method == method:
                place.plot(
                    shares(network), [each.median for each in fit], marker="o", markersize=4,
                    color=LINES[method], linestyle="--" if network.norm == "none" else "-",
                    label=NORMS[network.norm],
                )  # fmt: skip
        place.set_title(method, fontsize=10)
        place.legend(fontsize=8, frameon=False)
        plain(place)
    figure.supxlabel("outliers among the images that c-Cos is fitted on, %", fontsize=9)
    figure.supylabel("test AUROC, %", fontsize=9)
    figure.savefig(path, dpi=150)


def shares(network: Network) -> list[float]:
    """Outliers in percent of the fitted images, for every share in KEPT."""
    normal, outliers = int((~network.polluted).sum()), int(network.polluted.sum())
    counts = [round(share * outliers) for share in KEPT]
    return [100 * count / (normal + count) for count in counts]


def plain(place: Axes) -> None:
    """Small ticks, no frame at the top and the right."""
    place.tick_params(labelsize=8)
    place.spines[["top", "right"]].set_visible(False)


def report(networks: list[Network], fits: list[list[Spread]], draws: int) -> str:
    """The numbers as Markdown."""
    rows = []
    for network, fit in zip(networks, fits, strict=True):
        normal, outliers = network.test[~network.is_outlier], network.test[network.is_outlier]
        rows.append([
            network.name,
            network.length,
            f"{kappa(network.train):,.0f}",
            f"{kappa(normal):,.0f}",
            f"{kappa(outliers[: len(normal)]):,.0f}",
            f"{100 * auroc(-cosines(network), network.is_outlier):.1f}",
            *(f"{each.median:.1f}" for each in fit),
            f"{fit[-1].median - fit[0].median:+.1f}",
        ])  # fmt: skip
    first = networks[0]
    header = ["network", "training", "kappa: training set", "normal test", "outlier test"]
    header += ["cosine alone"]
    header += [f"c-Cos, {share:.1f} %" for share in shares(first)] + ["cost"]
    return "\n\n".join([
        "# Compactness, and what outliers in the fit cost",
        f"Made by `python benchmarks/compactness.py {' '.join(sys.argv[1:])}`. Embeddings of "
        f"{len(networks)} ResNet-18 of width 64, trained on CIFAR-10's automobile with 10 % of "
        f"outliers, one seed each; {len(first.train):,} training rows, "
        f"{int(first.polluted.sum())} of them outliers, and {len(first.test):,} test rows. Kappa "
        "of outliers is of as many rows as there are normal ones. AUROC in percent; c-Cos by the "
        f"share of outliers in its fit, median of {draws} draws where there is a choice of them; "
        "the network is the same in a row.",
        markdown_table(header, rows),
    ])  # fmt: skip


def main() -> int:
    """Measure, draw, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--features", required=True, type=Path, metavar="DIR")
    parser.add_argument("--draws", type=int, default=5, metavar="N")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    parser.add_argument("--pictures", type=Path, default=ROOT / "docs", metavar="DIR")
    options = parser.parse_args()
    networks = [read(path) for path in sorted(options.features.glob("*.parquet"))]
    networks.sort(key=lambda each: (each.method, each.norm != "none"))
    fits = [polluted_fits(network, options.draws) for network in networks]
    draw_directions(networks, options.pictures / "compactness.png")
    draw_pollution(networks, fits, options.pictures / "compactness_pollution.png")
    text = report(networks, fits, options.draws)
    options.output.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
