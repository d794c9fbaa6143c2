"""The report of the real case: who ranks best, whose threshold holds, who finds what pollutes."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hardware import markdown_table
from real_case_data import DEFECT, DOUBTFUL, NORMAL, Case, Part
from real_case_measures import Draws, interval, percent, points
from real_case_ours import FROZEN, SCRATCH
from real_case_peers import PATCHES, SIDE, Verdict

from nsa_core import auroc
from nsa_core.detector.preset import PASSES
from nsa_core.metrics.ranking import auprc

OURS = (SCRATCH, FROZEN)


@dataclass(frozen=True, eq=False)
class Column:
    """All detectors on one training set of a case.

    Attributes:
        case, state, train: which; ``state`` is "clean" or "polluted".
        verdicts: of each detector.
        folds: scores of the training images by folds, frozen network; of a polluted set alone.
        draws: bootstrap samples of the test.
    """

    case: Case
    state: str
    train: Part
    verdicts: tuple[Verdict, ...]
    folds: np.ndarray | None
    draws: Draws

    @property
    def title(self) -> str:
        """For instance ``screws, clean``."""
        return f"{self.case.name}, {self.state}"

    @cached_property
    def outlier(self) -> np.ndarray:
        """Which test images are defective."""
        return self.case.test.kind == DEFECT

    def auroc(self, verdict: Verdict, rows: np.ndarray | slice = slice(None)) -> float:
        """Of some test images, or all."""
        return auroc(verdict.test[rows], self.outlier[rows])

    def best(self, ours: bool) -> Verdict:
        """The highest AUROC among ours, or among the others."""
        return max((v for v in self.verdicts if (v.name in OURS) == ours), key=self.auroc)


@dataclass(frozen=True)
class Run:
    """How it was made: the time it took in words, passes from scratch, and the rate promised."""

    took: str
    passes: int
    rate: float


def ranking(found: Sequence[Column]) -> str:
    """AUROC by detector and training set; the highest of each is bold."""

    def cell(column: Column, verdict: Verdict) -> str:
        text = percent(
            column.auroc(verdict), interval(lambda r: column.auroc(verdict, r), column.draws)
        )
        first = max(column.verdicts, key=column.auroc)
        return f"**{text}**" if verdict is first else text

    return _by_detector(found, cell)


def winners(found: Sequence[Column]) -> str:
    """The best of ours against the best of the others, on the same bootstrap samples."""
    rows = []
    for column in found:
        own, other = column.best(ours=True), column.best(ours=False)

        def gap(at: np.ndarray | slice, column=column, own=own, other=other) -> float:
            return column.auroc(own, at) - column.auroc(other, at)

        between = interval(gap, column.draws)
        said = "nobody, by these tests" if between[0] <= 0 <= between[1] else ""
        said = said or (own if between[0] > 0 else other).name
        rows.append([column.title, own.name, other.name, points(gap(slice(None)), between), said])
    return markdown_table(["", "best of ours", "best of the others", "difference", "ahead"], rows)


def alarms(found: Sequence[Column]) -> str:
    """Share of normal test images that are flagged, and of defects; for those with a threshold."""

    def cell(column: Column, verdict: Verdict) -> str:
        if verdict.flagged is None:
            return ""
        normal = ~column.outlier
        seen = float(verdict.flagged[normal].mean())
        between = interval(lambda r: float(verdict.flagged[r][normal[r]].mean()), column.draws)
        return f"{percent(seen, between)}; {percent(verdict.flagged[column.outlier].mean())}"

    return _by_detector(found, cell)


def suspects(found: Sequence[Column]) -> str:
    """Average precision of the training scores, where some training images do not belong."""
    polluted = [column for column in found if column.state == "polluted"]

    def precision(column: Column, scores: np.ndarray) -> str:
        sure = column.train.kind != DOUBTFUL
        return percent(auprc(scores[sure], column.train.kind[sure] == DEFECT))

    def share(column: Column) -> str:
        kind = column.train.kind
        return percent((kind == DEFECT).sum() / ((kind == DEFECT) | (kind == NORMAL)).sum())

    rows = [["random order", *map(share, polluted)]]
    folds = [precision(column, column.folds) for column in polluted]
    rows.append([f"{FROZEN}, folds", *folds])
    for index, verdict in enumerate(polluted[0].verdicts):
        name = f"{verdict.name}, left out" if verdict.name in OURS else verdict.name
        rows.append([name, *(precision(c, c.verdicts[index].train) for c in polluted)])
    return markdown_table(["", *(column.case.name for column in polluted)], rows)


def splits(found: Sequence[Column]) -> str:
    """What each case trains on and is tested on."""
    rows = []
    for column in found:
        tested = f"{column.case.test.counts()} in {len(set(column.case.test.group)):,} groups"
        size = "x".join(map(str, column.train.images.shape[2:]))
        rows.append([column.title, size, column.train.counts(), tested, column.case.split])
    return markdown_table(["", "pixels", "trained on", "tested on", "split"], rows)


def report(found: Sequence[Column], machine: dict[str, str], run: Run) -> str:
    """The whole page."""
    paragraphs = [
        "# A real case: tiles, solar cells and screws",
        f"Made by `python benchmarks/real_case.py {' '.join(sys.argv[1:])}` in {run.took}. What it "
        "means is in `docs/real_case.md`.",
        f"Reduced to fit one core: from scratch {run.passes:,} passes of an image (the "
        f"estimator's own are {PASSES:,}); the frozen network (EfficientNet-Lite0, of every "
        f"detector but the first) sees {SIDE} pixels, where ours by itself takes up to 224. n = 1 "
        "fit of each detector with seed 0, "
        "so intervals are of the test images, not of trainings: the middle 95 % of "
        f"{len(found[0].draws):,} bootstrap samples of whole groups, which are runs of "
        "neighbouring tiles and modules of solar cells; every screw is one.",
        markdown_table(["", "this machine"], [[k, v] for k, v in machine.items()]),
        splits(found),
        "## AUROC in percent",
        ranking(found),
        "anomalib's models have its own code and layers, on EfficientNet-Lite0 since the weights "
        "of their usual networks are a download. PatchCore keeps "
        f"{PATCHES:,} patches, chosen by its rule without the random projection.",
        winners(found),
        "Difference in points of AUROC, with its interval on the same samples. The best of each "
        "side was chosen by this very test, of two of ours and of more of the others.",
        f"## False alarms, of which {100 * run.rate:.0f} % were promised",
        "Normal test images flagged, with the interval; then defects flagged: both in percent. "
        "anomalib's thresholds need labelled defects.",
        alarms(found),
        "## Suspects: average precision in percent",
        "Of training images by their scores, polluted sets alone; images that the annotators doubt "
        "are left out. Ours are judged by a scorer that has not seen them (left out) or by one of "
        "other folds; the others' are scores of the training images as they come.",
        suspects(found),
    ]
    return "\n\n".join(paragraphs)


def _by_detector(found: Sequence[Column], cell: Callable[[Column, Verdict], str]) -> str:
    """A row a detector, a column a training set; without detectors that have nothing to say."""
    rows = [
        [verdict.name, *(cell(column, column.verdicts[index]) for column in found)]
        for index, verdict in enumerate(found[0].verdicts)
    ]
    header = ["", *(column.title for column in found)]
    return markdown_table(header, [row for row in rows if any(row[1:])])
