"""What trained networks say about details of the scores that the paper leaves open.

Takes the checkpoints of finished trials, embeds their images again, and scores them with every
variant of centring, normalisation, covariance, ensemble and robust fit:

    python studies/score_ablation.py --preset small --store results/fashion
    python benchmarks/open_questions.py results/fashion [MORE STORES] [--data-root DIR]
"""

import argparse
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
    Mahalanobis,
    NearestMahalanobis,
    OneClassSVM,
    Scorer,
    Trimmed,
)
from nsa_core.training import build_method, embed
from nsa_core.training.checkpoint import load_checkpoint
from tracking import TrialRecord, open_store

Layers = Mapping[str, Tensor]
OUTPUT = Path(__file__).parent / "results" / "open_questions.md"

k_cos_uncentred = partial(KCos, center=False)
MAPS = {
    "5 maps": ENCODER_LAYERS,
    "4 maps": ENCODER_LAYERS[1:],
    "2 maps": ENCODER_LAYERS[3:],
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
        literal = scorer == "k-cos"
        for center in (literal, not literal):
            for normalize in (True, False):
                name = f"{scorer} {_centred(center)} {_normalised(normalize)}"
                make_one = partial(make, center=center, normalize=normalize)
                yield Variant(f"Centred or not, normalised or not: {scorer}", name, _on(make_one))
    for normalize in (True, False):
        name = f"mahalanobis {_normalised(normalize)}"
        yield Variant("Normalised or not: mahalanobis", name, _on(Mahalanobis, normalize=normalize))
    for scorer, make in (
        ("k-cos", KCos),
        ("k-cos-uncentred", k_cos_uncentred),
        ("c-cos", CCos),
        ("nearest-mahalanobis", NearestMahalanobis),
    ):
        question = f"Covariance: {scorer}"
        for floor in (1e-6, 1e-8, 1e-4, 1e-3, 1e-2, 1e-1):
            yield Variant(question, f"empirical, floor {floor:g}", _on(make, floor=floor))
        for covariance in ("ledoit-wolf", "pinv"):
            yield Variant(question, covariance, _on(make, covariance=covariance))
    for span in ("min-max", "quantile"):
        for maps, layers in MAPS.items():
            for parts, scorers in (
                ("k-cos and c-cos", (KCos, CCos)),
                ("k-cos", (KCos,)),
                ("c-cos", (CCos,)),
                ("k-cos-uncentred", (k_cos_uncentred,)),
                ("k-cos-uncentred and c-cos", (k_cos_uncentred, CCos)),
            ):
                if span == "min-max" or maps == "5 maps":
                    ensemble = partial(_ensemble, layers, scorers, span)
                    yield Variant("Ensemble", f"{parts}, {maps}, {span}", ensemble)
    for scorer, make in (
        ("c-cos", CCos),
        ("k-cos-uncentred", k_cos_uncentred),
        ("nearest-mahalanobis", NearestMahalanobis),
        ("cosine-knn", CosineKNN),
    ):
        question = f"Robust fit: {scorer}"
        yield Variant(question, scorer, _on(make))
        for keep in (0.95, 0.9, 0.8, 0.7, 0.5):
            trimmed = partial(Trimmed, make, keep)
            yield Variant(question, f"trimmed, keep {keep:g}", _on(trimmed))
    for k in (1, 5, 20, 50, 100):
        yield Variant("Neighbours: cosine-knn", f"k = {k}", _on(CosineKNN, k=k))
    for nu in (0.5, 0.1, 0.01):
        yield Variant("nu: oc-svm", f"nu = {nu:g}", _on(OneClassSVM, nu=nu))


def _on(make: Callable[..., Scorer], **options: object) -> Callable[[Layers, Layers], np.ndarray]:
    """The scorer on the embedding."""
    return lambda train, test: make(**options).fit(train["embedding"]).score(test["embedding"])


def _ensemble(
    layers: tuple[str, ...],
    scorers: tuple[Callable[[], Scorer], ...],
    span: str,
    train: Layers,
    test: Layers,
) -> np.ndarray:
    fitted = LayerEnsemble(scorers, span).fit([train[layer] for layer in layers])
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
            error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
            change = "" if name == names[0] else f"{gaps.mean():+.2f} ± {error:.2f}"
            body.append([name, *cells, change])
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
        + f".\n\nCommand: `python benchmarks/open_questions.py {' '.join(options.stores)}`. "
        f"{machine['CPU']}; torch {machine['torch']}; {machine['date']}."
    )
    Path(options.output).write_text(report(found, note))
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
