"""What every encoder is: images in [0, 1] to pooled features of its stages."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Encoder f.

    Attributes:
        features: width of the embedding y.
        images_at_once: how many pass through it together in an evaluation.
    """

    features: int
    images_at_once = 512

    def parts(self) -> Sequence[nn.Module]:
        """The stem and the stages, or the one part of a network that has none."""
        raise NotImplementedError

    def prepared(self, images: Tensor) -> Tensor:
        """What the first part takes, from images [B, 1 or 3, H, W] in [0, 1]."""
        raise NotImplementedError

    def __call__(self, images: Tensor, stage: int | None = None) -> Tensor:
        """As ``forward``; what is compiled is for training steps, and evaluations pass it by."""
        evaluated = not self.training and not torch.is_grad_enabled()
        call = self._call_impl if evaluated else super().__call__
        return call(images, stage)  # type: ignore[no-any-return, no-untyped-call]

    def forward(self, images: Tensor, stage: int | None = None) -> Tensor:
        """Embedding y: float32 [B, features], the pooled output of the last part; or that of a
        stage, from 1, float32 [B, channels], and later ones do not run.
        """
        return _pool(self.maps(images, None if stage is None else stage + 1)[-1])

    def pooled_stages(self, images: Tensor) -> list[Tensor]:
        """The pooled outputs of all parts, each float32 [B, channels]; y is the last."""
        return [_pool(each) for each in self.maps(images)]

    def maps(self, images: Tensor, parts: int | None = None) -> list[Tensor]:
        """The outputs of the first ``parts``, or of all, before pooling: [B, channels, h, w]; of a
        network that pools by itself [B, channels].
        """
        x = self.prepared(images)
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if next(self.parameters()).is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        maps = []
        for part in self.parts()[:parts]:
            x = part(x)
            maps.append(x)
        return maps


def _pool(found: Tensor) -> Tensor:
    """Global average of maps in float32, whatever their precision; vectors as they are."""
    return found.float().mean(dim=(2, 3)) if found.ndim == 4 else found.float()
