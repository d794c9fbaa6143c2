"""What a contrastive method's loss is of, made step by step from the same draws."""

import torch

from nsa_core.augment import Augmentation, augment


def loss_and_projections(method, norm, images):
    """The loss of uint8 images, and the projections of both views that it should compare."""
    images = torch.from_numpy(images)
    generator = torch.Generator().manual_seed(3)
    loss = method.loss(images, lambda x, n: augment(x, Augmentation(), generator, n))
    generator = torch.Generator().manual_seed(3)
    views = [augment(images, Augmentation(), generator) for _ in range(2)]
    y = method.encoder(torch.cat(views))
    if norm.on_embedding:
        y = y / y.norm(dim=1, keepdim=True)
    return loss, *method.projector(y).detach().chunk(2)
