"""How fast the bare product and whole training steps are, one trial and several side by side."""

import gc
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from gpu_run import Row, Run, once
from gpu_trial import Trial, pair_flops, pair_rate
from hardware import NotCompiledError, Spread, matmul_rate, tf32

from nsa_core import TrialConfig

_MOST_OF_THE_TIME = 0.75  # after which no more cases begin
NORMS = {"simsiam": "both", "simclr": "f"}


@dataclass(frozen=True, slots=True)
class Case:
    """A method, a batch size, and how its steps run."""

    method: str
    batch: int
    how: str = "captured"
    trials: int = 1

    def config(self, run: Run) -> TrialConfig:
        """Of each of its trials."""
        return replace(
            run.scale.network,
            method=self.method,
            norm=NORMS[self.method],
            method_options=run.scale.network.method_options if self.method == "simsiam" else {},
            batch_size=self.batch,
            precision=run.step_precision,
            compile="compiled" in self.how,
        )

    def name(self, run: Run) -> str:
        """For instance ``simsiam, batch 32, captured, 4 streams``."""
        cuda = run.device.type == "cuda"
        how = self.how if cuda else self.how.replace("captured", "eager")
        side = ("streams" if cuda else "threads") if self.trials > 1 else ""
        parts = [self.method, f"batch {self.batch}", how, f"{self.trials} {side}" if side else ""]
        return ", ".join(filter(None, parts))


def cases(run: Run) -> list[Case]:
    """The rows of the table, compiled ones last; on a CPU nothing is captured."""
    scale, cuda = run.scale, run.device.type == "cuda"
    found = [
        Case("simsiam", scale.small),
        *(Case("simsiam", scale.small, trials=count) for count in scale.streams),
        Case("simsiam", scale.middle),
        Case("simsiam", scale.middle, trials=scale.middle_streams),
        Case("simsiam", scale.large),
        Case("simsiam", scale.large, trials=scale.large_streams),
        Case("simclr", scale.large),
    ]
    if cuda:
        found += [
            Case("simsiam", scale.small, "eager"),
            Case("simsiam", scale.large, "eager"),
            Case("simclr", scale.large, "eager"),
        ]
    if run.compiles:
        how = "captured and compiled"
        found += [Case("simsiam", scale.large, how), Case("simclr", scale.large, how)]
        found += [Case("simsiam", scale.small, how, trials=scale.streams[-1])]
    return found


def matmul(run: Run) -> Iterator[Row]:
    """The bare matrix product: what the hardware gives at best."""
    for precision in run.precisions:
        scale = run.scale
        size, rate = matmul_rate(run.device, precision, scale.matmul, scale.blocks, scale.limit_s)
        run.matmul[precision] = rate.median
        case = f"{precision}, {size} x {size}"
        yield Row("matmul", case, "rate", "TFLOP/s", rate.scaled(1e-12))


def speed(run: Run) -> Iterator[Row]:
    """Whole steps: augment, forward, backward, fused Adam; several trials in threads."""
    flops = {
        method: pair_flops(Case(method, run.scale.large).config(run), run.scale.size)
        for method in NORMS
    }
    alone: dict[tuple[str, int], float] = {}
    for case in cases(run):
        if run.spent > _MOST_OF_THE_TIME * run.seconds:
            run.notes.append(f"Left out, as the time was up: {case.name(run)}.")
            continue
        config = case.config(run)
        try:
            with tf32(convolutions=config.precision == "fp32", products=False):
                rate, peak = _measured(run, case, config)
        except NotCompiledError as error:
            run.notes.append(f"Not compiled, so not measured: {case.name(run)}: {error}.")
            continue
        name, key, each = case.name(run), (case.method, case.batch), flops[case.method]
        yield Row("speed", name, "image pairs", "1/s", rate)
        yield Row("speed", name, "forward and backward", "TFLOP/s", rate.scaled(each / 1e12))
        if best := run.matmul.get("bf16"):
            yield Row("speed", name, "of the bf16 product", "%", rate.scaled(100 * each / best))
        if case.how == "captured" and case.trials == 1:
            alone[key] = rate.median
        if case.trials > 1 and key in alone:
            yield Row("speed", name, "times one trial", "", rate.scaled(1 / alone[key]))
        if peak:
            yield Row("speed", name, "peak memory", "GiB", once(peak / 2**30))


def _measured(run: Run, case: Case, config: TrialConfig) -> tuple[Spread, int]:
    """The rate, and the peak of the device's memory in bytes; 0 on a CPU."""
    scale, cuda = run.scale, run.device.type == "cuda"
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(run.device)
    eager = case.how == "eager"
    trials = [Trial(config, scale.size, run.device, eager=eager) for _ in range(case.trials)]
    if cuda and not eager:
        trials[0].check_waits()
    rate = pair_rate(trials, scale.blocks, scale.block_s, scale.limit_s)
    return rate, torch.cuda.max_memory_allocated(run.device) if cuda else 0
