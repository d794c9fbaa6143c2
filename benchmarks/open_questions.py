"""What trained networks say about details of the scores that the paper leaves open.

Takes the checkpoints of finished trials, embeds their images again, and scores them with every
variant of centring, normalisation, covariance, ensemble and robust fit:

    python studies/score_ablation.py --preset small --store results/fashion
    python benchmarks/open_questions.py results/fashion [MORE STORES] [--data-root DIR]
"""

import argparse
import itertools
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from hardware import describe, markdown_table
from torch import Tensor

from nsa_core import TrialConfig, auroc, load_images, one_class_split
from nsa_core.methods import ENCODER_LAYERS
from nsa_core.scorers import (
    CCos,
    CosineKNN,
    KCos,
    LayerEnsemble,
    Scorer,
)
from nsa_core.scorers.layer_ensemble import SCALES
from nsa_core.training import build_method, embed
from nsa_core.training.checkpoint import load_checkpoint
from tracking import TrialRecord, open_store

Layers = Mapping[str, Tensor]
OUTPUT = Path(__file__).parent / "results" / "open_questions.md"

k_cos_centred = partial(KCos, center=True)
PARTS = {
    "c-cos": (CCos,),
    "k-cos": (KCos,),
    "k-cos and c-cos": (KCos, CCos),
    "Eq. 2 to the letter and c-cos": (partial(KCos, center=True, covariance="empirical"), CCos),
    "c-cos, student-t": (partial(CCos, covariance="student-t"),),
}


@dataclass(frozen=True)
class Variant:
    """One way to score; compared with the first of its question.

    Attributes:
        question: heading of its table.
        name: row of the table.
        score: features of training and test images by layer to test scores.
    """

    question: str
    name: str
    score: Callable[[Layers, Layers], np.ndarray]


def variants() -> Iterator[Variant]:
    """Every variant, question by question, the default first."""
    for scorer, make in (("k-cos", KCos), ("c-cos", CCos)):
        for center, normalize in itertools.product((False, True), (True, False)):
            name = f"{_centred(center)}, {_normalised(normalize)}"
            score = _on(make, center=center, normalize=normalize)
            yield Variant(f"Centred or not, normalised or not: {scorer}", name, score)
    literal = _on(KCos, center=True, covariance="empirical")
    yield Variant("Centred or not, normalised or not: k-cos", "Eq. 2 to the letter", literal)
    for scorer, make in (("k-cos", KCos), ("c-cos", CCos), ("k-cos centred", k_cos_centred)):
        question = f"Covariance: {scorer}"
        for covariance in ("ledoit-wolf", "empirical", "pinv", "student-t"):
            yield Variant(question, covariance, _on(make, covariance=covariance))
        for floor in (1e-8, 1e-4, 1e-2):
            name = f"empirical, floor {floor:g}"
            yield Variant(question, name, _on(make, covariance="empirical", floor=floor))
    scales = sorted(SCALES, key=lambda scale: scale != "quantile")
    for scale, (parts, makers) in itertools.product(scales, PARTS.items()):
        ensemble = partial(_ensemble, ENCODER_LAYERS, makers, scale)
        yield Variant("Ensemble of 5 maps", f"{parts}, {scale}", ensemble)
    for maps in (5, 4, 3, 2, 1):
        ensemble = partial(_ensemble, ENCODER_LAYERS[-maps:], (CCos,), "quantile")
        yield Variant("Maps of the ensemble: c-cos, quantile", f"the last {maps}", ensemble)
    for k in (1, 5, 20, 100):
        yield Variant("Neighbours: cosine-knn", f"k = {k}", _on(CosineKNN, k=k))


def _on(make: Callable[..., Scorer], **options: object) -> Callable[[Layers, Layers], np.ndarray]:
    """The scorer on the embedding."""
    return lambda train, test: make(**options).fit(train["embedding"]).score(test["embedding"])


