"""A detector from a folder that may come from anybody: nothing runs, and what is wrong is named."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from torch import Tensor

from nsa_core import scorers
from nsa_core.config import TrialConfig
from nsa_core.detector.described import about_of, described
from nsa_core.detector.detector import AnomalyDetector
from nsa_core.detector.fitting import device_of
from nsa_core.detector.saved import ABOUT, LEARNT, SCORER, WEIGHTS
from nsa_core.errors import InputError, first_line, unknown
from nsa_core.methods import Method
from nsa_core.training import build_method
from nsa_core.training.embedding import embed_batch

_PROGRAMS = (".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth", ".py")
_PICKLES = (b"\x80", b"PK\x03\x04")  # a pickle's first byte, and the archive that torch saves

_Tensors = dict[str, Tensor]


def load(folder: Path, device: str) -> AnomalyDetector:
    """Read a folder that ``AnomalyDetector.save`` wrote.

    Raises:
        InputError: it is none, of another version, not whole, leads elsewhere, or holds what could
            run.
    """
    where = device_of(device)
    _refuse_programs(folder)
    about = about_of(folder / ABOUT, _content(folder / ABOUT))
    weights, learnt = (_tensors(folder, name, about) for name in (WEIGHTS, SCORER))
    try:
        detector = described(about, device)
        _check_learnt(learnt, len(detector.names_))
        for name in LEARNT:
            setattr(detector, f"{name}_", learnt[name].numpy())
        method = _with_weights(detector.config_, weights)
        _check_width(method, detector.layer, detector.train_features_.shape[1])
        detector.method_ = method.to(where).eval()
        features = learnt["train_features"].to(where)
        detector.scorer_ = scorers.build(detector.scorer).fit(features)
        return detector.calibrate(detector.false_alarm_rate)
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # an InputError is the last
        said = f"it has no {error}" if isinstance(error, KeyError) else first_line(error)
        raise InputError(f"{folder} is no detector that can be loaded: {said}") from error


def _refuse_programs(folder: Path) -> None:
    """An InputError if it is no folder, or if a file in it is a link, or could be a program."""
    if not folder.is_dir():
        raise InputError(f"detector {str(folder)!r} does not exist; need a folder of a saved one")
    if not os.path.lexists(folder / ABOUT):
        raise InputError(f"{folder} has no {ABOUT}; need a folder of a saved detector")
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink():
                raise InputError(f"{path} is a link, which a saved detector has none of; remove it")
            if path.name in files and _could_run(path):
                raise InputError(
                    f"{path} could run code; a detector is JSON and safetensors alone, so the "
                    "folder is not loaded: ask who made it, and remove the file"
                )


def _could_run(path: Path) -> bool:
    """Is it a program or a pickle, by its name or its first bytes?"""
    start = _content(path, 9)
    is_safetensors = start[8:] == b"{"  # behind eight bytes of length, the first of which is any
    return path.suffix.lower() in _PROGRAMS or (start.startswith(_PICKLES) and not is_safetensors)


def _content(path: Path, most: int = -1) -> bytes:
    """Of a plain file; no link is followed, and no pipe waited for."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            if not S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise InputError(f"{path} is no plain file; save the detector again")
            return stream.read(most)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); save it again") from error


def _tensors(folder: Path, name: str, about: Mapping[str, Any]) -> _Tensors:
    path, content = folder / name, _content(folder / name)
    digests = about.get("sha256")
    if not isinstance(digests, dict) or hashlib.sha256(content).hexdigest() != digests.get(name):
        raise InputError(f"{path} is not what was saved: cut short or changed; copy it again")
    try:
        tensors: _Tensors = from_bytes(content)
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}); copy it again") from error
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {key} holds NaN or infinity; fit the detector again")
    return tensors


def _check_learnt(learnt: _Tensors, count: int) -> None:
    if set(learnt) != set(LEARNT):
        raise InputError(f"{SCORER} holds {', '.join(sorted(learnt))}; need {', '.join(LEARNT)}")
    features, scores, trained, withheld, patches = (learnt[name] for name in LEARNT)
    kinds = [(each.dtype, each.ndim) for each in learnt.values()]
    rows = torch.cat([trained, withheld]).sort().values
    right = (
        (features.dtype, features.ndim) == (patches.dtype, patches.ndim) == (torch.float32, 2)
        and (scores.dtype, scores.shape) == (torch.float64, withheld.shape)
        and len(features) == len(trained)
        and torch.equal(rows, torch.arange(count))
        and bool((scores.diff() >= 0).all())
    )
    if not right:
        raise InputError(f"{SCORER} does not fit the {count} images it was made of ({kinds})")


def _with_weights(config: TrialConfig, weights: _Tensors) -> Method:
    """The method, once its tensors are known to be those: a width may ask for any memory."""
    with torch.device("meta"):  # shapes alone
        wanted = _shapes(build_method(config, blank=True).state_dict())
    found = _shapes(weights)
    if wrong := sorted(name for name in {**wanted, **found} if wanted.get(name) != found.get(name)):
        raise InputError(f"{WEIGHTS} is not of its configuration: {', '.join(wrong[:3])} differ")
    method = build_method(config, blank=True)
    method.load_state_dict(weights)
    return method


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: each.shape for name, each in state.items()}


def _check_width(method: Method, layer: str, given: int) -> None:
    """Does the layer of the network have as many features, whatever the size of an image?"""
    features = embed_batch(method, torch.zeros(1, 1, 8, 8))
    if layer not in features:
        raise unknown("layer", layer, features)
    if (wanted := features[layer].shape[1]) != given:
        raise InputError(f"{SCORER} has features of {given} numbers; its network gives {wanted}")
