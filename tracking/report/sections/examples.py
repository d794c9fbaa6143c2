"""Single trials: scores and ROC of the best, the median and the worst, and their worst mistakes."""

import numpy as np
import pyarrow as pa

from tracking.files.place import StorePath
from tracking.files.read import read_any_parquet
from tracking.report.blocks import Block, Image, Images, Picture, Pictures, Section, Text
from tracking.report.cells import describe
from tracking.report.mistakes import mistakes
from tracking.report.numbers import percent
from tracking.report.render.pictures import histogram, roc
from tracking.report.results import Results
from tracking.report.trials import Trial

_TITLES = {
    "false alarm": "Worst false alarms: normal test images with the highest scores",
    "miss": "Worst misses: outliers with the lowest scores",
}


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
        DamagedFileError: the file is damaged.
    """
    if not path.exists():
        return None
    table = read_any_parquet(path)
    return table.select(columns) if set(columns) <= set(table.column_names) else None


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
                histogram(scores, outlier, results.headline),
                f"{name}: histogram of {np.sum(~outlier)} normal and {np.sum(outlier)} outlying "
                f"test images; medians {np.median(scores[~outlier]):.3g} and "
                f"{np.median(scores[outlier]):.3g}.",
            ),
            Picture(
                f"{rank} roc", roc({"": scores}, outlier), f"{name}: ROC curve, AUROC {auroc} %."
            ),
        ],
    )


def _with_extremes(results: Results, chosen: list[Trial]) -> list[Trial]:
    """Those chosen trials that kept images, else the best one that did."""
    kept = [trial for trial in chosen if (trial.folder / "extremes.parquet").exists()]
    others = [t for t in results.finished if (t.folder / "extremes.parquet").exists()]
    return kept or sorted(others, key=lambda t: -(t.final(results.headline) or 0.0))[:1]


def _mistakes(results: Results, trial: Trial) -> list[Block]:
    path = trial.folder / "extremes.parquet"
    blocks: list[Block] = []
    for kind, found in mistakes(path).items():
        images = [
            Image(
                name=f"{trial.trial_id} {kind} {each.rank}",
                png=each.image,
                alt=f"{kind}, rank {each.rank}: test image {each.row} of class "
                f"{each.class_name}, score {each.score:.3g}",
                lines=(each.class_name, f"{each.score:.3g}"),
            )
            for each in found
        ]
        if images:
            title = f"{_TITLES[kind]}. {describe(results, trial)} ({trial.trial_id})."
            blocks.append(Images(title, images))
    return blocks
