"""What a person would take instead, with the same frozen network, and how it would be used there.

All see the whole training set, and none is told what is in it. Where a library promises a rate of
false alarms without labels, by its ``contamination`` or ``nu``, that rate is asked for.
"""

import importlib.metadata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.svm import OneClassSVM
from torch import Tensor, nn

from nsa_core.models.backbone import LITE, backbone_file

SIDE = 128  # pixels that the frozen network sees, of every detector that uses it
LAYERS = ("blocks.2", "blocks.4")  # maps of an 8th and a 16th of the side, as PatchCore's default
PATCHES = 1000  # that PatchCore keeps
PADIM_FEATURES = 100
BATCH = 32

Maps = dict[str, Tensor]
"""Feature maps [N, C, h, w] of anomalib's extractor by layer."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What one detector says, fitted on one training set.

    Attributes:
        name: of the detector.
        test: scores of the test images, higher is more anomalous.
        train: scores of the training images by what was fitted on them.
        flagged: bool, of the test images; None if it has no threshold without labels.
    """

    name: str
    test: np.ndarray
    train: np.ndarray
    flagged: np.ndarray | None


def of_features(train: np.ndarray, test: np.ndarray, rate: float) -> Iterator[Verdict]:
    """Detectors of features [N, d]: pyod's, if it is there, and scikit-learn's OC-SVM."""
    for name, module, kind, options in (
        ("pyod k-NN", "knn", "KNN", {}),
        ("pyod IForest", "iforest", "IForest", {"random_state": 0}),
    ):
        if library := found(f"pyod.models.{module}"):
            model = getattr(library, kind)(contamination=rate, **options).fit(train)
            scores = model.decision_function(test)
            flagged = scores > model.threshold_
            yield Verdict(name, scores, model.decision_scores_, flagged)
    svm = OneClassSVM(nu=rate).fit(train)
    scores, own = -svm.decision_function(test), -svm.decision_function(train)
    yield Verdict("scikit-learn OC-SVM", scores, own, scores > 0)


def of_patches(train: Maps, test: Maps) -> Iterator[Verdict]:
    """anomalib's PaDiM and PatchCore, if it is there."""
    for name, build in (("anomalib PaDiM", _padim), ("anomalib PatchCore", _patchcore)):
        if found("anomalib"):
            network, finish = build()
            _through(network.train(), train)
            finish()
            scores, own = (_through(network.eval(), maps) for maps in (test, train))
            yield Verdict(name, scores, own, None)


@torch.inference_mode()
def maps_of(images: np.ndarray, prepared: Callable[[Tensor], Tensor]) -> Maps:
    """Of uint8 images [N, 1, H, W], prepared as for the encoder; nothing without anomalib."""
    if not found("anomalib"):
        return {}
    extractor = _padim()[0].feature_extractor
    extractor.feature_extractor.load_state_dict(_weights(extractor.feature_extractor))
    blocks = torch.from_numpy(np.ascontiguousarray(images)).split(BATCH)
    maps = [extractor(prepared(block / 255).expand(-1, 3, -1, -1)) for block in blocks]
    return {layer: torch.cat([each[layer] for each in maps]) for layer in LAYERS}


def found(module: str) -> object | None:
    """An imported module, or None if it is not installed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return importlib.import_module(module)
    except ImportError:
        return None


def versions() -> dict[str, str]:
    """Of the peers, by name; of one that is not installed, that."""
    names = ("anomalib", "pyod", "scikit-learn")
    there = {name: found(name.replace("scikit-learn", "sklearn")) for name in names}
    return {
        name: importlib.metadata.version(name) if there[name] else "not installed, left out"
        for name in names
    }


class _Known(nn.Module):
    """In place of an extractor: maps that were made once for all models."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: Maps = {}

    def forward(self, images: Tensor) -> Maps:
        return self.maps


_Model = tuple[nn.Module, Callable[[], object]]


def _padim() -> _Model:
    library = found("anomalib.models.image.padim.torch_model")
    torch.manual_seed(0)  # of the features that it draws
    network = library.PadimModel(f"tf_{LITE}", list(LAYERS), False, PADIM_FEATURES)
    return network, network.fit


def _patchcore() -> _Model:
    library = found("anomalib.models.image.patchcore.torch_model")
    network = library.PatchcoreModel(LAYERS, f"tf_{LITE}", pre_trained=False)

    def choose() -> None:
        patches = torch.vstack(network.embedding_store)
        network.memory_bank = patches[farthest(patches, PATCHES)]
        network.embedding_store.clear()

    return network, choose


def farthest(rows: Tensor, count: int) -> list[int]:
    """Rows [n, d], each the farthest from those before: anomalib's choice, without its projection.

    Its own takes ten times as long, as it copies all rows for each one that it takes.
    """
    squares, nearest = rows.square().sum(dim=1), torch.full((len(rows),), torch.inf)
    chosen = [0]
    while len(chosen) < min(count, len(rows)):
        last = chosen[-1]
        away = squares - 2 * (rows @ rows[last]) + squares[last]
        nearest = torch.minimum(nearest, away)
        nearest[last] = -1
        chosen.append(int(nearest.argmax()))
    return chosen


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """The package's, in timm's names: in the same order, and of a network cut short."""
    state = torch.load(backbone_file(LITE, ""), weights_only=True)
    return dict(zip(network.state_dict(), state.values(), strict=False))


@torch.inference_mode()
def _through(network: nn.Module, maps: Maps) -> np.ndarray:
    """Scores [N] of a fitted model; in training mode the model keeps what it sees."""
    network.feature_extractor = known = _Known()
    count, scores = len(maps[LAYERS[0]]), []
    for start in range(0, count, BATCH):
        known.maps = {layer: each[start : start + BATCH] for layer, each in maps.items()}
        answer = network(torch.empty(len(known.maps[LAYERS[0]]), 3, SIDE, SIDE))
        if not network.training:
            scores.append(answer.pred_score.flatten())
    return torch.cat(scores).numpy() if scores else np.empty(0)
