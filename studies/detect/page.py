"""What the page of ``nsa inspect`` says, as blocks of a report: one file, nothing fetched."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nsa_core.detector.conformal import least_rate, p_values
from studies.detect.judged import Example, Judged
from studies.detect.masks import PixelResult
from studies.detect.scores_section import scores_section
from studies.detect.tiles import pair, tile
from tracking.report.blocks import (
    Block,
    Document,
    Image,
    Images,
    Pictures,
    Section,
    Table,
    Text,
)
from tracking.report.numbers import percent
from tracking.report.render.html import html_page
from tracking.report.render.pictures import svg

if TYPE_CHECKING:
    from nsa_core import AnomalyDetector


@dataclass(frozen=True, eq=False)
class Findings:
    """What there is to be seen.

    Attributes:
        source: what was judged, in words.
        judged: scores and outermost images of that; None where they cannot be read.
        heat: of ``judged.worst``, float32 [n, H, W]; None where there is none.
        pixels: how well heat maps find what masks show; None without masks.
        suspects: training images, the most suspect first.
        ranked_by: how they were ranked, in words.
        missing: sentences about what the page lacks, and why.
    """

    source: str
    judged: Judged | None
    heat: npt.NDArray[np.float32] | None
    pixels: PixelResult | None
    suspects: list[Example]
    ranked_by: str
    missing: list[str]


def rendered(name: str, detector: "AnomalyDetector", found: Findings) -> str:
    """The whole page."""
    sections = [_summary(detector, found), scores_section(detector, found.judged)]
    if found.judged is not None:
        best = _images("best", found.judged.best, detector)
        sections += [
            _worst(detector, found.judged, found),
            Section("Best", [Images("The lowest scores: the most typical images.", best)]),
        ]
    if found.suspects:
        sections.append(_suspects(found))
    title = f"What {name} finds odd"
    drawings = {
        picture.name: svg(picture.panel)
        for section in sections
        for block in section.blocks
        if isinstance(block, Pictures)
        for picture in block.pictures
    }
    return html_page(Document(name, title, sections), drawings)


def _summary(detector: "AnomalyDetector", found: Findings) -> Section:
    channels, height, width = detector.image_shape_
    count, rate = len(detector.calibration_scores_), detector.false_alarm_rate
    encoder = detector.backbone or f"ResNet-{detector.config_.depth}, from scratch"
    rows: list[tuple[str, str]] = [
        ("fit to", f"{len(detector.names_)} images, {'grey' if channels == 1 else 'RGB'} "
         f"{width}x{height}"),
        ("encoder", f"{detector.config_.method}, {encoder}"),
        ("score", f"{detector.scorer} of the {detector.layer}"),
        ("images withheld to calibrate", str(count)),
        ("false-alarm rate", f"{rate:.3g}"),
        ("the smallest rate that so many can promise", f"{least_rate(count):.2g}"),
    ]  # fmt: skip
    if found.judged is not None:
        scores = found.judged.scores
        flagged = int((scores > -detector.offset_).sum())
        share = percent(flagged / len(scores))
        rows.append(("flagged here", f"{flagged} of {len(scores)} ({share} %)"))
    if (pixels := found.pixels) is not None:
        of = f"{pixels.with_mask} images with a mask, {pixels.without} without a defect"
        rows.append(("AUROC of the heat maps' pixels", f"{percent(pixels.auroc)} % ({of})"))
    texts = [Text(line) for line in found.missing]
    return Section("Summary", [Table(f"Judged: {found.source}.", ("", ""), rows, labels=2), *texts])


def _worst(detector: "AnomalyDetector", judged: Judged, found: Findings) -> Section:
    blocks: list[Block] = []
    if found.heat is None:
        images = _images("worst", judged.worst, detector)
        blocks.append(Images("The highest scores.", images, large=True))
        return Section("Worst", blocks)
    span = float(np.median(found.heat)), float(found.heat.max())
    pngs = [
        pair(each.image, heat, span) for each, heat in zip(judged.worst, found.heat, strict=True)
    ]
    caption = (
        "The highest scores, each with its heat beside it: where features lie far from those of "
        "training images. One scale for all of them."
    )
    blocks.append(Images(caption, _images("worst", judged.worst, detector, pngs), large=True))
    blocks.append(
        Text(
            "Heat is coarse, spreads around a small defect and may miss a faint one. It has no "
            "threshold, and it is no explanation of the score, which is made of pooled features."
        )
    )
    return Section("Worst", blocks)


def _suspects(found: Findings) -> Section:
    images = [
        Image(
            name=f"suspect {rank}",
            png=tile(each.image),
            alt=f"suspect {rank}: {each.name}, {each.score:.3g}",
            lines=(f"{rank}", each.name, f"{each.score:.3g}"),
        )
        for rank, each in enumerate(found.suspects, 1)
    ]
    caption = (
        f"Training images that belong least, {found.ranked_by}. The number is how many quartile "
        "ranges above the median an image lies; it has no threshold."
    )
    return Section("Suspects", [Images(caption, images)])


def _images(
    kind: str,
    examples: list[Example],
    detector: "AnomalyDetector",
    pngs: list[bytes] | None = None,
) -> list[Image]:
    scores = np.array([each.score for each in examples])
    p: Any = p_values(detector.calibration_scores_, scores)
    pngs = pngs or [tile(each.image) for each in examples]
    return [
        Image(
            name=f"{kind} {rank}",
            png=png,
            alt=f"{kind} {rank}: {each.name}, score {each.score:.3g}, p {chance:.3g}",
            lines=(each.name, f"{each.score:.4g}, p {chance:.2g}"),
        )
        for rank, (each, chance, png) in enumerate(zip(examples, p, pngs, strict=True), 1)
    ]
