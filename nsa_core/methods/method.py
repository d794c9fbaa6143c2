"""The protocol between a self-supervised method and the trainer."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from nsa_core.augment import Augmentation
from nsa_core.methods.rotations import check_square
from nsa_core.models import Encoder, NormVariant

ENCODER_LAYERS = ("stem", "stage1", "stage2", "stage3", "embedding")
LAYERS = (*ENCODER_LAYERS, "projection")
"""Where features are taken: pooled maps of the encoder, the last of them y, and z."""


class Augment(Protocol):
    """uint8 images [B, C, H, W] to random views, float32 [views * B, C, H, W] in [0, 1].

    The first view of all images comes first. One call for two views is half the operations of two.
    ``strength`` in [0, 1] is that of the recipe's changes, see ``Augmentation.weakened``.
    """

    def __call__(self, images: Tensor, views: int = 1, /, *, strength: float = 1.0) -> Tensor: ...


class Method(nn.Module):
    """An encoder, a loss for a batch of images, and hooks around each step.

    A method makes its own views, as many as it wants, through the ``augment`` that it is handed:
    randomness comes from there alone. On CUDA ``loss``, ``before_step`` and ``after_step`` are
    captured once and replayed: they must not wait for the device, make a tensor from Python values,
    or depend on a Python number that changes from step to step.
    """

    norms: ClassVar[tuple[NormVariant, ...]] = tuple(NormVariant)
    """The norm variants that apply."""

    recipe: ClassVar[Mapping[str, Any]] = {}
    """The published training, as fields of ``TrialConfig``."""

    square_only: ClassVar[bool] = False
    """Does the method turn images by 90 degrees?"""

    instances: ClassVar[int] = 1
    """How many instances ``prepare`` makes of an image; an epoch runs over all of them."""

    collapsed_below: ClassVar[Mapping[str, float]] = {"embedding": 0.01, "projection": 0.1}
    """Spread below which a space has collapsed; embeddings are meant to be compact. A method that
    draws the projections of normal images together on purpose leaves them out."""

    own_score_versions: ClassVar[Mapping[str, int]] = {}
    """The method's own scores, and the version of each one's definition."""

    scores_at_the_end: ClassVar[bool] = False
    """Are the own scores so expensive that the last evaluation alone has them?"""

    pretrained: ClassVar[bool] = False
    """Is the encoder a backbone that others have trained?"""

    trains: ClassVar[bool] = True
    """Are there steps? Else the model is evaluated as it is, once."""

    encoder: Encoder

    def prepare(self, images: Tensor) -> Tensor:
        """What training draws its batches from: uint8 [instances * N, C, H, W] of the training
        images [N, C, H, W], on their device.

        Raises:
            InputError: the method cannot take images of this shape.
        """
        if self.square_only:
            check_square(images)
        return images

    def begin(self, images: Tensor) -> None:
        """Called once, before the first step of a training, with all that its batches are drawn
        from; not when it goes on from a checkpoint, which has the method's buffers.
        """

    def training_rows(self, epoch: int, images: int, embed: Callable[[], Tensor]) -> Tensor | None:
        """Which rows of what ``prepare`` made this epoch learns from: int64 on the CPU, or None for
        all of them.

        Called before each epoch. What it remembers for later epochs is a buffer, so that an
        interrupted training goes on with the same rows.

        Args:
            epoch: from 1.
            images: N, of the training set.
            embed: gives the embeddings y [N, d] of all training images, in evaluation mode.

        Raises:
            InputError: the method cannot learn from so few images.
        """
        return None

    def loss(self, images: Tensor, augment: Augment) -> Tensor:
        """The scalar loss of uint8 images [B, C, H, W]."""
        raise NotImplementedError

    def project(self, embedding: Tensor) -> Tensor:
        """Projection z [B, d] of embeddings y [B, features], before any g-norm."""
        raise NotImplementedError

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Features of images [B, C, H, W] in [0, 1], each float32 [B, d], by layer."""
        pooled = self.encoder.pooled_stages(images)
        found = dict(zip(ENCODER_LAYERS[-len(pooled) :], pooled, strict=True))
        return {**found, "projection": self.project(found["embedding"])}

    def own_scores(
        self, train: Tensor, test: Tensor, views: Augmentation, stream: torch.Generator
    ) -> dict[str, Tensor]:
        """The scores of ``own_score_versions``, each [M]; higher is more anomalous.

        Called in evaluation mode, without gradients and in true float32.

        Args:
            train, test: uint8 images [N, C, H, W] and [M, C, H, W], on the method's device.
            views: the recipe that training draws its views by.
            stream: where all randomness comes from, the same at every evaluation of a trial.
        """
        return {}

    def pace(self, progress: float) -> float:
        """What ``after_step`` is handed when this share of the steps is done, in (0, 1]."""
        return 0.0

    def before_step(self) -> None:
        """Called between the gradients and the optimiser's step."""

    def after_step(self, pace: Tensor) -> None:
        """Called after each optimiser step; ``pace`` is a scalar float32 on the device."""
