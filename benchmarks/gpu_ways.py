"""The same steps run one by one, captured, and compiled: how far apart their losses are."""

from collections.abc import Iterator
from dataclasses import replace

from gpu_run import Row, Run, once
from gpu_trial import EagerStep
from hardware import STEPS, NotCompiledError, made_step

from nsa_core import TrialConfig
from nsa_core.training.step import TrainingStep

LIMITS = {"captured": 0.005, "compiled": 0.02}
"""The most that the mean loss of the first steps may differ, absolute. A capture changes no bit,
but not every kernel adds up in the same order twice.
"""


def ways(run: Run) -> Iterator[Row]:
    """The first steps of a training, in each way that a step can be run."""
    config = replace(run.scale.network, batch_size=run.scale.large, precision=run.step_precision)
    expected = _loss(run, config, EagerStep)
    found = {"captured": _loss(run, config, TrainingStep)} if run.device.type == "cuda" else {}
    if run.compiles:
        try:
            found["compiled"] = _loss(run, replace(config, compile=True), TrainingStep)
        except NotCompiledError as error:
            run.notes.append(f"Not compiled: {error}.")
    for way, loss in found.items():
        for case, value in ((way, abs(loss - expected)), (f"at most, {way}", LIMITS[way])):
            yield Row("ways", case, f"loss of {STEPS} steps, from eager", "absolute", once(value))
    over = [way for way, loss in found.items() if not abs(loss - expected) <= LIMITS[way]]
    if over:
        raise RuntimeError(f"steps differ from those run one by one: {', '.join(over)}")


def _loss(run: Run, config: TrialConfig, kind: type[TrainingStep]) -> float:
    step = made_step(config, run.scale.size, run.device, kind)
    for _ in range(step.begin(1)):
        step()
    return step.loss.item() / STEPS
