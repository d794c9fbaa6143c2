"""Images of a folder, as a fitted detector takes them, a batch in memory at a time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from studies.detect.command import Progress

if TYPE_CHECKING:
    from nsa_core import AnomalyDetector
    from nsa_core.data.pictures import Pictures


def read_in_batches(
    detector: "AnomalyDetector",
    source: str,
    split: str | None,
    skip_broken: bool,
    what: str = "scoring",
) -> Iterator["Pictures"]:
    """The batches; progress in ``what`` is said of each once it is done with.

    Raises:
        InputError: as ``picture_batches``, or images of another size without a policy of the fit.
    """
    from nsa_core.data.picture_search import find
    from nsa_core.data.pictures import picture_batches

    channels, *size = detector.image_shape_
    progress, total, done = Progress(what), len(find(source, split).names), 0
    for batch in picture_batches(
        source,
        split=split,
        size=size,
        resize=detector.resize,
        on_broken="skip" if skip_broken else "refuse",
        channels=channels,
    ):
        yield batch
        done += len(batch) + len(batch.skipped)
        progress(done / total)
