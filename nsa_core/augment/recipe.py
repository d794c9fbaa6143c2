"""The augmentation recipe: the distributions that views are drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from nsa_core.errors import InputError, check_known, real


@dataclass(frozen=True, slots=True)
class Augmentation:
    """A recipe. The default is SimSiam's for 32x32 images (METHODS: ``simsiam32``).

    Attributes:
        crop_scale: range of the crop's share of the area, within (0, 1].
        crop_ratio: range of the crop's width / height.
        flip: probability of a horizontal flip.
        brightness, contrast, saturation: a factor is drawn from [max(0, 1 - x), 1 + x].
        hue: a shift is drawn from [-x, x] turns, x in [0, 0.5].
        jitter: probability that the four above are applied at all.
        grey: probability of turning grey.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    jitter: float = 0.8
    grey: float = 0.2

    def __post_init__(self) -> None:
        for name, top in (("crop_scale", 1.0), ("crop_ratio", 1e6)):
            pair = getattr(self, name)
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise InputError(f"augment.{name} is {pair!r}; need two numbers, low and high")
            low, high = (real(f"augment.{name}", each) for each in pair)
            if not 0 < low <= high <= top:
                raise InputError(f"augment.{name} is {low, high}; need 0 < low <= high <= {top:g}")
            object.__setattr__(self, name, (low, high))
        limits = {"hue": 0.5, "flip": 1.0, "jitter": 1.0, "grey": 1.0}
        for name in ("brightness", "contrast", "saturation", *limits):
            value = real(f"augment.{name}", getattr(self, name))
            top = limits.get(name, float("inf"))
            if not 0 <= value <= top:
                raise InputError(f"augment.{name} is {value}; need a number in [0, {top}]")
            object.__setattr__(self, name, value)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Augmentation":
        """The inverse of ``dataclasses.asdict``; an unknown key is an InputError."""
        check_known("augmentation key", plain, {item.name for item in fields(cls)})
        return cls(**plain)

    def weakened(self, strength: float) -> "Augmentation":
        """The same kinds of changes, as often, at a share of their strength in [0, 1].

        Crops of less area, jitter in narrower ranges, and the logarithm of the crops' ratio, are
        scaled towards no change; 1 is the recipe itself. Flips and grey have no strength.
        """
        if strength == 1:
            return self
        (low, high), (narrow, wide) = self.crop_scale, self.crop_ratio
        return replace(
            self,
            crop_scale=(1 - strength * (1 - low), 1 - strength * (1 - high)),
            crop_ratio=(narrow**strength, wide**strength),
            brightness=strength * self.brightness,
            contrast=strength * self.contrast,
            saturation=strength * self.saturation,
            hue=strength * self.hue,
        )
