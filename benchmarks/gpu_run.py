"""What the sections of the GPU benchmark share: sizes, one number, and the state of a run."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from hardware import Spread

from nsa_core import TrialConfig


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is; the defaults are the paper's network.

    Attributes:
        small, middle, large: batch sizes.
        streams, middle_streams, large_streams: how many trials of each run side by side.
        train, test: images of the timed evaluation.
        blocks, block_s: how many timed blocks, and seconds of each.
        limit_s: a step that takes longer is timed once.
    """

    network: TrialConfig = field(default_factory=TrialConfig)
    size: int = 32
    numerics_batch: int = 16
    small: int = 32
    middle: int = 128
    large: int = 512
    streams: tuple[int, ...] = (2, 4, 8, 16)
    middle_streams: int = 4
    large_streams: int = 2
    train: int = 5_000
    test: int = 10_000
    matmul: int = 8192
    blocks: int = 3
    block_s: float = 0.25
    limit_s: float = 5.0
    max_epochs: int = 100_000
    evaluations: int = 4


TOY = Scale(
    network=TrialConfig(
        depth=10, width=8, method_options={"projector_dim": 32, "predictor_dim": 16}
    ),
    size=16,
    numerics_batch=4,
    small=4,
    middle=6,
    large=8,
    streams=(2,),
    middle_streams=2,
    train=48,
    test=64,
    matmul=256,
    blocks=2,
    block_s=0.02,
    max_epochs=3,
    evaluations=2,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One number: of which section, for which case, which quantity."""

    section: str
    case: str
    quantity: str
    unit: str
    value: Spread


@dataclass(slots=True)
class Run:
    """What all sections know, and what they learn for later ones."""

    scale: Scale
    device: torch.device
    precisions: tuple[str, ...]
    data_root: Path | None
    started: float
    seconds: float
    matmul: dict[str, float] = field(default_factory=dict)  # precision to FLOP/s
    notes: list[str] = field(default_factory=list)

    @property
    def compiles(self) -> bool:
        """Are compiled steps measured? A toy on a CPU would wait minutes for a compiler."""
        return self.device.type == "cuda"

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def step_precision(self) -> str:
        """Of the training steps: the lightest there is."""
        return self.precisions[0] if self.precisions[0] == "bf16" else "fp32"

    def clock(self) -> str:
        """For instance ``0:12 of about 3:00``."""
        minutes = [
            f"{int(s) // 60}:{int(s) % 60:02}" for s in (self.spent, max(self.spent, self.seconds))
        ]
        return " of about ".join(minutes)


def once(value: float) -> Spread:
    """A number that was measured once."""
    return Spread.of([value])
