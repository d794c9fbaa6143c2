"""A small network that has learned the digits 0 to 4 with their labels, as a backbone for tests."""

import torch
import torch.nn.functional as F

from nsa_core.models import ResNet

STEPS = 15


def tiny_backbone(train) -> ResNet:
    """A ResNet-10 of width 8; ``train`` is the training split of digits."""
    torch.manual_seed(0)
    encoder, classifier = ResNet(10, 8), torch.nn.Linear(64, 5)
    known = train.labels < 5
    images, labels = (torch.tensor(each[known]) for each in (train.images, train.labels))
    optimiser = torch.optim.Adam([*encoder.parameters(), *classifier.parameters()], 3e-3)
    for _ in range(STEPS):
        rows = torch.randint(0, len(images), (32,))
        loss = F.cross_entropy(classifier(encoder(images[rows] / 255)), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return encoder


def adapt(method, images, augment, steps: int, rate: float) -> None:
    """SGD with momentum on uint8 images, as a training does it."""
    stream = torch.Generator().manual_seed(0)
    method.begin(images)
    method.train()
    free = [each for each in method.parameters() if each.requires_grad]
    optimiser = torch.optim.SGD(free, rate, momentum=0.9)
    for _ in range(steps):
        rows = torch.randint(0, len(images), (32,), generator=stream)
        loss = method.loss(images[rows], lambda x, views=1: augment(x, stream, views))
        optimiser.zero_grad()
        loss.backward()
        method.before_step()
        optimiser.step()
