"""A training on images without labels, and what is kept of it: the method and its signals."""

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nsa_core.config import TrialConfig
from nsa_core.data import OneClassSplit
from nsa_core.errors import InputError
from nsa_core.methods import Method
from nsa_core.training import Evaluation, Pulse, build_method, train
from nsa_core.training.checkpoint import load_checkpoint


class _Kept:
    """The checkpoint of a training, in memory."""

    def __init__(self) -> None:
        self._content = b""

    def exists(self) -> bool:
        return bool(self._content)

    def read_bytes(self) -> bytes:
        return self._content

    def write_bytes(self, data: bytes) -> None:
        self._content = data


def fitted(
    config: TrialConfig,
    images: npt.NDArray[np.uint8],
    fingerprint: str,
    device: torch.device,
    on_epoch: Callable[[Pulse], None] | None = None,
) -> tuple[Method, list[dict[str, Any]]]:
    """The method, trained on uint8 images [N, C, H, W], and a row of signals an evaluated epoch.

    Raises:
        InputError, DivergedError: as ``train`` does.
    """
    nothing = np.zeros(0, dtype=np.int64)
    split = OneClassSplit(
        train_images=images,
        is_pollution=np.zeros(len(images), dtype=np.bool_),
        train_indices=np.arange(len(images)),
        test_images=images[:0],
        test_is_outlier=nothing.astype(np.bool_),
        test_in_training=nothing,
        normal_class=0,
        fingerprint=fingerprint,
    )
    kept = _Kept()
    evaluations = train(config, split, device, kept, math.inf, on_epoch)
    dynamics = [signals_of(evaluation) for evaluation in evaluations]
    state = load_checkpoint(kept, config.canonical(), fingerprint)
    assert state is not None  # every training ends with an evaluation, after which it is written
    method = build_method(config).to(device)
    method.load_state_dict(state["method"])
    if dynamics[-1]["collapsed"]:
        warnings.warn(
            "the training collapsed: all images look alike to the encoder, and scores mean little; "
            "use norm='both', another method, more epochs or a backbone",
            stacklevel=3,
        )
    return method.eval(), dynamics


def signals_of(evaluation: Evaluation) -> dict[str, Any]:
    """Plain numbers by name: "kappa" is the embedding's, "projection_kappa" the projection's."""
    signals = evaluation.signals
    spaces = (("", signals.embedding), ("projection_", signals.projection))
    geometry = {
        f"{prefix}{name}": value if math.isfinite(value) else None  # kappa, where all are equal
        for prefix, space in spaces
        for name, value in asdict(space).items()
    }
    return {
        "epoch": evaluation.epoch,
        "step": evaluation.step,
        "loss": signals.loss,
        "collapsed": signals.collapsed,
        **geometry,
    }


def device_of(name: str) -> torch.device:
    """The device of this name; "auto" is a GPU where there is one.

    Raises:
        InputError: another name, or a GPU that torch does not see.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    try:
        found = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device is {name!r}; need auto, cpu or cuda") from error
    if found.type not in ("cpu", "cuda"):
        raise InputError(f"device is {name!r}; need auto, cpu or cuda")
    if found.type == "cuda" and (found.index or 0) >= gpus:
        raise InputError(f"device is {name!r}, and torch sees {gpus} GPUs here; need auto or cpu")
    return found
