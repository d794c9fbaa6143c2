"""Write a detector as an ONNX file, which takes images and gives scores without this project."""

import argparse
from collections.abc import Sequence

from studies.detect.command import Said, checked_out, command_parser, run


def parser() -> argparse.ArgumentParser:
    """The options of ``nsa export``."""
    made = command_parser("export", __doc__)
    made.add_argument("model", help="folder that nsa fit wrote")
    made.add_argument("--onnx", metavar="FILE", required=True, help="to write, .onnx")
    made.add_argument(
        "--images", default="uint8",
        help="what it takes: uint8, in [0, 255] (the default) | float32, in [0, 1]",
    )  # fmt: skip
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Export a detector; returns the exit status, see ``command.run``."""
    return run(_export, parser().parse_args(arguments))


def _export(asked: argparse.Namespace) -> Said:
    out = checked_out(asked.onnx, ".onnx")
    from nsa_core import AnomalyDetector
    from nsa_core.detector.onnx_file import export_onnx

    detector = AnomalyDetector.load(asked.model, device="cpu")
    export_onnx(detector, out, asked.images)
    channels, height, width = detector.image_shape_
    values = {
        "onnx": str(out.resolve()),
        "images": asked.images,
        "shape": [channels, height, width],
        "bytes": out.stat().st_size,
    }
    return values, [
        f"written: {out}, {values['bytes'] / 1e6:.1f} MB",
        f"input:  images, {asked.images} [N, {channels}, {height}, {width}]",
        "output: score, float64 [N], higher is more anomalous; flagged, bool [N]",
    ]
