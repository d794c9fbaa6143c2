"""Scores of every layer, their sums over layers, and the versions of both."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nsa_core import scorers
from nsa_core.methods import ENCODER_LAYERS, own_score_versions
from nsa_core.scorers import FeatureSet, LayerEnsemble

ENSEMBLES = {
    "c-cos": (("c-cos",), "quantile"),
    "c-cos-robust": (("c-cos-robust",), "quantile"),
    "k-cos": (("k-cos",), "quantile"),
    "k-cos-literal-c-cos": (("k-cos-literal", "c-cos"), "min-max"),
}
"""Scores of the layer "ensemble": what each encoder layer adds to the sum, and on which scale."""

_SUMMING = 2  # raised when the same parts are summed up otherwise, or scaled by other scores


def fast_and(slow: Collection[str]) -> list[str]:
    """Names of all scorers but those of ``scorers.SLOW``, of which only the given ones."""
    return [name for name in scorers.available() if name not in scorers.SLOW or name in slow]


def score_layers(
    train: Mapping[str, Tensor],
    test: Mapping[str, Tensor],
    layers: tuple[str, ...],
    names: Collection[str] | None = None,
) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """Scores of every layer asked for that there is, by all scorers unless told which, and the
    ensembles whose parts are among them; none without test features. Features stay where they are;
    scorers of one layer share what they learn.
    """
    layers = tuple(layer for layer in layers if layer in test)
    scores, scaled = {}, {}
    for layer in layers:
        learnt, seen = FeatureSet(train[layer]), FeatureSet(test[layer])
        for name in scorers.available() if names is None else names:
            scorer = scorers.build(name).fit(learnt)
            scores[layer, name] = scorer.score(seen)
            if layer in ENCODER_LAYERS and any(name in parts for parts, _ in ENSEMBLES.values()):
                scaled[layer, name] = scorer.leave_one_out(), scores[layer, name]
    for name, (parts, scale) in ENSEMBLES.items():
        keys = [(layer, part) for layer in ENCODER_LAYERS for part in parts]
        if all(key in scaled for key in keys):
            pairs = [scaled[key] for key in keys]
            scores["ensemble", name] = LayerEnsemble(scale=scale).combine(pairs)
    return scores


def score_versions() -> dict[str, int]:
    """Versions of the scores' definitions, by scorer, and by "ensemble/NAME" on that layer: such a
    one rises with each of its parts. Methods' own scores are "method/NAME".
    """
    own = {name: scorers.version(name) for name in scorers.available()}
    sums = {
        f"ensemble/{name}": _SUMMING + sum(own[part] for part in parts)
        for name, (parts, _) in ENSEMBLES.items()
    }
    return own | sums | {f"method/{name}": each for name, each in own_score_versions().items()}
