"""Pictures of one trial: how its scores separate normals from outliers."""

import io

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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
