"""Which models the paper's tables consist of, in the order in which they are trained."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nsa_core import TrialConfig

SEEDS = (0, 1, 2)
EVALUATIONS = 6


@dataclass(frozen=True, slots=True)
class Arm:
    """A number of the paper: a kind of model on CIFAR-10, and its AUROC as a mean over classes.

    Attributes:
        table: its table in the paper.
        name: as the paper calls it.
        paper: AUROC in %, by the paper's k-Cos (METHODS, section 6).
        epochs: how long the paper trains it.
    """

    table: int
    name: str
    method: str
    norm: str
    pollution: float
    paper: float
    epochs: int
    batch_size: int = 512

    def of(self, config: TrialConfig) -> bool:
        """Is this a model of the arm, of whatever length, class and seed?"""
        mine = (self.method, self.norm, self.pollution, self.batch_size)
        return (config.method, config.norm, config.pollution, config.batch_size) == mine


def _simsiam(norm: str, batch_size: int, paper: float) -> Arm:
    return Arm(3, f"SimSiam, {norm}", "simsiam", norm, 0.0, paper, 4000, batch_size)


GROUPS: tuple[tuple[Arm, ...], ...] = (
    (
        Arm(1, "SC", "simclr", "none", 0.0, 86.3, 500),
        Arm(1, "SC(n)", "simclr", "f", 0.0, 88.9, 500),
        Arm(1, "SC", "simclr", "none", 0.1, 65.6, 500),
        Arm(1, "SC(n)", "simclr", "f", 0.1, 79.8, 500),
    ),
    (
        _simsiam("none", 32, 77.97),
        _simsiam("f", 32, 85.76),
        _simsiam("g", 32, 81.73),
        _simsiam("both", 32, 92.9),
        _simsiam("none", 512, 89.56),
        _simsiam("f", 512, 91.63),
        _simsiam("g", 512, 89.22),
        _simsiam("both", 512, 91.7),
    ),
    (
        Arm(1, "SS", "simsiam", "none", 0.0, 89.5, 4000),  # the same models as Table 3's
        Arm(1, "SS(n)", "simsiam", "both", 0.0, 91.7, 4000),
        Arm(1, "SS", "simsiam", "none", 0.1, 83.2, 4000),
        Arm(1, "SS(n)", "simsiam", "both", 0.1, 86.3, 4000),
        Arm(1, "BYOL", "byol", "none", 0.0, 88.5, 4000),
        Arm(1, "BYOL(n)", "byol", "both", 0.0, 90.5, 4000),
        Arm(1, "BYOL", "byol", "none", 0.1, 82.9, 4000),
        Arm(1, "BYOL(n)", "byol", "both", 0.1, 85.3, 4000),
    ),
)

TOY_OPTIONS = {
    "simclr": {"hidden_dim": 32, "projector_dim": 16},
    "simsiam": {"projector_dim": 32, "predictor_dim": 16},
    "byol": {"hidden_dim": 32, "projector_dim": 16},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """All models, on some data and a device.

    Attributes:
        dataset: as configurations have it; where the files lie does not count.
        classes: those that can be normal.
        precision: what the device trains in.
        compile: whether it is compiled.
        toy: a tiny network and tiny batches, to try the machinery.
    """

    dataset: str
    classes: tuple[int, ...]
    precision: str
    compile: bool = False
    toy: bool = False

    def groups(self) -> list[list[Arm]]:
        """The arms that are trained side by side."""
        shrink = 16 if self.toy else 1
        return [
            [replace(arm, batch_size=arm.batch_size // shrink) for arm in group] for group in GROUPS
        ]

    def models(self) -> Iterator[tuple[Arm, TrialConfig]]:
        """Every model at the paper's length, in order: all arms of a group have the same classes
        early, and every class comes before the next seed.
        """
        for seed in SEEDS:
            for group in self.groups():
                for normal_class in self.classes:
                    for arm in group:
                        yield arm, self.config(arm, normal_class, seed)

    def config(self, arm: Arm, normal_class: int, seed: int) -> TrialConfig:
        """One model at the paper's length; what the paper leaves open has the project's default."""
        config = TrialConfig(
            dataset=self.dataset,
            normal_class=normal_class,
            method=arm.method,
            norm=arm.norm,
            batch_size=arm.batch_size,
            pollution=arm.pollution,
            seed=seed,
            budget=arm.epochs,
            evaluations=EVALUATIONS,
            precision=self.precision,
            compile=self.compile,
        )
        if self.toy:
            config = replace(config, depth=10, width=8, method_options=TOY_OPTIONS[arm.method])
        return config
