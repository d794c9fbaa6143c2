"""Show on one page what a detector finds odd: in a folder of images, or among its training images.

Those of training are read again from where they were at the fit.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsa_core.errors import InputError
from studies.detect.command import Said, add_reading, checked_out, command_parser, run
from studies.detect.reading import read_in_batches
from studies.detect.training import most_suspect, training_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nsa_core import AnomalyDetector
    from nsa_core.data.pictures import Pictures
    from studies.detect.judged import Example, Judged
    from studies.detect.masks import PixelResult

_EXTREMES, _SUSPECTS = 12, 24


def parser() -> argparse.ArgumentParser:
    """The options of ``nsa inspect``."""
    made = command_parser("inspect", __doc__)
    made.add_argument("model", help="folder that nsa fit wrote")
    made.add_argument(
        "folder", nargs="?", help="of images; default: the training images that were withheld"
    )
    made.add_argument("--split", metavar="NAME", help="of the folder; default: all of it")
    made.add_argument(
        "--masks", metavar="FOLDER",
        help="black-and-white pictures of where its defects are: measures the heat maps",
    )  # fmt: skip
    made.add_argument("--out", metavar="PAGE", help="to write; default: MODEL.html")
    made.add_argument("--device", default="auto", help="auto (the default) | cpu | cuda")
    add_reading(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; returns the exit status, see ``command.run``."""
    return run(_inspect, parser().parse_args(arguments))


def _inspect(asked: argparse.Namespace) -> Said:
    model = Path(asked.model)
    out = checked_out(asked.out or f"{model.resolve()}.html", ".html")
    if asked.masks and not asked.folder:
        raise InputError(f"masks {asked.masks!r} have no images; name the folder of these, too")
    from nsa_core import AnomalyDetector
    from studies.detect.page import Findings, rendered
    from tracking.files.write import write_bytes

    detector = AnomalyDetector.load(model, asked.device)
    training, missing = training_of(detector)
    judged: Judged | None = None
    source = asked.folder or "the training images that were withheld to calibrate"
    if asked.folder:
        judged = _of_folder(detector, asked)
    elif training is not None:
        judged = _withheld(detector, training)
    heat, no_heat = _heat(detector, judged)
    pixels = _pixels(detector, asked) if asked.masks else None
    suspects, ranked_by = (
        ([], "") if training is None else most_suspect(detector, training, _SUSPECTS)
    )
    findings = Findings(source, judged, heat, pixels, suspects, ranked_by, missing + no_heat)
    page = rendered(model.resolve().name, detector, findings).encode("utf-8", "replace")
    write_bytes(out, page)
    values = {
        "page": str(out.resolve()),
        "bytes": len(page),
        "images": 0 if judged is None else len(judged.scores),
        "pixel_auroc": None if pixels is None else pixels.auroc,
        "worst": [] if judged is None else [_plain(each) for each in judged.worst],
        "suspects": [_plain(each) for each in suspects],
        "missing": findings.missing,
    }
    found = [] if pixels is None else [f"AUROC of the heat maps' pixels: {pixels.auroc:.3f}"]
    return values, [*findings.missing, *found, f"written: {out}, {len(page) / 1e6:.1f} MB"]


def _of_folder(detector: "AnomalyDetector", asked: argparse.Namespace) -> "Judged":
    from studies.detect.judged import judged

    batches = read_in_batches(detector, asked.folder, asked.split, asked.skip_broken)
    return judged(batches, detector.anomaly_scores, _EXTREMES)


def _withheld(detector: "AnomalyDetector", training: "Pictures") -> "Judged | None":
    from nsa_core.detector.images import some
    from studies.detect.judged import judged

    rows = detector.calibration_rows_
    if not len(rows):
        return None
    return judged([some(training, rows)], detector.anomaly_scores, _EXTREMES)


def _pixels(detector: "AnomalyDetector", asked: argparse.Namespace) -> "PixelResult":
    from studies.detect.masks import judged_pixels, read_masks

    masks = read_masks(detector, asked.masks)
    batches = read_in_batches(detector, asked.folder, asked.split, asked.skip_broken, "heat maps")
    return judged_pixels(detector, batches, masks)


def _heat(
    detector: "AnomalyDetector", judged: "Judged | None"
) -> tuple["npt.NDArray[np.float32] | None", list[str]]:
    """Heat maps of the worst images, or a sentence that says why there are none."""
    if judged is None:
        return None, []
    import numpy as np

    from nsa_core.detector.heat_map import heat_maps
    from nsa_core.detector.images import Given

    worst = judged.worst
    images = Given(np.stack([each.image for each in worst]), tuple(each.name for each in worst), "")
    try:
        return heat_maps(detector, images), []
    except InputError as error:
        return None, [f"There are no heat maps: {error}."]


def _plain(example: "Example") -> dict[str, Any]:
    return {"name": example.name, "score": example.score}
