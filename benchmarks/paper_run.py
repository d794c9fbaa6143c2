"""What a run knows: its data, its time, and what has been trained so far."""

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from hardware import cpu_name
from paper_plan import Plan
from paper_results import Trained, trial_id
from paper_time import Speed, measured, recorded, shortened

from nsa_core import ImageSet, InputError, OneClassSplit, TrialConfig, load_images, one_class_split
from nsa_core.training import best_precision

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
DATASET = "cifar10"  # in configurations, so that ids do not depend on where the files lie
_ROOM = 0.8  # of a run, for one model: the rest is for loading and measuring


@dataclass(frozen=True, slots=True)
class Data:
    """Both splits, all classes that are there."""

    train: ImageSet
    test: ImageSet

    @property
    def fingerprint(self) -> str:
        """Of both splits, as a study's store has it."""
        return f"{self.train.fingerprint}+{self.test.fingerprint}"

    @property
    def classes(self) -> tuple[int, ...]:
        """Indices of the classes that both splits have images of."""
        return tuple(map(int, np.intersect1d(self.train.labels, self.test.labels)))

    def images(self, config: TrialConfig) -> int:
        """How many training images a model has."""
        normals = int((self.train.labels == config.normal_class).sum())
        return normals + int(config.pollution / (1 - config.pollution) * normals + 1e-9)

    def split(self, config: TrialConfig) -> OneClassSplit:
        """What a model is trained and tested on."""
        return one_class_split(
            self.train, self.test, config.normal_class, config.pollution, config.seed
        )


def load(path: str, toy: bool) -> Data:
    """Read both splits of image Parquet files.

    Raises:
        InputError: they cannot be read, or hold classes that CIFAR-10 does not have.
    """
    train, test = (load_images(path, part) for part in ("train", "test"))
    strange = [name for name in train.class_names if name not in CLASSES]
    if strange and not toy:
        raise InputError(
            f"{path} has classes {', '.join(strange[:3])}; need CIFAR-10's ({', '.join(CLASSES)}): "
            "the paper's numbers beside these are of that data set"
        )
    return Data(train, test)


@dataclass(slots=True, kw_only=True)
class Run:
    """One command, from its start to its deadline.

    Attributes:
        folder: of the results.
        seconds, deadline: how long it may take, and when that ends by ``time.monotonic``.
        epochs: at most, if that was asked for.
        at_once: how many models train side by side.
        trained: all models of the folder by trial id, on whatever data; replaced, not changed.
        begun: how many models this run has begun.
        training: those that train now, by trial id.
        stopped: those are to end after their epoch.
        turn: held by who chooses a model, or measures.
        book: held by who writes down what was trained.
    """

    data: Data
    folder: Path
    device: torch.device
    seconds: float
    deadline: float
    epochs: int | None
    toy: bool
    at_once: int = 1
    trained: dict[str, Trained] = field(default_factory=dict)
    begun: int = 0
    training: dict[str, TrialConfig] = field(default_factory=dict)
    stopped: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)
    book: threading.Lock = field(default_factory=threading.Lock)
    speeds: dict[tuple[str, int], Speed] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The list on this data and device; on CUDA it is compiled."""
        return Plan(
            DATASET, self.data.classes, best_precision(self.device),
            compile=self.device.type == "cuda", toy=self.toy,
        )  # fmt: skip

    @property
    def device_name(self) -> str:
        """As results have it."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{cpu_name()}, {torch.get_num_threads()} threads"

    def left(self) -> float:
        """Seconds to the deadline."""
        return self.deadline - time.monotonic()

    def id_of(self, config: TrialConfig) -> str:
        """The trial id on this data."""
        return trial_id(config, self.data.fingerprint)

    def known_speed(self, config: TrialConfig) -> Speed | None:
        """Of this kind of model on this device, as the results tell, or as measured here."""
        kind = (config.method, config.batch_size)
        if kind not in self.speeds and (
            told := recorded(self.trained.values(), config, self.device_name, self.at_once)
        ):
            self.speeds[kind] = told
        return self.speeds.get(kind)

    def speed(self, config: TrialConfig) -> Speed:
        """The same, measured now if nothing is known."""
        if (known := self.known_speed(config)) is None:
            self.say(f"measuring {config.method}, batch {config.batch_size}")
            known = measured(config, self.data.split(config), self.device, self.at_once)
            self.speeds[config.method, config.batch_size] = known
        return known

    def forecast(self, config: TrialConfig) -> float:
        """Seconds that a whole model takes beside the others."""
        return self.speed(config).seconds(config, self.data.images(config))

    def at_length(self, config: TrialConfig) -> TrialConfig:
        """A model of the paper's length at the length that this run gives it."""
        if self.epochs is not None:
            return replace(config, budget=min(self.epochs, config.budget))
        images, room = self.data.images(config), _ROOM * self.seconds
        return shortened(config, images, self.speed(config), room)

    def say(self, text: str) -> None:
        """Print a line, whole, whoever else does."""
        print(f"[{self.clock()}] {text}\n", end="", flush=True)

    def clock(self) -> str:
        """For instance ``2:10 of 10:00``."""
        spent = self.seconds - self.left()
        return " of ".join(f"{int(s) // 60}:{int(s) % 60:02}" for s in (spent, self.seconds))
