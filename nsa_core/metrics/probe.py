"""Linear and k-NN probes on frozen features; they use labels, so for analysis only."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nsa_core.errors import InputError, whole
from nsa_core.seeds import derive_seed

_BLOCK = 1024


def linear_probe(
    train: Tensor,
    train_labels: npt.NDArray[np.int64],
    test: Tensor,
    test_labels: npt.NDArray[np.int64],
    *,
    epochs: int = 100,
    batch_size: int = 512,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> float:
    """Top-1 test accuracy, in [0, 1], of a linear classifier on frozen features [n, d], [m, d].

    Standardised features, softmax regression, SGD with momentum 0.9 and a cosine schedule, no
    weight decay: the protocol of Zhang et al. 2016 with today's settings. A dimension that is
    constant in training is left out.
    """
    classes = _check(train, train_labels, test, test_labels)
    steps = whole("epochs", epochs, 1) * -(-len(train) // whole("batch_size", batch_size, 1))
    exact = train.detach().double()
    mean, deviation = exact.mean(dim=0), exact.std(dim=0, unbiased=False)
    constant = deviation <= 1e-9 * exact.abs().amax(dim=0)  # rounding of the mean alone
    scale = deviation.masked_fill(constant, torch.inf)
    x = ((exact - mean) / scale).float()
    y = torch.as_tensor(train_labels, device=x.device).long()
    weight = torch.zeros(classes, x.shape[1], device=x.device, requires_grad=True)
    bias = torch.zeros(classes, device=x.device, requires_grad=True)
    optimiser = torch.optim.SGD([weight, bias], learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    order = torch.Generator().manual_seed(derive_seed(seed, "probe"))
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).to(x.device).split(batch_size):
            loss = F.cross_entropy(F.linear(x[rows], weight, bias), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    with torch.inference_mode():
        inputs = ((test.double() - mean) / scale).float()
        guess = F.linear(inputs, weight, bias).argmax(dim=1)
    return _accuracy(guess, test_labels)


def knn_probe(
    train: Tensor,
    train_labels: npt.NDArray[np.int64],
    test: Tensor,
    test_labels: npt.NDArray[np.int64],
    *,
    k: int = 200,
    temperature: float = 0.07,
) -> float:
    """Top-1 test accuracy, in [0, 1], of the weighted k-NN of Wu et al. 2018.

    The k nearest training features by cosine vote with weight exp(cosine / temperature).
    """
    classes = _check(train, train_labels, test, test_labels)
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; need a number above 0")
    count = min(whole("k", k, 1), len(train))
    bank = F.normalize(train.float(), dim=1)
    labels = torch.as_tensor(train_labels, device=train.device).long()
    votes_for = F.one_hot(labels, classes).float()
    guesses = []
    for block in F.normalize(test.float(), dim=1).split(_BLOCK):
        near = (block @ bank.T).topk(count, dim=1)
        # less the largest: a common factor, against overflow and against weights that are all 0
        weights = ((near.values - near.values[:, :1]) / temperature).exp()
        guesses.append((weights[:, :, None] * votes_for[near.indices]).sum(dim=1).argmax(dim=1))
    return _accuracy(torch.cat(guesses), test_labels)


def _check(
    train: Tensor,
    train_labels: npt.NDArray[np.int64],
    test: Tensor,
    test_labels: npt.NDArray[np.int64],
) -> int:
    """Check the inputs; return the number of classes."""
    for name, features, labels in (
        ("training", train, train_labels),
        ("test", test, test_labels),
    ):
        if features.ndim != 2 or len(features) == 0 or len(features) != len(labels):
            raise InputError(
                f"{name} features are {list(features.shape)} with {len(labels)} labels; "
                "need [N, d] and [N]"
            )
        if not torch.isfinite(features).all():
            raise InputError(f"{name} features are not finite; a feature holds NaN or infinity")
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise InputError(
                f"{name} labels are {labels.dtype} {list(labels.shape)}; need whole numbers [N]"
            )
        if labels.min() < 0:
            raise InputError(f"{name} labels hold {labels.min()}; need 0 or more")
    if train.shape[1] != test.shape[1]:
        raise InputError(
            f"training features have {train.shape[1]} dimensions, test features {test.shape[1]}"
        )
    return int(max(train_labels.max(), test_labels.max())) + 1


def _accuracy(guess: Tensor, labels: npt.NDArray[np.int64]) -> float:
    return float((guess.cpu().numpy() == labels).mean())
