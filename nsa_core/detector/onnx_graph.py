"""What an ONNX file computes: images to scores, as one graph of operators that ONNX Runtime has.

A scorer's graph calls what the scorer itself calls, so that both give the same numbers. Two things
are written otherwise: ONNX has no arctangent of two numbers, and ONNX Runtime no cubic resizing
that equals torch's and no triangular solver.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nsa_core.errors import InputError
from nsa_core.methods import Method
from nsa_core.models import Encoder
from nsa_core.models.backbone import Backbone
from nsa_core.scorers import (
    KDE,
    CCos,
    CosineKNN,
    GaussianDensity,
    KCos,
    Mahalanobis,
    NearestMahalanobis,
    OneClassSVM,
)
from nsa_core.scorers.kernel_density import squared_distances
from nsa_core.scorers.scorer import Scorer

_SEARCH = torch.float32  # the precision of products with float32 features, as in ``working_dtype``

RowScores = Callable[[Tensor], Tensor]
"""Prepared rows, float64 [B, d], to scores [B]."""


class ScoredImages(nn.Module):
    """Images to anomaly scores, and which of them are above the threshold.

    Args:
        method: trained, with its encoder on the CPU.
        layer: whose features are scored, of ``methods.LAYERS``.
        scorer: fitted on features of that layer.
        shape: (C, H, W) of the images.
        shrink: makes of images in [0, 255] those that the method takes.
        threshold: images with a score above it are flagged.
        white: of the images, 255 or 1.

    Raises:
        InputError: the scorer is none that a graph is known for.
    """

    def __init__(
        self,
        method: Method,
        layer: str,
        scorer: Scorer,
        shape: tuple[int, int, int],
        shrink: nn.Module,
        threshold: float,
        white: float,
    ) -> None:
        super().__init__()
        self._method, self._layer = method.eval(), layer
        self._rows, self._normalize = row_scores(scorer), getattr(scorer, "normalize", True)
        self._shrink, self._threshold, self._white = shrink, threshold, white
        self._resized = _resizing(method.encoder, shrink(torch.zeros(1, *shape)))
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, float64 [N], and flags, bool [N], of images [N, C, H, W]."""
        pixels = images.float()
        if self._white != 255:  # sums of whole numbers alone are exact
            pixels = (pixels * (255 / self._white)).round()
        seen = self._resized(self._shrink(pixels) / 255)
        rows = self._method.features(seen)[self._layer].double()
        if self._normalize:
            rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        scores = self._rows(rows).double()
        return scores, scores > self._threshold


def row_scores(scorer: Scorer) -> RowScores:
    """The function of prepared rows that a fitted scorer's ``score`` applies, for a graph.

    Raises:
        InputError: there is none for a scorer of this kind.
    """
    for kind, make in _GRAPHS.items():
        if type(scorer) is kind:
            return make(scorer)
    known = ", ".join(sorted(kind.__name__ for kind in _GRAPHS))
    raise InputError(
        f"scorer {type(scorer).__name__} cannot be written as ONNX; those are: {known}"
    )


def _k_cos(scorer: KCos) -> RowScores:
    def score(rows: Tensor) -> Tensor:
        unit = F.normalize(scorer.whitening_(rows, _SEARCH, center=scorer.center), dim=1)
        return _angle(scorer.neighbours_.nearest(unit, _SEARCH))

    return score


def _c_cos(scorer: CCos) -> RowScores:
    def score(rows: Tensor) -> Tensor:
        unit = F.normalize(scorer.whitening_(rows, _SEARCH, center=scorer.center), dim=1)
        return _angle((unit - scorer.centre_).norm(dim=1))

    return score


def _cosine_knn(scorer: CosineKNN) -> RowScores:
    near = scorer.neighbours_
    return lambda rows: _angle(near.k_nearest(rows, _SEARCH, scorer.k)).mean(dim=1)


def _mahalanobis(scorer: Mahalanobis) -> RowScores:
    return lambda rows: scorer.whitening_(rows, _SEARCH, center=True).square().sum(dim=1)


def _nearest_mahalanobis(scorer: NearestMahalanobis) -> RowScores:
    def score(rows: Tensor) -> Tensor:
        whitened = scorer.whitening_(rows, _SEARCH, center=True)
        return scorer.neighbours_.nearest(whitened, _SEARCH).square()

    return score


def _gaussian_density(scorer: GaussianDensity) -> RowScores:
    identity = torch.eye(len(scorer.mean_), dtype=torch.float64)
    inverse = torch.linalg.solve_triangular(scorer.factor_, identity, upper=False).T.contiguous()
    half_log_det = float(scorer.factor_.diagonal().log().sum())
    at_mean = half_log_det + len(scorer.mean_) * math.log(2 * math.pi) / 2
    return lambda rows: ((rows - scorer.mean_) @ inverse).square().sum(dim=1) / 2 + at_mean


def _kernel_density(scorer: KDE) -> RowScores:
    bank, gamma = scorer.rows_.to(_SEARCH), scorer.gamma_
    log_count = math.log(len(bank))

    def score(rows: Tensor) -> Tensor:
        offsets = (rows - scorer.centre_).to(_SEARCH)
        exponents = -gamma * squared_distances(offsets, bank).double()
        return ((log_count - exponents.logsumexp(dim=1)) / gamma).clamp_min(0)

    return score


def _one_class_svm(scorer: OneClassSVM) -> RowScores:
    def score(rows: Tensor) -> Tensor:
        squared = squared_distances(rows - scorer.centre_, scorer.vectors_)
        return -(squared * -scorer.gamma_).exp() @ scorer.alpha_

    return score


_GRAPHS: dict[type, Callable[[Any], RowScores]] = {
    CCos: _c_cos,
    CosineKNN: _cosine_knn,
    GaussianDensity: _gaussian_density,
    KCos: _k_cos,
    KDE: _kernel_density,
    Mahalanobis: _mahalanobis,
    NearestMahalanobis: _nearest_mahalanobis,
    OneClassSVM: _one_class_svm,
}


def _angle(chord: Tensor) -> Tensor:
    """``neighbours.chord_to_angle`` by an arctangent of one number, which ONNX Runtime takes in
    float32 alone; infinity gives pi.
    """
    chord = chord.double().clamp_max(2)
    slope = chord / ((2 - chord) * (2 + chord)).sqrt()
    return 2 * torch.atan(slope.float()).double()


def _resizing(encoder: Encoder, example: Tensor) -> Callable[[Tensor], Tensor]:
    """A backbone's resizing of images as large as the example, as two products with matrices: cubic
    resizing is linear in each side, and a matrix is what torch makes of the identity.
    """
    height, width = example.shape[2:]
    if not isinstance(encoder, Backbone) or {height, width} == {encoder.image_size}:
        return lambda images: images
    down, across = (_resizing_matrix(side, encoder.image_size) for side in (height, width))
    return lambda images: (down @ images @ across.T).clamp(0, 1)


def _resizing_matrix(side: int, wanted: int) -> Tensor:
    """[wanted, side]; a product with it resizes columns."""
    identity = torch.eye(side)[None, None]
    return F.interpolate(identity, (wanted, side), mode="bicubic", antialias=True)[0, 0]
