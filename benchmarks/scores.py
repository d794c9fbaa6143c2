"""k-Cos against a bare matrix product and against other libraries' neighbours; AUROC likewise.

    python benchmarks/scores.py

Peers that are not installed (pyod, pytorch-ood, torchmetrics) are named and left out.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from hardware import Spread, describe, markdown_table, number, number_with_range, seconds_for
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from nsa_core import auroc, scorers

CPU = torch.device("cpu")
OUTPUT = Path(__file__).parent / "results" / "scores.md"
BLOCK = 512
MIB = 2**20

Task = Callable[[], object]


def features(rows: int, dim: int, seed: int) -> Tensor:
    """Like pooled ReLU features: not negative, with a large common mean, float32."""
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=stream).abs_()


def neighbour_tasks(test: Tensor, bank: Tensor, missing: list[str]) -> Iterator[tuple[str, Task]]:
    """Name and task of the bare product, our scores, and every peer's nearest neighbour."""
    unit_test, unit_bank = (x / x.norm(dim=1, keepdim=True) for x in (test, bank))
    columns, out = unit_bank.T.contiguous(), torch.empty(BLOCK, len(bank))

    def product() -> None:
        for block in unit_test.split(BLOCK):
            torch.mm(block, columns, out=out[: len(block)])

    yield "bare matrix product, float32, in blocks", product
    yield "bare matrix product, float32, at once", lambda: unit_test @ columns
    for name in ("k-cos", "k-cos-literal", "cosine-knn", "nearest-mahalanobis"):
        fitted = scorers.build(name).fit(bank)
        yield f"nsa_core {name}", lambda fitted=fitted: fitted.score(test)
    rows, queries = unit_bank.numpy(), unit_test.numpy()
    brute = NearestNeighbors(n_neighbors=1, algorithm="brute", n_jobs=-1).fit(rows)
    yield "scikit-learn brute force, unit vectors", lambda: brute.kneighbors(queries)
    if library := _imported("pytorch_ood.detector", missing):
        detector = library.KNN(None, k=1, algorithm="brute")
        detector.fit_features(unit_bank, torch.zeros(len(bank), dtype=torch.long))
        yield "pytorch-ood KNN, brute", lambda: detector.predict_features(unit_test)
    if library := _imported("pyod.models.knn", missing):
        model = library.KNN(n_neighbors=1, algorithm="brute", n_jobs=-1).fit(rows)
        yield "pyod KNN, brute", lambda: model.decision_function(queries)


def auroc_tasks(count: int, missing: list[str]) -> Iterator[tuple[str, Task]]:
    """Name and task of exact AUROC on scores of which a tenth are ties."""
    stream = np.random.default_rng(0)
    outlier = stream.random(count) < 0.1
    scores = stream.normal(size=count) + outlier
    scores[: count // 10] = scores[: count // 10].round(1)
    if abs(auroc(scores, outlier) - roc_auc_score(outlier, scores)) > 1e-12:
        raise SystemExit("nsa_core and scikit-learn disagree on the AUROC")
    yield "nsa_core auroc", lambda: auroc(scores, outlier)
    yield "scikit-learn roc_auc_score", lambda: roc_auc_score(outlier, scores)
    if library := _imported("torchmetrics.functional.classification", missing):
        share, label = torch.from_numpy(scores).sigmoid(), torch.from_numpy(outlier).int()
        yield "torchmetrics binary_auroc", lambda: library.binary_auroc(share, label)


def _imported(module: str, missing: list[str]) -> object | None:
    try:
        return importlib.import_module(module)
    except ImportError:
        missing.append(module.split(".")[0])
        return None


def timed(tasks: list[tuple[str, Task]], rounds: int) -> list[tuple[str, Spread]]:
    """Every task once a round, so that all see the same machine; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in tasks}
    for index in range(rounds + 1):
        print(f"round {index} of {rounds}", flush=True)
        for name, task in tasks:
            value = seconds_for(task, CPU)
            if index:
                seconds[name].append(value)
    return [(name, Spread.of(values)) for name, values in seconds.items()]


def table(found: list[tuple[str, Spread]]) -> str:
    """Milliseconds, and the ratio of medians to the first row."""
    first = found[0][1].median
    body = [
        [name, number_with_range(each.scaled(1000)), str(each.n), f"{each.median / first:.2f}"]
        for name, each in found
    ]
    return markdown_table(["task", "ms, median (range)", "n", "ratio to the first"], body)


def peak_above_inputs(task: Task) -> float | None:
    """MiB by which the process grew at most during a task; None where Linux does not tell."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        return None
    before = _status("VmRSS")
    task()
    return (_status("VmHWM") - before) / MIB


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {key}")


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("test", 10_000), ("train", 5_000), ("dim", 512), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    parser.add_argument("--scores", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    missing: list[str] = []
    machine = describe(CPU)
    test, bank = (
        features(rows, options.dim, seed) for seed, rows in enumerate((options.test, options.train))
    )
    fitted = scorers.build("k-cos").fit(bank)
    fitted.score(test[:BLOCK])
    grown = peak_above_inputs(lambda: fitted.score(test))
    neighbours = timed(list(neighbour_tasks(test, bank, missing)), options.rounds)
    ranking = timed(list(auroc_tasks(options.scores, missing)), options.rounds)
    memory = "not measured here" if grown is None else f"{number(grown)} MiB"
    text = "\n\n".join(
        [
            "# Scores: k-Cos and AUROC",
            f"Made by `python benchmarks/scores.py {' '.join(sys.argv[1:])}`".rstrip("` ") + "`. "
            "Tasks in turn, round by round; ratios of medians within this run are the result.",
            markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
            f"## Nearest of {options.train:,} for {options.test:,} features of {options.dim}",
            table(neighbours),
            "Scoring alone, fits beforehand. k-Cos also whitens, checks and normalises what it "
            "scores, and computes the angle to the row it finds in float64. Memory of k-Cos above "
            f"its inputs: {memory}.",
            f"## AUROC of {options.scores:,} scores, a tenth of them tied",
            table(ranking),
            f"Not installed, so not compared: {', '.join(sorted(set(missing)))}." * bool(missing),
        ]
    ).strip()
    Path(options.output).write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
