"""Pictures of results: scores of one trial, cells of one study."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import roc_curve

Curves = dict[str, list[dict[int, float]]]
"""Name of a line to one {epoch: value} a trial."""

_NORMAL, _OUTLIER = "#2a7f9e", "#d1495b"


def score_picture(
    test_scores: pa.Table, aurocs: Mapping[str, float], title: str, headline: str = "c-cos"
) -> bytes:
    """A PNG: ROC curves of every scorer, and the score histogram of the headline's.

    ``test_scores`` has a column ``is_outlier`` and one a scorer; ``aurocs`` in [0, 1] by scorer,
    the first of which stands in for a headline that is not among them.
    """
    outlier = test_scores["is_outlier"].to_numpy(zero_copy_only=False).astype(bool)
    shown = headline if headline in aurocs else next(iter(aurocs))
    figure = Figure(figsize=(7.4, 3.5))  # a fixed layout: one that is solved costs a second
    FigureCanvasAgg(figure)
    curves, bars = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.14, top=0.84, wspace=0.16)
    for name, value in aurocs.items():
        false_alarms, hits, _ = roc_curve(outlier, test_scores[name].to_numpy())
        curves.plot(false_alarms, hits, label=f"{name} {100 * value:.1f}")
    curves.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    curves.set(title="ROC, AUROC in %", xlabel="false alarms", ylabel="outliers found")
    curves.legend(frameon=False, fontsize=6, loc="lower right")
    scores = test_scores[shown].to_numpy()
    bins = np.histogram_bin_edges(scores, 40)
    for flag, colour, label in ((False, _NORMAL, "normal"), (True, _OUTLIER, "outlier")):
        heights, _ = np.histogram(scores[outlier == flag], bins, density=True)
        bars.stairs(heights, bins, fill=True, alpha=0.6, color=colour, label=label)
    bars.set(title=shown, xlabel="score", yticks=[])
    bars.spines[["top", "right", "left"]].set_visible(False)
    bars.legend(frameon=False, fontsize=8)
    figure.suptitle(_words(title), fontsize=10)
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
    axes.set_title(_words(title), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title=rows, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return _png(figure)


def curves_picture(panels: Mapping[str, Curves], title: str) -> bytes:
    """A PNG of small multiples over epochs: a thin line a trial, a thick one the mean of a name."""
    figure, axes = _small_multiples(len(panels), across=3, size=(3.9, 2.9), margin=0.8)
    handles = {}
    for (name, curves), axis in zip(panels.items(), axes, strict=True):
        values = [value for lines in curves.values() for line in lines for value in line.values()]
        for index, (label, lines) in enumerate(curves.items()):
            colour = f"C{index}"
            for line in lines:
                axis.plot(list(line), list(line.values()), color=colour, alpha=0.3, linewidth=0.8)
            means = _means(lines)
            handles[label] = axis.plot(
                list(means), list(means.values()), "o-", color=colour, linewidth=2, markersize=3
            )[0]
        axis.set(title=name, xscale="log", xlabel="epoch")
        if min(values) > 0 and max(values) > 30 * min(values):
            axis.set_yscale("log")
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False
    )
    figure.suptitle(_words(title), fontsize=10)
    return _png(figure)


def heat_picture(
    maps: Mapping[str, Mapping[tuple[str, str], float]], columns: Sequence[str], title: str
) -> bytes:
    """A PNG of heat maps of AUROC in [0, 1], each by (column, row); columns in the order given."""
    rows = sorted({row for cells in maps.values() for _, row in cells})
    size = (1.8 + 0.62 * len(columns), 1.2 + 0.33 * len(rows))
    figure, axes = _small_multiples(len(maps), across=2, size=size, margin=0.4)
    for (name, cells), axis in zip(maps.items(), axes, strict=True):
        values = np.array([[100 * cells.get((c, r), np.nan) for c in columns] for r in rows])
        axis.imshow(values, vmin=50, vmax=100, cmap="viridis", aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "white" if value < 80 else "black"
                axis.text(j, i, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=7)
        axis.set_xticks(range(len(columns)), columns, rotation=40, ha="right", fontsize=8)
        axis.set_yticks(range(len(rows)), rows, fontsize=8)
        axis.set_title(name, fontsize=9)
    figure.suptitle(_words(title), fontsize=10)
    return _png(figure)


def scatter_picture(panels: Mapping[str, Sequence[tuple[float, float]]], title: str) -> bytes:
    """A PNG of small multiples: AUROC in [0, 1] (second of a pair) against a value (the first)."""
    figure, axes = _small_multiples(len(panels), across=4, size=(2.8, 2.6), margin=0.5)
    for (name, pairs), axis in zip(panels.items(), axes, strict=True):
        values, aurocs = zip(*pairs, strict=True)
        axis.plot(values, [100 * each for each in aurocs], "o", color=_NORMAL, alpha=0.7)
        axis.set(xlabel=name)
        axis.locator_params(nbins=4)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_words(title), fontsize=9)
    return _png(figure)


def extremes_picture(extremes: pa.Table, zoom: int = 3) -> bytes:
    """A PNG of the images in ``extremes.parquet``: false alarms above misses, worst first."""
    lines = [
        [
            Image.open(io.BytesIO(row["image"])).convert("RGB")
            for row in sorted(extremes.to_pylist(), key=lambda row: row["rank"])
            if row["kind"] == kind
        ]
        for kind in ("false alarm", "miss")
    ]
    width, height = (zoom * side for side in next(line for line in lines if line)[0].size)
    gap = 2 * zoom
    size = (max(map(len, lines)) * (width + gap) + gap, len(lines) * (height + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    for down, line in enumerate(lines):
        for across, image in enumerate(line):
            place = (gap + across * (width + gap), gap + down * (height + gap))
            sheet.paste(image.resize((width, height), Image.Resampling.NEAREST), place)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _small_multiples(
    count: int, *, across: int, size: tuple[float, float], margin: float
) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` axes, at most ``across`` a line, each of this size in inches."""
    columns = min(across, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * lines + margin), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for spare in axes[count:]:
        spare.set_visible(False)
    return figure, axes[:count]


def _means(lines: Sequence[Mapping[int, float]]) -> dict[int, float]:
    epochs = sorted({epoch for line in lines for epoch in line})
    return {e: float(np.mean([line[e] for line in lines if e in line])) for e in epochs}


def _words(text: str) -> str:
    """A text in which Matplotlib finds no formula, whoever wrote it."""
    return text.replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
