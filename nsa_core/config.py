"""The configuration of a trial: frozen, checked, and with a canonical form to hash."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nsa_core import methods
from nsa_core.augment import Augmentation
from nsa_core.config_checks import (
    OF_BACKBONE,
    OF_SCRATCH,
    RANGES,
    checked_layers,
    checked_number,
    checked_slow,
    weights_identity,
)
from nsa_core.errors import InputError, check_known, unknown, whole
from nsa_core.models import BLOCKS, STEMS, NormVariant

BUDGETS = ("epochs", "steps")
PRECISIONS = ("fp32", "bf16")
OPTIMISERS = ("adam", "sgd", "lars")

LATER = ("slow_scores", "compile", "optimiser", "momentum", "warmup_epochs", *OF_BACKBONE)
"""Fields that came after trials had been stored: while they have their defaults they are in no
canonical form, and the trials keep their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """Everything that determines a trial's numbers, except the data itself.

    Attributes:
        dataset: a name or Parquet path that ``load_images`` knows.
        normal_class: index of the class that is normal.
        method: a name of ``methods.available()``.
        norm: where the l2-normalisations sit.
        batch_size: images a step; the last, incomplete batch of an epoch is dropped.
        pollution: outliers' share of the training set, in [0, 0.5].
        seed: of weights, order, views and pollution, each its own stream.
        budget: training length, in ``budget_unit``.
        budget_unit: "epochs", or "steps" to compare batch sizes at an equal number of updates.
        evaluations: how many epochs are evaluated, log-spaced; the last one always is.
        layers: whose features are scored, of ``methods.LAYERS``; those of the encoder unless told
            otherwise, with which the ensemble comes.
        slow_scores: those of ``scorers.SLOW`` that every evaluation has; the last one has them all.
        probe_images: labelled training images of all classes that probes learn from at every
            evaluation, 0 for no probes; for analysis alone, nothing selects by them.
        held_out: share of the normal training images that is withheld, in [0, 0.5], to be told
            from as many training images of other classes at every evaluation; 0 for none. What
            selects may read that AUROC: the test split has no part in it.
        learning_rate, weight_decay: of the optimiser; the rate falls to 0 along half a cosine.
        optimiser: "adam", "sgd" or "lars", see ``nsa_core.training.optimiser``.
        momentum: of SGD and LARS, in [0, 1).
        warmup_epochs: in which the rate rises linearly to ``learning_rate``, before the cosine.
        depth, width, stem: of the ResNet that is trained from scratch.
        backbone: the pre-trained encoder in its place, for methods that take one: a ResNet of
            torchvision, "efficientnet_lite0", or "timm:NAME".
        weights: its file, relative to ``$NSA_WEIGHTS`` or else to the current folder; "" for the
            weights that come in EfficientNet-Lite0's package.
        weights_sha256: of that file, which is read for it where none is given.
        image_size: side in pixels that images are resized to for it.
        precision: "fp32" (torch's default: on CUDA with TF32 convolutions), or "bf16" autocast in
            the encoder; views, heads, losses and evaluations stay in float32.
        channels_last: memory layout of the encoder; needs a width of at least 8.
        compile: let torch's compiler make encoder and views of one shape faster, where there is a
            compiler; the numbers differ in their last digits.
        augment: the recipe of views.
        method_options: the method's own options; absent ones take its defaults.
    """

    dataset: str = "digits"
    normal_class: int = 0
    method: str = "simsiam"
    norm: NormVariant = NormVariant.BOTH
    batch_size: int = 512
    pollution: float = 0.0
    seed: int = 0
    budget: int = 100
    budget_unit: str = "epochs"
    evaluations: int = 10
    layers: tuple[str, ...] = methods.ENCODER_LAYERS
    slow_scores: tuple[str, ...] = ()
    probe_images: int = 0
    held_out: float = 0.0
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    optimiser: str = "adam"
    momentum: float = 0.9
    warmup_epochs: int = 0
    depth: int = 18
    width: int = 64
    stem: str = "3x3"
    backbone: str = ""
    weights: str = ""
    weights_sha256: str = ""
    image_size: int = 224
    precision: str = "fp32"
    channels_last: bool = True
    compile: bool = False
    augment: Augmentation = field(default_factory=Augmentation)
    method_options: Mapping[str, methods.Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in RANGES:
            object.__setattr__(self, name, checked_number(name, getattr(self, name)))
        for name, least in (
            ("normal_class", 0),
            ("seed", 0),
            ("batch_size", 2),
            ("budget", 1),
            ("evaluations", 1),
            ("probe_images", 0),
            ("warmup_epochs", 0),
            ("width", 1),
            ("image_size", 1),
        ):
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        for name, known in (
            ("method", methods.available()),
            ("norm", [variant.value for variant in NormVariant]),
            ("budget_unit", BUDGETS),
            ("optimiser", OPTIMISERS),
            ("stem", STEMS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        object.__setattr__(self, "norm", NormVariant(self.norm))
        object.__setattr__(self, "depth", whole("depth", self.depth, 1))
        if self.depth not in BLOCKS:
            raise unknown("depth", self.depth, map(str, BLOCKS))
        for name, kind in (
            ("dataset", str),
            ("backbone", str),
            ("weights", str),
            ("weights_sha256", str),
            ("channels_last", bool),
            ("compile", bool),
            ("augment", Augmentation),
            ("method_options", Mapping),
        ):
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} is {getattr(self, name)!r}; need a {kind.__name__}")
        object.__setattr__(self, "layers", checked_layers(self.layers))
        object.__setattr__(self, "slow_scores", checked_slow(self.slow_scores))
        methods.check_norm(self.method, self.method_options, self.norm)
        object.__setattr__(
            self, "method_options", methods.checked_options(self.method, self.method_options)
        )
        given = {
            name: value
            for name in (*OF_SCRATCH, *OF_BACKBONE)
            if (value := getattr(self, name)) != _default(name)
        }
        sha256 = weights_identity(self.method, self.method_options, given)
        object.__setattr__(self, "weights_sha256", sha256)
        if self.channels_last and self.width < 8:
            raise InputError(
                f"width is {self.width}; with channels_last it must be at least 8, because oneDNN "
                "corrupts memory below that (torch 2.14); set channels_last to false"
            )
        if self.optimiser == "adam" and self.momentum != _default("momentum"):
            raise InputError(
                f"momentum is {self.momentum}, but Adam takes none; leave it out or use sgd or lars"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, for JSON; see ``LATER`` for what is left out."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        for name in LATER:
            if getattr(self, name) == _default(name):
                del plain[name]
        return plain

    def canonical(self) -> str:
        """A canonical string: equal configurations give equal strings."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "TrialConfig":
        """The inverse of ``to_dict``; an unknown key is an InputError."""
        known = {item.name for item in fields(cls)}
        check_known("configuration key", plain, known)
        values = dict(plain)
        if isinstance(values.get("augment"), Mapping):
            values["augment"] = Augmentation.from_dict(values["augment"])
        return cls(**values)


def _default(name: str) -> Any:
    return next(each.default for each in fields(TrialConfig) if each.name == name)
