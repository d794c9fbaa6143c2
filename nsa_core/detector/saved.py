"""A fitted detector as a folder of JSON and safetensors: nothing in it can run.

    detector.json         what it is: versions, parameters, configuration, data, dynamics, digests
    weights.safetensors   the method's weights and buffers
    scorer.safetensors    the training features that the scorer is fit on, calibration scores, rows

Loading fits the scorer anew on the same features, so scores are the same to the bit on the same
kind of machine.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of

import nsa_core
from nsa_core import scorers
from nsa_core.augment import Augmentation
from nsa_core.config import TrialConfig
from nsa_core.errors import InputError

if TYPE_CHECKING:
    from nsa_core.detector.detector import AnomalyDetector

FORMAT = "nsa-detector"
VERSION = 1
ABOUT, WEIGHTS, SCORER = "detector.json", "weights.safetensors", "scorer.safetensors"


def save(detector: "AnomalyDetector", folder: Path) -> Path:
    """Write a fitted detector; the folder is whole or not there, and replaces an older detector.

    Raises:
        InputError: there is something else of that name.
    """
    if os.path.lexists(folder) and not is_detector(folder):
        raise InputError(f"{folder} exists and is not a detector; give another name")
    weights = {name: each.contiguous() for name, each in detector.method_.state_dict().items()}
    learnt = {
        "train_features": torch.from_numpy(detector.train_features_),
        "calibration_scores": torch.from_numpy(detector.calibration_scores_),
        "train_rows": torch.from_numpy(detector.train_rows_),
        "calibration_rows": torch.from_numpy(detector.calibration_rows_),
    }
    files = {WEIGHTS: bytes_of(weights), SCORER: bytes_of(learnt)}
    files[ABOUT] = json.dumps(_about(detector, files), indent=1, allow_nan=False).encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in files.items():
            with (partial / name).open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        partial.chmod(0o755)
        _exchange(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _exchange(partial: Path, folder: Path) -> None:
    """Put a whole folder in the place of an older one."""
    if folder.exists():
        older = partial.with_name(f"{partial.name}.older")
        folder.rename(older)
        partial.rename(folder)
        shutil.rmtree(older)
    else:
        partial.rename(folder)


def is_detector(folder: Path) -> bool:
    """Does the folder hold nothing but a detector?"""
    known = {ABOUT, WEIGHTS, SCORER}
    is_folder = folder.is_dir() and not folder.is_symlink()
    return is_folder and {each.name for each in folder.iterdir()} == known


def _about(detector: "AnomalyDetector", files: dict[str, bytes]) -> dict[str, Any]:
    parameters = detector.get_params()
    del parameters["device"]
    if isinstance(parameters["augment"], Augmentation):
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
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }


def load(folder: Path, device: str) -> "AnomalyDetector":
    """Read a detector.

    Raises:
        InputError: it is none, of another version, not whole, or holds what could run.
    """
    from nsa_core.detector.detector import AnomalyDetector, device_of
    from nsa_core.training import build_method

    where = device_of(device)
    about = json.loads((folder / ABOUT).read_bytes())
    weights, learnt = (tensors_of((folder / name).read_bytes()) for name in (WEIGHTS, SCORER))
    parameters = about["parameters"]
    if parameters["augment"] is not None:
        parameters["augment"] = Augmentation(**parameters["augment"])
    detector = AnomalyDetector(**parameters, device=device)
    detector.config_ = TrialConfig.from_dict(about["config"])
    detector._see(tuple(about["image_shape"]))
    method = build_method(detector.config_)
    method.load_state_dict(weights)
    detector.method_ = method.to(where).eval()
    detector.dynamics_, detector.fingerprint_ = about["dynamics"], about["fingerprint"]
    detector.names_ = tuple(about["names"])
    for name, value in learnt.items():
        setattr(detector, f"{name}_", value.numpy())
    detector.scorer_ = scorers.build(detector.scorer).fit(learnt["train_features"].to(where))
    detector._calibrate()
    return detector
