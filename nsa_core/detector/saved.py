"""A fitted detector as a folder of JSON and safetensors: nothing in it can run.

    detector.json         what it is: versions, parameters, configuration, data, dynamics, digests
    weights.safetensors   the method's weights and buffers
    scorer.safetensors    what the scorer is fit on, calibration scores, rows

The scorer is fit anew on the same features when it is loaded (``nsa_core.detector.loaded``), so
scores are equal to the bit on the same kind of machine.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as as_bytes

import nsa_core
from nsa_core import scorers
from nsa_core.errors import InputError

if TYPE_CHECKING:
    from nsa_core.detector.detector import AnomalyDetector

FORMAT, VERSION = "nsa-detector", 1
ABOUT, WEIGHTS, SCORER = "detector.json", "weights.safetensors", "scorer.safetensors"
LEARNT = ("train_features", "calibration_scores", "train_rows", "calibration_rows", "patches")
"""Tensors of ``SCORER``, and with a "_" at their end attributes of a detector."""


def save(detector: "AnomalyDetector", folder: Path) -> Path:
    """Write a fitted detector; the folder is whole or not there, and replaces an older detector.

    Raises:
        InputError: something else has this name, or it cannot be written.
    """
    if os.path.lexists(folder) and not is_detector(folder):
        raise InputError(f"{folder} exists and is no saved detector; give another name")
    weights = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in detector.method_.state_dict().items()
    }
    learnt = {name: torch.from_numpy(getattr(detector, f"{name}_")) for name in LEARNT}
    files = {WEIGHTS: as_bytes(weights), SCORER: as_bytes(learnt)}
    about = _about(detector, files)
    about["sha256"][ABOUT] = digest_of(about)
    files[ABOUT] = json.dumps(about, indent=1, allow_nan=False).encode()
    try:
        _write(files, folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}") from error
    return folder


def digest_of(about: Mapping[str, Any]) -> str:
    """SHA-256 of a description, but for its own digest in it."""
    digests = {name: each for name, each in about["sha256"].items() if name != ABOUT}
    return hashlib.sha256(json.dumps({**about, "sha256": digests}).encode()).hexdigest()


def _write(files: dict[str, bytes], folder: Path) -> None:
    """Under another name beside it, synced, then renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, older = (
        folder.with_name(f".{folder.name}.{os.getpid()}{end}") for end in ("", ".old")
    )
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a process of this number that was killed
        partial.mkdir()
        for name, content in files.items():
            with (partial / name).open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        if folder.exists():
            folder.rename(older)
        try:
            partial.rename(folder)
        except OSError:
            if older.exists():
                older.rename(folder)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


def is_detector(folder: Path) -> bool:
    """Is it a folder of a detector's files, and of nothing else?"""
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    return names == {ABOUT, WEIGHTS, SCORER} and not folder.is_symlink()


def _about(detector: "AnomalyDetector", files: dict[str, bytes]) -> dict[str, Any]:
    parameters = detector.get_params(deep=False)
    del parameters["device"]  # where it was; loading says where it is to be
    if parameters["augment"] is not None:
        parameters["augment"] = asdict(parameters["augment"])
    if parameters["method_options"] is not None:
        parameters["method_options"] = dict(parameters["method_options"])
    return {
        "format": FORMAT,
        "version": VERSION,
        "nsa_core": nsa_core.__version__,
        "parameters": parameters,
        "scorer_version": scorers.version(detector.scorer),
        "config": detector.config_.to_dict(),
        "image_shape": list(detector.image_shape_),
        "fingerprint": detector.fingerprint_,
        "names": list(detector.names_),
        "dynamics": detector.dynamics_,
        "notes": detector.notes_,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
