"""The configuration of a trial: frozen, checked, and with a canonical form to hash."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nsa_core import methods
from nsa_core.augment import Augmentation
from nsa_core.data import MAX_HELD_OUT, MAX_POLLUTION
from nsa_core.errors import InputError, real, unknown, whole
from nsa_core.models import BLOCKS, STEMS, NormVariant

BUDGETS = ("epochs", "steps")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """All that decides a trial's numbers, apart from the data itself.

    Attributes:
        dataset: a name or Parquet path that ``load_images`` knows.
        normal_class: index of the class that is normal.
        method: "simsiam", "byol" or "simclr".
        norm: where the l2-normalisations sit.
        batch_size: images a step; the last, incomplete batch of an epoch is dropped.
        pollution: outliers' share of the training set, in [0, 0.5].
        seed: of weights, order, views and pollution, each its own stream.
        budget: training length, in ``budget_unit``.
        budget_unit: "epochs", or "steps" to compare batch sizes at an equal number of updates.
        evaluations: how many epochs are evaluated, log-spaced; the last one always is.
        layers: whose features are scored, of ``methods.LAYERS``; those of the encoder unless told
            otherwise, with which the ensemble comes.
        probe_images: labelled training images of all classes that probes learn from at every
            evaluation, 0 for no probes; for analysis alone, nothing selects by them.
        held_out: share of the normal training images that is withheld, in [0, 0.5], to be told
            from as many training images of other classes at every evaluation; 0 for none. What
            selects may read that AUROC: the test split has no part in it.
        learning_rate, weight_decay: of Adam; the rate falls to 0 along half a cosine.
        depth, width, stem: of the ResNet.
        precision: "fp32" (torch's default: on CUDA with TF32 convolutions), or "bf16" autocast in
            the encoder; views, heads, losses and evaluations stay in float32.
        channels_last: memory layout of the encoder; needs a width of at least 8.
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
    probe_images: int = 0
    held_out: float = 0.0
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    depth: int = 18
    width: int = 64
    stem: str = "3x3"
    precision: str = "fp32"
    channels_last: bool = True
    augment: Augmentation = field(default_factory=Augmentation)
    method_options: Mapping[str, int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("pollution", "held_out", "learning_rate", "weight_decay"):
            object.__setattr__(self, name, real(name, getattr(self, name)))
        for name, least in (
            ("normal_class", 0),
            ("seed", 0),
            ("batch_size", 2),
            ("budget", 1),
            ("evaluations", 1),
            ("probe_images", 0),
            ("width", 1),
        ):
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        for name, known in (
            ("method", methods.available()),
            ("norm", [variant.value for variant in NormVariant]),
            ("budget_unit", BUDGETS),
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
            ("channels_last", bool),
            ("augment", Augmentation),
            ("method_options", Mapping),
        ):
            if not isinstance(getattr(self, name), kind):
                raise InputError(f"{name} is {getattr(self, name)!r}; need a {kind.__name__}")
        object.__setattr__(self, "layers", _checked_layers(self.layers))
        allowed = methods.norms(self.method)
        if self.norm not in allowed:
            raise InputError(
                f"norm is {self.norm.value!r}, which does not apply to {self.method}; "
                f"use one of: {', '.join(allowed)}"
            )
        object.__setattr__(
            self, "method_options", methods.checked_options(self.method, self.method_options)
        )
        if self.channels_last and self.width < 8:
            raise InputError(
                f"width is {self.width}; with channels_last it must be at least 8, because oneDNN "
                "corrupts memory below that (torch 2.14); set channels_last to false"
            )
        for name, most in (("pollution", MAX_POLLUTION), ("held_out", MAX_HELD_OUT)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"{name} is {getattr(self, name)}; need a share in [0, {most}]")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate is {self.learning_rate}; need a number above 0")
        if self.weight_decay < 0:
            raise InputError(f"weight_decay is {self.weight_decay}; need at least 0")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain

    def canonical(self) -> str:
        """One string for one configuration, whatever the order or the types it was given in."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "TrialConfig":
        """The inverse of ``to_dict``; an unknown key is an InputError."""
        known = {item.name for item in fields(cls)}
        for key in plain:
            if key not in known:
                raise unknown("configuration key", key, known)
        values = dict(plain)
        if isinstance(values.get("augment"), Mapping):
            recipe = {item.name for item in fields(Augmentation)}
            for key in values["augment"]:
                if key not in recipe:
                    raise unknown("augmentation key", key, recipe)
            values["augment"] = Augmentation(**values["augment"])
        return cls(**values)


def _checked_layers(layers: object) -> tuple[str, ...]:
    """The layers in the order of ``methods.LAYERS``; the embedding is always among them."""
    if not isinstance(layers, list | tuple):
        raise InputError(f"layers is {layers!r}; need a list of {', '.join(methods.LAYERS)}")
    for layer in layers:
        if layer not in methods.LAYERS:
            raise unknown("layer", layer, methods.LAYERS)
    if "embedding" not in layers:
        raise InputError(f"layers is {list(layers)}; need the embedding among them")
    return tuple(layer for layer in methods.LAYERS if layer in layers)
