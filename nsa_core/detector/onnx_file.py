"""A detector as one ONNX file: it takes images and gives scores, without this project."""

import importlib.util
import io
import json
import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import nsa_core
from nsa_core.detector.onnx_graph import ScoredImages
from nsa_core.errors import InputError, unknown
from nsa_core.methods import Method
from nsa_core.scorers.scorer import Scorer

if TYPE_CHECKING:
    from nsa_core.detector.detector import AnomalyDetector

INPUTS = {"uint8": (torch.uint8, 255.0), "float32": (torch.float32, 1.0)}
"""What the images may be: numbers in [0, 255], or in [0, 1]; torch's type, and white."""

_NEEDED = ("onnx", "onnxscript")
_MOST_BYTES = 2**31 - 1  # of one protobuf


def onnx_model(
    method: Method,
    layer: str,
    scorer: Scorer,
    shape: tuple[int, int, int],
    shrink: nn.Module,
    threshold: float,
    images: str = "uint8",
    about: Mapping[str, Any] | None = None,
) -> Any:
    """The graph of a trained method and a fitted scorer, an ``onnx.ModelProto``.

    It has one input, "images" [N, C, H, W], and two outputs, "score", float64 [N], higher is more
    anomalous, and "flagged", bool [N], whether that is above the threshold.

    Args:
        method: on the CPU.
        layer: whose features are scored, of ``methods.LAYERS``.
        scorer: fitted on features of that layer, on the CPU.
        shape: (C, H, W) of the images.
        shrink: makes of images in [0, 255] those that the method takes.
        threshold: of the scores.
        images: a name of ``INPUTS``.
        about: plain values that the file is to hold beside the graph, as JSON by their names.

    Raises:
        InputError: a package is missing, no graph is known for the scorer, or an unknown name.
    """
    if images not in INPUTS:
        raise unknown("images", images, INPUTS)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"writing ONNX needs {' and '.join(missing)}: pip install 'nsa-studies[onnx]'"
        )
    dtype, white = INPUTS[images]
    graph = ScoredImages(method, layer, scorer, shape, shrink, threshold, white)
    example = torch.zeros(2, *shape, dtype=dtype)  # torch takes a batch of one for a constant
    with _quiet():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=["score", "flagged"],
            dynamic_shapes={"images": {0: torch.export.Dim("N")}},
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    limit = threshold if math.isfinite(threshold) else None  # infinite: nothing is flagged
    for name, value in {"threshold": limit, **(about or {})}.items():
        model.metadata_props.add(key=name, value=json.dumps(value, sort_keys=True))
    return model


def export_onnx(detector: "AnomalyDetector", path: Path, images: str = "uint8") -> None:
    """Write a fitted detector, loaded on the CPU, as an ONNX file, see ``onnx_model``.

    What the file holds beside the graph: the threshold, the false-alarm rate, layer and scorer, the
    fingerprint of the training images, and the version of this project.

    Raises:
        InputError: as ``onnx_model`` and ``write_onnx``.
    """
    about = {
        "nsa_core": nsa_core.__version__,
        "layer": detector.layer,
        "scorer": detector.scorer,
        "false_alarm_rate": detector.false_alarm_rate,
        "fingerprint": detector.fingerprint_,
    }
    model = onnx_model(
        detector.method_,
        detector.layer,
        detector.scorer_,
        detector.image_shape_,
        detector.shrink_,
        -float(detector.offset_),
        images,
        about,
    )
    write_onnx(model, path)


def write_onnx(model: Any, path: Path) -> None:
    """Write an ``onnx.ModelProto`` as one file, whole or not at all.

    Raises:
        InputError: it is too large for one file, or the system refuses.
    """
    if model.ByteSize() > _MOST_BYTES:
        raise InputError(
            f"{path} would have {model.ByteSize() / 1e9:.1f} GB, and one ONNX file has at most 2; "
            "take a scorer that keeps no training features, such as c-cos or mahalanobis"
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(model.SerializeToString())
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter prints about itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
