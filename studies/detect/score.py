"""Score the images of a folder with a detector, into a Parquet file: a row an image."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nsa_core import __version__
from studies.detect.command import (
    Said,
    add_reading,
    checked_out,
    command_parser,
    run,
    skipped_lines,
)
from studies.detect.reading import read_in_batches
from tracking.text import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from nsa_core import AnomalyDetector

_SHOWN = 5


def parser() -> argparse.ArgumentParser:
    """The options of ``nsa score``."""
    made = command_parser("score", __doc__)
    made.add_argument("model", help="folder that nsa fit wrote")
    made.add_argument("folder", help="of images, or a Parquet file of them")
    made.add_argument("--out", metavar="FILE", required=True, help="to write, .parquet")
    made.add_argument("--split", metavar="NAME", help="of the folder; default: all of it")
    rate = made.add_mutually_exclusive_group()
    rate.add_argument(
        "--false-alarm-rate",
        type=float,
        metavar="R",
        help="of normal images; default: that of the fit",
    )
    rate.add_argument(
        "--false-discovery-rate", type=float, metavar="R",
        help="of the images that are flagged, all of the folder together",
    )  # fmt: skip
    made.add_argument("--device", default="auto", help="auto (the default) | cpu | cuda")
    add_reading(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Score images and write the scores; returns the exit status, see ``command.run``."""
    return run(_score, parser().parse_args(arguments))


def _score(asked: argparse.Namespace) -> Said:
    out = checked_out(asked.out, ".parquet", asked.folder)
    import warnings

    import numpy as np

    from nsa_core import AnomalyDetector
    from nsa_core.detector.conformal import (
        benjamini_hochberg,
        checked_rate,
        least_discoveries,
        p_values,
    )
    from tracking.files.write import write_parquet

    if asked.false_discovery_rate is not None:
        checked_rate("false_discovery_rate", asked.false_discovery_rate)
    detector = AnomalyDetector.load(asked.model, asked.device)
    if asked.false_alarm_rate is not None:
        detector.calibrate(asked.false_alarm_rate)
    names, scores, skipped = scored(detector, asked.folder, asked.split, asked.skip_broken)
    p = p_values(detector.calibration_scores_, scores)
    if asked.false_discovery_rate is not None:
        flagged = benjamini_hochberg(p, asked.false_discovery_rate)
        known = len(detector.calibration_scores_)
        least = least_discoveries(known, len(p), asked.false_discovery_rate)
        if least > 1 and not flagged.any():
            warnings.warn(
                f"with {known} calibration images, a false-discovery rate of "
                f"{asked.false_discovery_rate:.3g} allows to flag {least} or more of {len(p)} "
                "images, or none; fit on more images, or use a larger rate",
                stacklevel=1,
            )
    else:
        flagged = scores > -detector.offset_
    about = {
        "model": asked.model,
        "training_fingerprint": detector.fingerprint_,
        "nsa": __version__,
        "scorer": detector.scorer,
        "threshold": None if not np.isfinite(detector.offset_) else -detector.offset_,
        "false_alarm_rate": detector.false_alarm_rate,
        "false_discovery_rate": asked.false_discovery_rate,
        "source": asked.folder,
        "split": asked.split,
    }
    write_parquet(out, _table(names, scores, p, flagged, about))
    order = np.argsort(-scores, kind="stable")[:_SHOWN]
    values = {
        **about,
        "out": str(out.resolve()),
        "images": len(names),
        "flagged": int(flagged.sum()),
        "skipped": dict(skipped),
        "highest": [
            {"name": names[row], "score": float(scores[row]), "p_value": float(p[row])}
            for row in order
        ],
    }
    return values, _lines(values, skipped)


def scored(
    detector: "AnomalyDetector", source: str, split: str | None, skip_broken: bool
) -> tuple[list[str], Any, list[tuple[str, str]]]:
    """Names, scores and what was left out, a batch of images in memory at a time.

    Raises:
        InputError: as ``read_in_batches``.
    """
    import numpy as np

    names: list[str] = []
    parts: list[Any] = []
    skipped: list[tuple[str, str]] = []
    for batch in read_in_batches(detector, source, split, skip_broken):
        parts.append(detector.anomaly_scores(batch))
        names.extend(batch.names)
        skipped.extend(batch.skipped)
    return names, np.concatenate(parts), skipped


def _table(
    names: list[str], scores: Any, p: Any, flagged: Any, about: dict[str, Any]
) -> "pa.Table":
    import pyarrow as pa

    table = pa.table({"name": names, "score": scores, "p_value": p, "flagged": flagged})
    return table.replace_schema_metadata(
        {f"nsa.{key}": json.dumps(value) for key, value in about.items()}
    )


def _lines(found: dict[str, Any], skipped: list[tuple[str, str]]) -> list[str]:
    share = found["flagged"] / found["images"]
    rate = found["false_discovery_rate"]
    how = (
        f"at a false-alarm rate of {found['false_alarm_rate']:.3g}"
        if rate is None
        else f"at a false-discovery rate of {rate:.3g}"
    )
    lines = [f"{found['images']} images, {found['flagged']} flagged ({share:.1%}) {how}"]
    lines += skipped_lines(skipped)
    lines.append("the oddest:")
    for each in found["highest"]:
        lines.append(f"  {each['score']:.4g}  p {each['p_value']:.3g}  {printable(each['name'])}")
    return [*lines, f"written: {found['out']}"]
