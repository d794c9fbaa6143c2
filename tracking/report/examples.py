"""Single trials: scores and ROC of the best, the median and the worst, and their worst mistakes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from tracking.errors import StoreError
from tracking.report.blocks import Block, Image, Images, Picture, Pictures, Section, Text
from tracking.report.cells import label
from tracking.report.charts import BOTTOM, LEFT, RIGHT, TOP, Axis, Panel
from tracking.report.numbers import percent
from tracking.report.results import Results, Trial
from tracking.storage import StorePath

KINDS = {
    "false alarm": "Worst false alarms: normal test images with the highest scores",
    "miss": "Worst misses: outliers with the lowest scores",
}
_MOST_IMAGES = 12
_BINS = 40


def describe(results: Results, trial: Trial) -> str:
    """Arm, class and seed of a trial in words."""
    fields = [name for name in [*results.rows, results.column] if name]
    arm = label(fields, tuple(trial.value(name) for name in fields)) if fields else ""
    return ", ".join(
        filter(None, [arm, f"class {trial.class_name}", f"seed {trial.value('seed')}"])
    )


def examples(results: Results) -> Section | None:
    """Pictures of chosen trials; None where no trial has finished."""
    chosen = _chosen(results)
    blocks: list[Block] = []
    for rank, trial in chosen.items():
        title = f"{rank}: {describe(results, trial)} ({trial.trial_id})"
        table = _read(trial.folder / "test_scores.parquet", ["is_outlier", results.headline])
        if table is None:
            blocks.append(Text(f"{title} has no scores of single images in the store."))
        else:
            blocks.append(_scores(results, rank, trial, title, table))
    for trial in _with_extremes(results, list(chosen.values())):
        blocks.extend(_mistakes(results, trial))
    return Section("Single trials", blocks) if blocks else None


def _chosen(results: Results) -> dict[str, Trial]:
    """The best, the median and the worst finished trial by the headline, each once."""
    ranked = sorted(
        results.finished, key=lambda t: (t.final(results.headline) or 0.0, t.trial_id), reverse=True
    )
    if not ranked:
        return {}
    places = {"Best": 0, "Worst": len(ranked) - 1, "Median": (len(ranked) - 1) // 2}
    by_place = {place: rank for rank, place in reversed(places.items())}
    return {by_place[place]: ranked[place] for place in sorted(by_place)}


def _read(path: StorePath, columns: list[str]) -> pa.Table | None:
    """An artifact's columns; None if the file or a column is not there.

    Raises:
        StoreError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        file = pq.ParquetFile(pa.BufferReader(path.read_bytes()))
        return file.read(columns) if set(columns) <= set(file.schema_arrow.names) else None
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{path} cannot be read ({error}); move it away to go on") from error


def _scores(results: Results, rank: str, trial: Trial, title: str, table: pa.Table) -> Block:
    outlier = table["is_outlier"].to_numpy().astype(bool)
    scores = table[results.headline].to_numpy().astype(np.float64)
    if not np.isfinite(scores).all() or outlier.all() or not outlier.any():
        return Text(f"{title} has scores that cannot be drawn: not finite, or of one kind alone.")
    auroc = percent(trial.final(results.headline))
    name = f"{rank} trial, {results.headline}"
    return Pictures(
        f"{title}: AUROC {auroc} %. The outermost bars hold what lies beyond.",
        [
            Picture(
                f"{rank} scores",
                _histogram(scores, outlier, results.headline).svg(y_ticks=False),
                f"{name}: histogram of {np.sum(~outlier)} normal and {np.sum(outlier)} outlying "
                f"test images; medians {np.median(scores[~outlier]):.3g} and "
                f"{np.median(scores[outlier]):.3g}.",
            ),
            Picture(f"{rank} roc", _roc(scores, outlier), f"{name}: ROC curve, AUROC {auroc} %."),
        ],
    )


def _histogram(scores: NDArray[np.float64], outlier: NDArray[np.bool_], scorer: str) -> Panel:
    low, high = np.quantile(scores, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    heights = [
        np.histogram(np.clip(scores[outlier == flag], low, high), edges, density=True)[0]
        for flag in (False, True)
    ]
    x = Axis(float(edges[0]), float(edges[-1]), LEFT, RIGHT)
    y = Axis(0.0, float(max(each.max() for each in heights)), BOTTOM, TOP)
    panel = Panel("Scores of test images, density", x, y, scorer)
    for index, name in enumerate(("normal", "outliers")):
        panel.bars(edges.tolist(), heights[index].tolist(), index, name)
    return panel


def _roc(scores: NDArray[np.float64], outlier: NDArray[np.bool_]) -> str:
    alarms, hits, _ = roc_curve(outlier, scores)
    kept = np.unique(np.searchsorted(alarms + hits, np.linspace(0, 2, 200)).clip(0, len(hits) - 1))
    unit = Axis(0.0, 100.0, LEFT, RIGHT), Axis(0.0, 100.0, BOTTOM, TOP)
    panel = Panel("ROC: outliers found, in %", *unit, "false alarms in %")
    panel.diagonal()
    panel.line([(100 * float(alarms[i]), 100 * float(hits[i])) for i in kept], 0)
    return panel.svg()


def _with_extremes(results: Results, chosen: list[Trial]) -> list[Trial]:
    """Those chosen trials that kept images, else the best one that did."""
    kept = [trial for trial in chosen if (trial.folder / "extremes.parquet").exists()]
    others = [t for t in results.finished if (t.folder / "extremes.parquet").exists()]
    return kept or sorted(others, key=lambda t: -(t.final(results.headline) or 0.0))[:1]


def _mistakes(results: Results, trial: Trial) -> list[Block]:
    columns = ["kind", "rank", "row", "score", "class_name", "image"]
    table = _read(trial.folder / "extremes.parquet", columns)
    if table is None:
        return []
    blocks: list[Block] = []
    for kind, title in KINDS.items():
        rows = [row for row in table.to_pylist() if row["kind"] == kind]
        images = [
            Image(
                name=f"{trial.trial_id} {kind} {row['rank']}",
                png=row["image"],
                alt=f"{kind}, rank {row['rank']}: test image {row['row']} of class "
                f"{row['class_name']}, score {row['score']:.3g}",
                lines=(str(row["class_name"]), f"{row['score']:.3g}"),
            )
            for row in sorted(rows, key=lambda row: row["rank"])[:_MOST_IMAGES]
        ]
        if images:
            blocks.append(
                Images(f"{title}. {describe(results, trial)} ({trial.trial_id}).", images)
            )
    return blocks
