"""Each training row's nearest other one, as a fit without the row would whiten both.

By the same correction as in ``left_out``: whitened with the row, n rows in n dimensions are all
equally far apart.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nsa_core.scorers.left_out import FEWEST, SMALLEST, Others, mean_products, without_each
from nsa_core.scorers.neighbours import COPIES, past_copies
from nsa_core.scorers.whitening import Whitening

_BLOCK = 512


def nearest_distances(features: Tensor, whitening: Whitening) -> Tensor:
    """Mahalanobis distances, [n], of the float64 rows [n, d] that were fit; copies looked past.

    Zeros below three rows. Raises as ``left_out.squared_distances`` does.
    """
    if len(features) < FEWEST:
        return features.new_zeros(len(features))
    others = without_each(features, whitening)
    rows, squared = others.offsets / others.variances.sqrt(), others.squared
    gain = _gain(others)

    def squares(block: slice) -> Tensor:
        products = rows[block] @ rows.T
        own = squared[block, None]
        apart = own + squared - 2 * products
        return apart.addcmul_(gain[block, None], (own - products).square_())

    return past_copies(_smallest(squares, len(rows)).clamp_min(0).sqrt())[:, 0]


def nearest_angles(features: Tensor, whitening: Whitening, *, center: bool) -> Tensor:
    """The same as angles in radians, around the others' mean or, un-centred, around the origin."""
    if len(features) < FEWEST:
        return features.new_zeros(len(features))
    others = without_each(features, whitening)
    rows, squared = others.offsets / others.variances.sqrt(), others.squared
    gain, pull = _gain(others), others.pull
    _, _, mean_mean, mean_own = mean_products(others, whitening)
    if center:  # then the mean is h o_i from the others' one, and rows are o + h o_i
        mean_mean, mean_own = pull.square() * squared, pull * squared
    else:
        mean_mean = mean_mean.expand_as(squared)
    along_own = squared + mean_own
    length_own = along_own + mean_own + mean_mean + gain * along_own.square()

    def minus_cosines(block: slice) -> Tensor:
        """But for the length of the row itself."""
        products = rows[block] @ rows.T
        mean_others = pull[block, None] * products if center else mean_own
        mean_row, mean_square = mean_own[block, None], mean_mean[block, None]
        along, more = products + mean_row, gain[block, None]
        length = (squared + mean_square + 2 * mean_others).addcmul_(more, along.square())
        cosine = products.add_(mean_others).add_(mean_row + mean_square)
        cosine.addcmul_(more * along_own[block, None], along)
        return cosine.mul_(length.clamp_min_(SMALLEST).rsqrt_()).neg_()

    found = -_smallest(minus_cosines, len(rows)) / length_own.clamp_min(SMALLEST).sqrt()[:, None]
    return past_copies(found.clamp(-1, 1).arccos())[:, 0]


def _gain(others: Others) -> Tensor:
    """g in (A - c oo')^-1 = A^-1 + g (A^-1 o)(A^-1 o)', [n]."""
    return (1 / others.left - 1) / others.squared.clamp_min(SMALLEST)


def _smallest(measure: Callable[[slice], Tensor], count: int) -> Tensor:
    """The smallest few of each row of a matrix [n, n], its diagonal left out, rising.

    ``measure`` gives a block of its rows.
    """
    found = []
    for start in range(0, count, _BLOCK):
        values = measure(slice(start, start + _BLOCK))
        values[:, start:].fill_diagonal_(torch.inf)
        found.append(values.topk(min(1 + COPIES, count - 1), dim=1, largest=False).values)
    return torch.cat(found)
