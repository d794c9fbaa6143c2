"""What the benchmarks share: the machine's description, its bare speed, and the timed step."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy
import torch
import torchvision
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nsa_core import TrialConfig
from nsa_core.augment import augment
from nsa_core.training import build_method
from nsa_core.training.optimiser import build_optimiser
from nsa_core.training.precision import autocast
from nsa_core.training.schedule import plan
from nsa_core.training.step import TrainingStep

Step = Callable[[], object]
STEPS = 8  # of an epoch


class NotCompiledError(RuntimeError):
    """A step could not be compiled, and would run as it is."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of n repeats, the lowest and the highest."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def scaled(self, factor: float) -> "Spread":
        """The same repeats in another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.n)


def describe(device: torch.device) -> dict[str, str]:
    """The hardware and the versions that numbers depend on, by name."""
    found = {"device": device.type}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found["GPU"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        found["driver"] = _driver()
        found["CUDA"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found["CPU"] = f"{cpu_name()}, {cores} cores, {torch.get_num_threads()} threads used"
    found["CPU flags"] = ", ".join(cpu_flags()) or "none of interest"
    if hasattr(os, "getloadavg"):
        found["load before"] = f"{os.getloadavg()[0]:.1f} (1-minute average of runnable processes)"
    found["torch"] = f"{torch.__version__}, torchvision {torchvision.__version__}"
    found["Python"] = f"{platform.python_version()}, numpy {numpy.__version__}"
    found["system"] = platform.platform()
    found["date"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return found


def cpu_name() -> str:
    """As Linux calls it, else whatever Python knows."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Those of avx2, avx512 and bf16 that decide which precision is fast."""
    flags = _cpuinfo("flags").split()
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
    return [flag for flag in wanted if flag in flags]


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown (nvidia-smi did not answer)"
    return answer.stdout.splitlines()[0].strip()


@contextmanager
def tf32(*, convolutions: bool, products: bool) -> Iterator[None]:
    """Allow or forbid TensorFloat-32 on CUDA; torch's default allows it in convolutions alone."""
    conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = conv.fp32_precision, matmul.fp32_precision
    conv.fp32_precision = "tf32" if convolutions else "ieee"
    matmul.fp32_precision = "tf32" if products else "ieee"
    try:
        yield
    finally:
        conv.fp32_precision, matmul.fp32_precision = before


def seconds_for(step: Step, device: torch.device, count: int = 1) -> float:
    """Wall-clock seconds of ``count`` steps; waits for the device before and after, not between."""
    _wait(device)
    started = time.perf_counter()
    for _ in range(count):
        step()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def block_rates(
    step: Step, device: torch.device, blocks: int, block_s: float, limit_s: float
) -> Spread:
    """Steps a second over repeated blocks, after a warm-up; one step alone if it is too slow."""
    first = seconds_for(step, device)
    if first > limit_s:
        return Spread.of([1 / first])
    each = seconds_for(step, device, 3) / 3
    count = max(1, round(block_s / each))
    return Spread.of([count / seconds_for(step, device, count) for _ in range(blocks)])


def matmul_rate(
    device: torch.device, precision: str, size: int, blocks: int, limit_s: float
) -> tuple[int, Spread]:
    """FLOP/s of a bare square matrix product, and the size: halved until one takes ``limit_s``."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    probe = torch.randn(256, 256, device=device, dtype=dtype)
    cost = min(seconds_for(lambda: probe @ probe, device) for _ in range(4)) / 256**3
    while size > 256 and cost * size**3 > limit_s:
        size //= 2
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    with tf32(convolutions=False, products=precision == "tf32"):
        rate = block_rates(lambda: matrix @ matrix, device, blocks, 0.3, limit_s / 4)
    return size, rate.scaled(2 * size**3)


def random_images(count: int, size: int) -> Tensor:
    """Smooth random RGB images, uint8 [count, 3, size, size], always the same."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    return (fine * 255).clamp_(0, 255).to(torch.uint8)


def made_step(
    config: TrialConfig, size: int, device: torch.device, kind: type[TrainingStep] = TrainingStep
) -> TrainingStep:
    """A whole step as ``nsa_core.train`` does it, captured on CUDA; an epoch is ``STEPS`` of them.

    Raises:
        NotCompiledError: it cannot be compiled as configured.
    """
    method = build_method(config).to(device)
    images = random_images(STEPS * config.batch_size, size).to(device)
    optimiser = build_optimiser(method, config)
    step = kind(method, optimiser, config, plan(config, len(images)), images)
    if config.compile and (failure := step.compile().failure):
        raise NotCompiledError(failure)
    return step


def training_step(config: TrialConfig, size: int, device: torch.device) -> Step:
    """The same, to be called step by step, epoch after epoch."""
    step, left = made_step(config, size, device), 0

    def run() -> None:
        nonlocal left
        left = left or step.begin(1)
        step()
        left -= 1

    return run


def step_without_views(config: TrialConfig, size: int, device: torch.device) -> Step:
    """The same, never captured, with two views of a batch that were made beforehand."""
    method = build_method(config).to(device).train()
    optimiser = build_optimiser(method, config)
    images = random_images(config.batch_size, size).to(device)
    stream = torch.Generator(device).manual_seed(0)
    views = augment(images, config.augment, stream, 2)
    pace = torch.tensor(method.pace(0.5), device=device)

    def run() -> None:
        with autocast(device, config.precision):
            loss = method.loss(images, lambda *_: views)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        method.after_step(pace)

    return run


def encoder_flops(config: TrialConfig, size: int) -> float:
    """FLOPs of the encoder alone, forward and backward, for both views of one image."""
    encoder = build_method(config).encoder
    with FlopCounterMode(display=False) as counter:
        encoder(torch.rand(4, 3, size, size)).sum().backward()
    return counter.get_total_flops() / 2


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned table: the first column to the left, the others to the right."""
    widths = [max(3, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        return "| " + " | ".join([first, *map(str.rjust, cells[1:], widths[1:])]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def number(value: float) -> str:
    """Four digits, with separators from a thousand on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def number_with_range(spread: Spread) -> str:
    """For instance ``21.6 (20.9–22.1)``."""
    text = number(spread.median)
    return f"{text} ({number(spread.low)}–{number(spread.high)})" if spread.n > 1 else text
