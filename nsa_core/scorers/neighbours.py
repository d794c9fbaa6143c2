"""Nearest rows of a bank: the search behind k-Cos, cosine k-NN and nearest Mahalanobis."""

import torch
from torch import Tensor

_BLOCK = 512
COPIES = 8  # duplicates of a row that are looked past when it is left out
_SAME = 1e-3  # of the median distance to the last row found: closer ones show the same image


class Neighbours:
    """The rows of a bank, float64 [n, d], nearest to queries [B, d] in Euclidean distance.

    The nearest row has the largest q'b - |b|^2 / 2, which is one matrix product: queries carry a
    1, and the bank its halved squares, as one coordinate more. Both are taken around the bank's
    mean, so that compact features keep their digits. Only the search runs in ``dtype``; the
    distances to the rows it finds are computed from differences in float64.
    """

    def __init__(self, bank: Tensor) -> None:
        self.centre = bank.mean(dim=0)
        self.rows = bank - self.centre
        halved = self.rows.square().sum(dim=1, keepdim=True) / -2
        self._columns = torch.cat([self.rows, halved], dim=1).T.contiguous()
        self._narrow_columns = self._columns.float()

    def nearest(self, queries: Tensor, dtype: torch.dtype) -> Tensor:
        """[B] distances to the nearest row."""
        offsets = queries - self.centre
        near = self._closeness(offsets, dtype).max(dim=1).indices
        distances: Tensor = torch.linalg.vector_norm(offsets - self.rows[near], dim=1)
        return distances

    def k_nearest(self, queries: Tensor, dtype: torch.dtype, k: int) -> Tensor:
        """[B, min(k, n)] distances to the nearest rows, rising."""
        offsets = queries - self.centre
        near = self._closeness(offsets, dtype).topk(min(k, len(self.rows)), dim=1).indices
        return self._distances(offsets, near)

    def left_out(self, k: int = 1) -> Tensor:
        """[n, k] distances of each row to its nearest others, duplicates of itself skipped.

        A row at a thousandth of the usual distance shows the same image. Fewer columns if the bank
        is small; zeros if there is no other row.
        """
        if len(self.rows) == 1:
            return self.rows.new_zeros(1, 1)
        found = []
        for start in range(0, len(self.rows), _BLOCK):
            block = self.rows[start : start + _BLOCK]
            closeness = self._closeness(block, torch.float32)
            closeness[:, start:].fill_diagonal_(-torch.inf)
            near = closeness.topk(min(k + COPIES, len(self.rows) - 1), dim=1).indices
            found.append(self._distances(block, near))
        return past_copies(torch.cat(found), k)

    def _closeness(self, offsets: Tensor, dtype: torch.dtype) -> Tensor:
        """[B, n], q'b - |b|^2 / 2."""
        columns = self._columns if dtype == torch.float64 else self._narrow_columns
        ones = torch.ones_like(offsets[:, :1], dtype=dtype)  # a graph for ONNX knows no length
        return torch.cat([offsets.to(dtype), ones], dim=1) @ columns

    def _distances(self, offsets: Tensor, near: Tensor) -> Tensor:
        found: Tensor = torch.linalg.vector_norm(offsets[:, None] - self.rows[near], dim=2)
        return found.sort(dim=1).values


def past_copies(distances: Tensor, k: int = 1) -> Tensor:
    """[n, k] of rising distances [n, c] to other rows, those that show the same image left out."""
    copies = (distances <= _SAME * distances[:, -1].median()).sum(dim=1, keepdim=True)
    wanted = copies + torch.arange(min(k, distances.shape[1]), device=distances.device)
    return distances.gather(1, wanted.clamp_max(distances.shape[1] - 1))


def chord_to_angle(chord: Tensor) -> Tensor:
    """The angle in radians, [0, pi], between unit vectors at this distance, without an arccos.

    2 atan2(|a - b|, |a + b|), with |a + b|^2 = 4 - |a - b|^2 for unit vectors.
    """
    chord = chord.double().clamp_max(2)
    return 2 * torch.atan2(chord, ((2 - chord) * (2 + chord)).sqrt())
