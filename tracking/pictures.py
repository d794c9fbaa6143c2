"""Pictures of results: scores of one trial, cells of one study."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

_NORMAL, _OUTLIER = "#2a7f9e", "#d1495b"


def score_picture(test_scores: pa.Table, aurocs: dict[str, float], title: str) -> bytes:
    """A PNG: ROC curves of every scorer, and the score histogram of each.

    ``test_scores`` has a column ``is_outlier`` and one a scorer; ``aurocs`` in [0, 1] by scorer.
    """
    outlier = test_scores["is_outlier"].to_numpy(zero_copy_only=False).astype(bool)
    names = list(aurocs)
    figure = Figure(figsize=(4.2 + 2.6 * len(names), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(names), width_ratios=[1.6] + [1.0] * len(names))
    for name, axis in zip(names, axes[1:], strict=True):
        scores = test_scores[name].to_numpy()
        false_alarms, hits, _ = roc_curve(outlier, scores)
        axes[0].plot(false_alarms, hits, label=f"{name} {100 * aurocs[name]:.1f}")
        bins = np.histogram_bin_edges(scores, 40)
        for flag, colour, label in (
            (False, _NORMAL, "normal"),
            (True, _OUTLIER, "outlier"),
        ):
            axis.hist(
                scores[outlier == flag], bins, density=True, alpha=0.6, color=colour, label=label
            )
        axis.set(title=name, xlabel="score", yticks=[])
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[1].legend(frameon=False, fontsize=8)
    axes[0].plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes[0].set(title="ROC, AUROC in %", xlabel="false alarms", ylabel="outliers found")
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(title, fontsize=10)
    return _png(figure)


def cells_picture(
    cells: Mapping[str, Mapping[str, Sequence[float]]], rows: str, columns: str, title: str
) -> bytes:
    """A PNG of a study's table: a dot a trial, a bar for the mean of its cell.

    ``cells`` gives AUROC in [0, 1] by column value, then by row value.
    """
    levels = list(dict.fromkeys(row for column in cells.values() for row in column))
    figure = Figure(figsize=(2.2 + 0.55 * len(levels) * len(cells), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    width = 0.8 / len(levels)
    for index, row in enumerate(levels):
        colour = f"C{index}"
        for place, column in enumerate(cells.values()):
            values = 100 * np.asarray(column.get(row, ()))
            centre = place + (index - (len(levels) - 1) / 2) * width
            if len(values):
                axes.bar(centre, values.mean(), width * 0.9, color=colour, alpha=0.45)
                spots = centre + width * 0.25 * np.linspace(-1, 1, len(values) + 2)[1:-1]
                axes.plot(spots, values, "o", color=colour, markersize=4)
        axes.bar(0, 0, color=colour, alpha=0.45, label=row)
    lowest = min((min(v) for c in cells.values() for v in c.values() if len(v)), default=0.5)
    axes.set_ylim(max(0.0, 100 * lowest - 10), 100)
    axes.set_xticks(range(len(cells)), list(cells))
    axes.set(xlabel=columns, ylabel="AUROC in %")
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title=rows, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
