"""Contrast that gathers inliers and disperses outliers (UniCLR of UniCon-HA, and FIRM)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def unilateral_contrast(
    z1: Tensor, z2: Tensor, inliers: int, temperature: float, soft: float | None = None
) -> Tensor:
    """All views of inliers are one class, each outlier is a class of its own.

    Eq. 5 of UniCon-HA (Wang et al. 2023): SupCon (Khosla et al. 2020) over the 2 M views of M
    instances, in which every other view of an inlier is a positive of an inlier's view, and of an
    outlier's view the other view of the same outlier alone.

    With ``soft`` the positives p of an inlier's view a count by w_a w_p, where w of a view rises
    with its similarity to all inliers' views but a: sum over them of exp(cos / soft) (Eq. 7; what
    it is divided by cancels). Eq. 6 has the weights inside of the logarithm, where they would
    scale the gradient and weigh nothing against each other; here they stand before it, and the
    mean is over their sum. Weights have no gradient.

    Args:
        z1, z2: projections of two views, each [M, d]; inliers first.
        inliers: how many of the M are inliers, at least 1; 2 with ``soft``.
        temperature: of the softmax over cosines, above 0.
        soft: temperature of the weights, above 0; None for equal ones.

    Returns:
        The mean over the 2 M views, in float32 also under autocast.
    """
    with torch.autocast(z1.device.type, enabled=False):
        unit = F.normalize(torch.cat([z1, z2]).float(), dim=-1)
        cosines = unit @ unit.T
        view = torch.arange(len(unit), device=unit.device)
        instance = view % len(z1)
        itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        inlier = instance < inliers
        pairs = torch.where(
            inlier[:, None], inlier[None, :], instance[:, None] == instance[None, :]
        ).masked_fill(itself, False)
        weights = pairs.float()
        if soft is not None:
            weights = torch.where(
                inlier[:, None], weights * _closeness(cosines, inlier, itself, soft), weights
            )
        return _expected(cosines, weights, itself, temperature)


def pairwise_contrast(z1: Tensor, z2: Tensor, inliers: int, temperature: float) -> Tensor:
    """The same in one direction: views z1 among views z2, as FIRM trains (Lunardi et al. 2025).

    A view z1 of an inlier has all M views z2 of inliers as positives, its partner among them; the
    other views z1 take no part.
    """
    with torch.autocast(z1.device.type, enabled=False):
        cosines = F.normalize(z1.float(), dim=-1) @ F.normalize(z2.float(), dim=-1).T
        itself = torch.eye(len(z1), dtype=torch.bool, device=z1.device)
        inlier = torch.arange(len(z1), device=z1.device) < inliers
        weights = torch.where(inlier[:, None], inlier[None, :], itself).float()
        return _expected(cosines, weights, None, temperature)


def _closeness(cosines: Tensor, inlier: Tensor, itself: Tensor, soft: float) -> Tensor:
    """[a, p]: how close p is to the inliers' views other than a and p."""
    powers = ((cosines.detach() - 1) / soft).exp()  # at most 1: the shift cancels, like Eq. 7's sum
    near = powers * (inlier[:, None] & inlier[None, :] & ~itself)
    return near.sum(dim=1)[None, :] - near


def _expected(
    cosines: Tensor, weights: Tensor, left_out: Tensor | None, temperature: float
) -> Tensor:
    """Mean over rows of the weighted mean of -log softmax(cosines / temperature)."""
    logits = cosines / temperature
    if left_out is not None:
        logits = logits.masked_fill(left_out, float("-inf"))
    missed = -logits.log_softmax(dim=1)
    if left_out is not None:
        missed = missed.masked_fill(left_out, 0.0)  # infinity times a weight of 0 is no number
    return ((weights * missed).sum(dim=1) / weights.sum(dim=1)).mean()
