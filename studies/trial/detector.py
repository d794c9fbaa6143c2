"""The detector that a trial has trained: its encoder, a scorer and a threshold, as one graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nsa_core import InputError, OneClassSplit, TrialConfig, scorers
from nsa_core.detector import conformal
from nsa_core.detector.onnx_file import onnx_model
from nsa_core.methods import Method
from nsa_core.scorers import Scorer
from nsa_core.training import build_method, embed
from nsa_core.training.checkpoint import load_checkpoint
from studies.trial.data import split_of
from tracking import TrialRecord

FALSE_ALARM_RATE = 0.05

_LAYER = "embedding"
_EXAMPLES = 2
_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class TrialDetector:
    """A trial's detector.

    Attributes:
        graph: an ``onnx.ModelProto``.
        examples: uint8 [2, C, H, W], of the training split.
        about: what the model's metadata says of it.
    """

    graph: Any
    examples: npt.NDArray[np.uint8]
    about: dict[str, Any]


def trained_detector(record: TrialRecord, scorer_name: str, data_root: str | None) -> TrialDetector:
    """A finished trial's encoder, with a scorer on its embedding and a threshold.

    Raises:
        InputError: the data or the checkpoint is not there, or is not that of the trial; an
            unknown scorer, or a package of ONNX is missing.
    """
    definition = record.definition()
    config = TrialConfig.from_dict(definition["config"])
    split = split_of(config, data_root, definition["data_fingerprint"])
    state = load_checkpoint(record.checkpoint, config.canonical(), split.fingerprint)
    if state is None:
        raise InputError(f"{record.checkpoint} does not exist; train the trial again")
    method = build_method(config)
    method.load_state_dict(state["method"])
    method.to(memory_format=torch.contiguous_format)
    scorer = scorers.build(scorer_name).fit(embed(method, split.train_images, _CPU)[_LAYER])
    threshold, calibrated_by = _threshold(method, scorer, split)
    shape = split.train_images.shape[1:]
    about = {
        "trial": record.trial_id,
        "layer": _LAYER,
        "scorer": scorer_name,
        "false_alarm_rate": FALSE_ALARM_RATE,
        "calibrated_by": calibrated_by,
    }
    graph = onnx_model(method, _LAYER, scorer, shape, nn.Identity(), threshold, about=about)
    return TrialDetector(graph, np.ascontiguousarray(split.train_images[:_EXAMPLES]), about)


def _threshold(method: Method, scorer: Scorer, split: OneClassSplit) -> tuple[float, str]:
    """The threshold, and by which images; nothing of the test split has a part in it."""
    if split.held_out is not None:
        withheld = split.held_out.images[~split.held_out.is_outlier]
        if conformal.is_promised(len(withheld), FALSE_ALARM_RATE):
            scores = scorer.score(embed(method, withheld, _CPU)[_LAYER])
            return conformal.threshold(scores, FALSE_ALARM_RATE), "withheld images"
    return conformal.threshold(
        scorer.leave_one_out(), FALSE_ALARM_RATE
    ), "training images, left out"
