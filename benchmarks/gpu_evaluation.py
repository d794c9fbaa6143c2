"""What an evaluation takes, part by part."""

from collections.abc import Iterator
from dataclasses import replace

from evaluation_parts import MEASURES, evaluation_parts
from gpu_run import Row, Run
from hardware import Spread, seconds_for

from nsa_core.scorers import SLOW

_REPEATS = 3


def evaluation(run: Run) -> Iterator[Row]:
    """One evaluation: images embedded, then kappa, MMD, all scores and their AUROC."""
    scale = run.scale
    config = replace(scale.network, precision=run.step_precision)
    counts = {"train": scale.train, "test": scale.test}
    case = f"{scale.train:,} training and {scale.test:,} test images"
    found: dict[str, list[float]] = {}
    parts = evaluation_parts(config, run.device, counts, scale.size)
    for name, part in parts.items():
        repeats = 1 if name in SLOW else _REPEATS
        if name not in SLOW:
            seconds_for(part, run.device)  # libraries load
        found[name] = [seconds_for(part, run.device) for _ in range(repeats)]
        yield Row("evaluation", f"{case}: {name}", "time", "s", Spread.of(found[name]))
    together = [sum(each) for each in zip(*(found[name] for name in MEASURES), strict=True)]
    name = f"{case}: {', '.join(MEASURES)}"
    yield Row("evaluation", name, "time", "s", Spread.of(together))
    embedded = zip(found["embed train images"], found["embed test images"], strict=True)
    whole = [sum(each) + rest for each, rest in zip(embedded, together, strict=True)]
    an_image = Spread.of(whole).scaled(1 / (scale.train + scale.test))
    yield Row("evaluation", "an evaluation", "an image", "s", an_image)
