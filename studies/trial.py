"""The life of one trial: configuration in, rows in the ledger out. Knows nothing of Ray."""

import io
import platform
import resource
import socket
from collections.abc import Generator
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

import nsa_core
from nsa_core import (
    DivergedError,
    Evaluation,
    ImageSet,
    InputError,
    OneClassSplit,
    TrialConfig,
    load_images,
    one_class_split,
    train,
)
from nsa_core.metrics import auprc, fpr_at_recall
from tracking import ENDED, TrialRecord

HEADLINE = "c-cos"
"""The score whose mistakes are kept as pictures."""

_EXTREMES = 12


def run_trial(
    record: TrialRecord, data_root: str | None, device: torch.device
) -> Generator[Evaluation, None, None]:
    """Train what the record says, from its checkpoint if there is one, and record every epoch.

    The record ends as finished, collapsed, diverged or (bad input) failed; a trial that has ended
    is left alone. Any other error is written to the record and raised, to be tried again.
    """
    with record.claim():
        if (status := record.state()["status"]) in ENDED and status != "failed":
            return
        record.begin(_machine(device))
        try:
            definition = record.definition()
            config = TrialConfig.from_dict(definition["config"])
            split = split_of(config, data_root, definition["data_fingerprint"])
            record.write_artifact("pollution", _pollution(config, split))
            for evaluation in train(config, split, device, record.checkpoint):
                if evaluation.step == evaluation.total_steps:
                    record.write_artifact("test_scores", _test_scores(evaluation, split))
                    record.write_artifact("extremes", _extremes(evaluation, config, data_root))
                record.add(_dynamics(evaluation), _scores(evaluation, split))
                yield evaluation
        except DivergedError as error:
            record.end("diverged", str(error), **_usage(device))
            return
        except InputError as error:
            record.end("failed", str(error), **_usage(device))
            return
        except Exception as error:
            record.end("failed", f"{type(error).__name__}: {error}", **_usage(device))
            raise
        last = record.dynamics().to_pylist()[-1]
        if last["collapsed"]:
            message = (
                f"spread of embeddings {last['spread_train']:.3g}, "
                f"of projections {last['projection_spread_train']:.3g}"
            )
            record.end("collapsed", message, **_usage(device))
        else:
            record.end("finished", **_usage(device))


@cache  # for the worker's next trials; the fingerprint says whether it is what was planned
def _images(dataset: str, split: str, data_root: str | None) -> ImageSet:
    images = load_images(dataset, split, data_root)
    images.images.setflags(write=False)
    return images


def split_of(
    config: TrialConfig, data_root: str | None, fingerprint: str | None = None
) -> OneClassSplit:
    """A configuration's data.

    Raises:
        InputError: it is absent, or is not the data of this fingerprint.
    """
    train_set = _images(config.dataset, "train", data_root)
    test_set = _images(config.dataset, "test", data_root)
    found = f"{train_set.fingerprint}+{test_set.fingerprint}"
    if fingerprint not in (None, found):
        raise InputError(
            f"{config.dataset} on {socket.gethostname()} is not the data that the study was "
            f"planned on (fingerprint {found[:12]}, planned {str(fingerprint)[:12]})"
        )
    return one_class_split(
        train_set,
        test_set,
        config.normal_class,
        config.pollution,
        config.seed,
        config.probe_images,
        config.held_out,
    )


def _pollution(config: TrialConfig, split: OneClassSplit) -> dict[str, Any]:
    return {
        "pollution": config.pollution,
        "train_images": len(split.train_images),
        "indices": split.train_indices[split.is_pollution].tolist(),
    }


def _dynamics(evaluation: Evaluation) -> dict[str, Any]:
    signals, test, probes = evaluation.signals, evaluation.test, evaluation.probes
    row = {
        "epoch": evaluation.epoch,
        "step": evaluation.step,
        "loss": signals.loss,
        "collapsed": signals.collapsed,
        "held_out_auroc": signals.held_out_auroc,
        "train_seconds": evaluation.train_seconds,
        "evaluate_seconds": evaluation.evaluate_seconds,
        "images_per_second": evaluation.images_per_second,
    }
    for prefix, train_geometry, test_geometry in (
        ("", signals.embedding, test.embedding),
        ("projection_", signals.projection, test.projection),
    ):
        for name, value in asdict(train_geometry).items():
            row[f"{prefix}{name}_train"] = value
        for name, value in asdict(test_geometry).items():
            quantity, which = name.split("_")
            row[f"{prefix}{quantity}_test_{which}"] = value
    if probes is not None:
        row |= {
            "linear_probe": probes.linear,
            "knn_probe": probes.knn,
            "projection_linear_probe": probes.projection_linear,
            "projection_knn_probe": probes.projection_knn,
        }
    return row


def _scores(evaluation: Evaluation, split: OneClassSplit) -> list[dict[str, Any]]:
    outlier = split.test_is_outlier
    return [
        {
            "layer": layer,
            "scorer": name,
            "auroc": evaluation.test.auroc[layer, name],
            "auprc": auprc(scores, outlier),
            "fpr95": fpr_at_recall(scores, outlier),
        }
        for (layer, name), scores in evaluation.test.scores.items()
    ]


def _test_scores(evaluation: Evaluation, split: OneClassSplit) -> pa.Table:
    """Of the embedding, by scorer; those of other layers would fill the disk."""
    scores = {
        name: values
        for (layer, name), values in evaluation.test.scores.items()
        if layer == "embedding"
    }
    rows = np.arange(len(split.test_is_outlier))
    return pa.table({"row": rows, "is_outlier": split.test_is_outlier, **scores})


def _extremes(evaluation: Evaluation, config: TrialConfig, data_root: str | None) -> pa.Table:
    """The normal images that look most like outliers, and the outliers most like normals."""
    test = _images(config.dataset, "test", data_root)
    scores = evaluation.test.scores["embedding", HEADLINE]
    outlier = test.labels != config.normal_class
    rows = []
    for kind, candidates, worst in (("false alarm", ~outlier, -scores), ("miss", outlier, scores)):
        order = np.flatnonzero(candidates)
        for rank, row in enumerate(order[np.argsort(worst[order], kind="stable")[:_EXTREMES]]):
            rows.append(
                {
                    "kind": kind,
                    "rank": rank + 1,
                    "row": int(row),
                    "score": float(scores[row]),
                    "class_name": test.class_names[test.labels[row]],
                    "image": _png(test.images[row]),
                }
            )
    return pa.Table.from_pylist(rows)


def _png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """uint8 [C, H, W] as an image file."""
    stream = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0).squeeze()).save(stream, "PNG")
    return stream.getvalue()


def _machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "host": socket.gethostname(),
        "device": f"{device.type} ({name})",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "version": nsa_core.__version__,
    }


def _usage(device: torch.device) -> dict[str, Any]:
    return {"peak_memory_mb": peak_memory_mb(device)}


def peak_memory_mb(device: torch.device) -> float:
    """Of the trial's device; on a CPU of its process, trials before included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