def _ensemble(
    layers: tuple[str, ...],
    scorers: tuple[Callable[[], Scorer], ...],
    scale: str,
    train: Layers,
    test: Layers,
) -> np.ndarray:
    fitted = LayerEnsemble(scorers, scale).fit([train[layer] for layer in layers])
    return fitted.score([test[layer] for layer in layers])


def _centred(center: bool) -> str:
    return "centred" if center else "un-centred"


def _normalised(normalize: bool) -> str:
    return "of unit features" if normalize else "of raw features"


def embedded(record: TrialRecord, data_root: str | None) -> tuple[Layers, Layers, np.ndarray]:
    """Training and test features by layer of a finished trial, and its test flags."""
    config = TrialConfig.from_dict(record.definition()["config"])
    split = one_class_split(
        load_images(config.dataset, "train", data_root),
        load_images(config.dataset, "test", data_root),
        config.normal_class,
        config.pollution,
        config.seed,
    )
    state = load_checkpoint(record.checkpoint, config.canonical(), split.fingerprint)
    if state is None:
        raise SystemExit(f"{record.checkpoint} is gone; train the trial again")
    method = build_method(config)
    method.load_state_dict(state["method"])
    train, test = (
        embed(method, images, torch.device("cpu"))
        for images in (split.train_images, split.test_images)
    )
    return train, test, split.test_is_outlier


def report(found: Mapping[tuple[str, str], Mapping[str, list[float]]], note: str) -> str:
    """A table a question: variants by arms, AUROC in %, and the difference to the first."""
    parts = ["# Open questions of the scores, measured", note]
    for question in dict.fromkeys(question for question, _ in found):
        names = [name for each, name in found if each == question]
        arms = list(found[question, names[0]])
        first = {arm: np.array(found[question, names[0]][arm]) for arm in arms}
        body = []
        for name in names:
            values = {arm: np.array(found[question, name][arm]) for arm in arms}
            cells = [f"{100 * values[arm].mean():.2f}" for arm in arms]
            gaps = 100 * np.concatenate([values[arm] - first[arm] for arm in arms])
            error = f" ± {gaps.std(ddof=1) / np.sqrt(len(gaps)):.2f}" if len(gaps) > 1 else ""
            body.append([name, *cells, f"{gaps.mean():+.2f}{error}" if body else ""])
        parts.append(f"## {question}")
        header = ["variant", *arms, "difference to the first"]
        parts.append(markdown_table(header, body))
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Measure every variant on every finished trial of the stores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stores", nargs="+")
    parser.add_argument("--data-root", metavar="DIR", help="folder that holds the data sets")
    parser.add_argument("--output", default=str(OUTPUT), metavar="FILE")
    options = parser.parse_args()
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[str, int] = defaultdict(int)
    started = time.monotonic()
    for store in map(open_store, options.stores):
        rows = store.trials().to_pylist()
        finished = [row for row in rows if row["status"] == "finished"]
        for index, row in enumerate(finished):
            arm = f"{row['dataset']} {row['norm']} p={row['pollution']:g}"
            train, test, flags = embedded(store.trial(row["trial_id"]), options.data_root)
            for variant in variants():
                value = auroc(variant.score(train, test), flags)
                found[variant.question, variant.name][arm].append(value)
            counts[arm] += 1
            passed = time.monotonic() - started
            print(f"{store.root.name}: {index + 1} of {len(finished)}, {passed:.0f} s", flush=True)
    machine = describe(torch.device("cpu"))
    note = (
        "AUROC in %, mean over the networks of an arm; the last column is the mean difference to "
        "the first row over all networks, with its standard error. Networks: "
        + "; ".join(f"{arm}: {count}" for arm, count in counts.items())
        + f".\n\nCommand: `python benchmarks/open_questions.py {' '.join(sys.argv[1:])}`. "
        f"{machine['CPU']}; torch {machine['torch']}; {machine['date']}."
    )
    Path(options.output).write_text(report(found, note))
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
