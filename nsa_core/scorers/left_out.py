"""What a fit without a training row says of that row, for all rows at once.

Leaving a row out moves the mean along the row's offset o and takes a multiple of oo' off the
covariance, so the inverse follows by Sherman and Morrison. The result is that of a second fit, but
for what is estimated beside mean and covariance: shrinkage, floor and Student-t weights stay those
of all rows.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nsa_core.errors import InputError
from nsa_core.scorers.whitening import Whitening

FEWEST = 3  # rows; without one of two there is no covariance
_ALONE = 1e-9  # share of a row's direction that others carry; less is rounding
SMALLEST = torch.finfo(torch.float64).tiny


class Others(NamedTuple):
    """Of a row m + o: the others' covariance is A - c oo' and their mean m - h o.

    Attributes:
        offsets: [n, r], each o along the eigenvectors.
        variances: [r], of A along them; the same for all rows.
        pull: [n], h.
        squared: [n], o' A^-1 o.
        left: [n], 1 - c o' A^-1 o in (0, 1], the share of A along o that the others have.
    """

    offsets: Tensor
    variances: Tensor
    pull: Tensor
    squared: Tensor
    left: Tensor


def squared_distances(features: Tensor, whitening: Whitening) -> Tensor:
    """Mahalanobis distances squared, [n], of the float64 rows [n, d] that were fit.

    Zeros below three rows.

    Raises:
        InputError: a row alone spans a direction, and the covariance has no floor for it.
    """
    if len(features) < FEWEST:
        return features.new_zeros(len(features))
    others = without_each(features, whitening)
    return (1 + others.pull).square() * others.squared / others.left


def angles_to_mean(features: Tensor, whitening: Whitening) -> Tensor:
    """Angles in radians, [n], after un-centred whitening, between each row and the others' mean.

    With x = m + o and the others' mean m - h o, the sine and cosine of the angle are made of the
    products of m and o in their inverse covariance. See ``squared_distances``.
    """
    if len(features) < FEWEST:
        return features.new_zeros(len(features))
    others = without_each(features, whitening)
    along, outside, mean_mean, mean_own = mean_products(others, whitening)
    # o less its part along m, so that small angles have all their digits
    part = mean_own / mean_mean.clamp_min(SMALLEST)
    across = others.offsets - part[:, None] * along
    across_squared = (across.square() / others.variances).sum(dim=1) + part.square() * outside
    sine = (1 + others.pull) * (mean_mean * across_squared / others.left).sqrt()
    own_share = mean_own.square() / others.squared.clamp_min(SMALLEST)
    cosine = mean_mean + (1 / others.left - 1) * own_share
    cosine += ((1 - others.pull) * mean_own - others.pull * others.squared) / others.left
    return torch.atan2(sine, cosine)


def mean_products(others: Others, whitening: Whitening) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The mean m along the eigenvectors, [r]; what lies outside them of m' A^-1 m, []; all of that
    product, []; and m' A^-1 o, [n].
    """
    spectrum = whitening.spectrum
    along = whitening.mean @ spectrum.vectors
    outside = (whitening.mean - spectrum.vectors @ along).square().sum()
    outside = outside / spectrum.rest if spectrum.rest > 0 else torch.zeros_like(outside)
    mean_mean = (along.square() / others.variances).sum() + outside
    return along, outside, mean_mean, others.offsets @ (along / others.variances)


def without_each(features: Tensor, whitening: Whitening) -> Others:
    """What is left of mean and covariance without each of at least three rows that were fit."""
    spectrum, count = whitening.spectrum, len(features)
    weights = spectrum.weights
    pull = weights / (weights.sum() - weights)
    # the others' scatter is divided by n - 1: C n / (n - 1), less the row's part
    variances = spectrum.kept * spectrum.values * (count / (count - 1)) + spectrum.added
    offsets = (features - whitening.mean) @ spectrum.vectors
    squared = (offsets.square() / variances).sum(dim=1)
    taken = spectrum.kept * weights * (1 + pull) / (count - 1)
    lean = (offsets / variances).square().sum(dim=1)
    floor = spectrum.rest * lean / squared.clamp_min(SMALLEST)  # S is nowhere below its rest
    left = torch.maximum(1 - taken * squared, floor)
    if (left < _ALONE).any():
        row = int(left.argmin())
        raise InputError(
            f"training row {row} alone spans a direction, and without it the covariance has none; "
            "leave-one-out scores need 'ledoit-wolf', a floor above 0, or more rows"
        )
    return Others(offsets, variances, pull, squared, left)
