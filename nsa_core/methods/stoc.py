"""STOC, or SRR (Yoon et al., TMLR 2022): train, vote outliers out, and train on what is left."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from nsa_core.augment import Augmentation
from nsa_core.errors import InputError
from nsa_core.methods.method import Method
from nsa_core.methods.refinement import OneClass, check_subsets, refine
from nsa_core.models import NormVariant, ResNet

MAX_OUTLIER_SHARE = 0.5


class STOC(Method):
    """Data refinement around another method, of which ``around`` makes a subclass.

    Every few epochs one-class models, each fitted on a part of all training images, vote; the
    next epochs learn from the images that none of them flags. The method needs to be told how many
    outliers to expect. Its own score is that of one model, fitted on the images that the network
    as it is keeps; the common scores are fitted on all images.

    Args:
        encoder, norm: as the method around which it stands.
        subsets: K, the models that vote; every K-th image is fitted by the same one.
        outlier_share: gamma, the share of all images that each model flags, in (0, 0.5]. The
            paper's is 1 to 2 times the true share of outliers.
        refine_every: epochs between two votes; the first epochs learn from all images.
        one_class: the model, "gde" or "kde".
        base_options: of the method around which it stands.
    """

    own_score_versions: ClassVar = {"stoc": 1}

    kept: Tensor

    def __init__(
        self,
        encoder: ResNet,
        norm: NormVariant,
        *,
        subsets: int = 5,
        outlier_share: float = 0.1,
        refine_every: int = 10,
        one_class: OneClass = OneClass.GDE,
        **base_options: Any,
    ) -> None:
        super().__init__(encoder, norm, **base_options)
        if not 0 < outlier_share <= MAX_OUTLIER_SHARE:
            raise InputError(
                f"outlier_share is {outlier_share}; need a share in (0, {MAX_OUTLIER_SHARE}]"
            )
        self.subsets, self.outlier_share = subsets, outlier_share
        self.refine_every, self.one_class = refine_every, one_class
        self.register_buffer("kept", torch.ones(0, dtype=torch.bool))
        """bool [N], the training images that the last vote kept; empty before the first."""

    def training_rows(self, epoch: int, images: int, embed: Callable[[], Tensor]) -> Tensor | None:
        check_subsets(self.subsets, images)
        if epoch > 1 and (epoch - 1) % self.refine_every == 0:
            self.kept = self._refined(embed()).to(self.kept.device)
        if len(self.kept) == 0:
            return None
        rows = self.kept.cpu().nonzero().squeeze(1)
        return torch.cat([rows + copy * images for copy in range(self.instances)])

    def own_scores(
        self, train: Tensor, test: Tensor, views: Augmentation, stream: torch.Generator
    ) -> dict[str, Tensor]:
        found = super().own_scores(train, test, views, stream)
        train_features, test_features = (self._embeddings(images) for images in (train, test))
        kept = self._refined(train_features).to(train_features.device)
        known = train_features[kept] if kept.any() else train_features
        model = self.one_class.build().fit(known)
        return {**found, "stoc": torch.from_numpy(model.score(test_features))}

    def _refined(self, features: Tensor) -> Tensor:
        subsets = min(self.subsets, len(features))  # scores may be asked for by few images
        return refine(features, subsets, self.outlier_share, self.one_class)

    def _embeddings(self, images: Tensor) -> Tensor:
        """Embeddings y of uint8 images."""
        return torch.cat([self.encoder(block / 255) for block in images.split(512)])

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Tensor], prefix: str, *others: Any
    ) -> None:
        """The mask is as long as the training set of the checkpoint, or empty."""
        self.kept = torch.empty_like(
            state_dict.get(f"{prefix}kept", self.kept), device=self.kept.device
        )
        super()._load_from_state_dict(state_dict, prefix, *others)


def around(base: type[Method]) -> type[Method]:
    """The class of STOC around a method: all that is not refinement is that method's."""
    versions = {**base.own_score_versions, **STOC.own_score_versions}
    return type(f"STOCAround{base.__name__}", (STOC, base), {"own_score_versions": versions})
