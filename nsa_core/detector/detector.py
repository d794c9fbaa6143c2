"""An anomaly detector for a person's own images, as a scikit-learn estimator."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from nsa_core import methods, scorers
from nsa_core.augment import Augmentation
from nsa_core.detector import conformal
from nsa_core.detector.fitting import fitted
from nsa_core.detector.images import batches, given, is_paths
from nsa_core.detector.preset import Shape, configuration, encoded_shape, method_of
from nsa_core.detector.shrink import Shrink
from nsa_core.detector.withheld import CalibrationWarning, split_rows, warn_of_few
from nsa_core.errors import InputError, unknown
from nsa_core.training import Pulse, embed

Values = npt.NDArray[np.float64]
Images = npt.NDArray[np.uint8]


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # no types there
    """Learns what images look like, and scores how unlike them others are. No labels are needed.

    ``fit`` takes the normal images, or mostly normal ones: a path of a folder or a Parquet file, or
    several; ``Pictures``; or uint8 [N, H, W] or [N, H, W, 3]. So do all that score. A share of them
    is withheld from the training and from the scorer: their scores give p-values, and a threshold
    with a promised false-alarm rate, see ``nsa_core.detector.conformal``.

    Args:
        method: a name of ``nsa_core.methods.available()``; None for SimSiam from scratch, and for a
            backbone as it is ("frozen").
        norm: where the method normalises; None for "both", or what the method has.
        backbone, weights: a pre-trained encoder and its file, as ``TrialConfig`` has them; for few
            images, or a short fit. "efficientnet_lite0" needs no file.
        scorer: a name of ``nsa_core.scorers.available()``.
        layer: whose features are scored, of ``nsa_core.methods.LAYERS``.
        image_size: pixels of the shorter side that training sees, of both sides for a backbone;
            None for the rule of ``nsa_core.detector.preset``, as the next four.
        epochs, batch_size, learning_rate: of the training.
        width, depth: of the ResNet that is trained from scratch.
        augment: the recipe of views; None for the standard one.
        method_options: the method's own options.
        resize: what is done to files of other sizes: "refuse", "stretch", "crop" or "pad".
        on_broken: what is done about broken files: "refuse" or "skip".
        calibration: share of the images that is withheld, in [0, 0.5]; with 0 nothing is flagged.
        false_alarm_rate: share of normal images that may be flagged, in (0, 1).
        seed: of weights, order, views and which images are withheld.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.

    Attributes:
        method_: the trained ``Method``, in evaluation mode.
        scorer_: fit on ``train_features_``, float32 [n, d], of the layer.
        image_shape_: (C, H, W) of the images given.
        calibration_scores_: float64 [k], anomaly scores of the withheld images, ascending.
        offset_: images with ``score_samples`` below it are outliers.
        config_: the whole configuration of the training.
        dynamics_: a dict of label-free signals for each evaluated epoch.
        names_, fingerprint_: of the images given.
        train_rows_, calibration_rows_: int64, which of them were trained on and withheld.
    """

    def __init__(
        self,
        *,
        method: str | None = None,
        norm: str | None = None,
        backbone: str = "",
        weights: str = "",
        scorer: str = "k-cos",
        layer: str = "embedding",
        image_size: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        width: int = 16,
        depth: int = 10,
        augment: Augmentation | None = None,
        method_options: Mapping[str, methods.Option] | None = None,
        resize: str = "refuse",
        on_broken: str = "refuse",
        calibration: float = 0.2,
        false_alarm_rate: float = 0.05,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.method = method
        self.norm = norm
        self.backbone = backbone
        self.weights = weights
        self.scorer = scorer
        self.layer = layer
        self.image_size = image_size
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.width = width
        self.depth = depth
        self.augment = augment
        self.method_options = method_options
        self.resize = resize
        self.on_broken = on_broken
        self.calibration = calibration
        self.false_alarm_rate = false_alarm_rate
        self.seed = seed
        self.device = device

    def fit(
        self,
        X: Any,  # noqa: N803  # scikit-learn's name
        y: object = None,
        *,
        groups: Sequence[Any] | None = None,
        on_epoch: Callable[[Pulse], None] | None = None,
    ) -> Self:
        """Train, fit the scorer, and calibrate.

        Args:
            X: the images, see the class.
            y: ignored.
            groups: [N], what each image belongs to (a part, a camera's burst): groups are withheld
                whole, so that no near duplicate of a calibration image is trained on.
            on_epoch: told of every trained epoch.

        Raises:
            InputError: images or parameters that are wrong, named.
            DivergedError: the loss or a weight is no longer finite.
        """
        device = device_of(self.device)
        conformal.checked_rate("false_alarm_rate", self.false_alarm_rate)
        if self.layer not in methods.LAYERS:
            raise unknown("layer", self.layer, methods.LAYERS)
        scorer = scorers.build(self.scorer)
        found = given(X, **self._reading())
        shape = _shape(found.images)
        train_rows, withheld = split_rows(len(found.images), self.calibration, self.seed, groups)
        config = configuration(self.get_params(), len(train_rows), shape)
        self._see(shape)
        images = self._encoded(found.images[train_rows])
        self.method_, self.dynamics_ = fitted(config, images, found.fingerprint, device, on_epoch)
        self.config_, self.names_, self.fingerprint_ = config, found.names, found.fingerprint
        self.train_rows_, self.calibration_rows_ = train_rows, withheld
        features = embed(self.method_, images, device)
        if self.layer not in features:
            raise unknown("layer of this backbone", self.layer, features)
        self.train_features_ = features[self.layer].cpu().numpy()
        self.scorer_ = scorer.fit(features[self.layer])
        self.calibration_scores_ = np.sort(self._scores(found.images[withheld]))
        self._calibrate()
        if self.dynamics_[-1]["collapsed"]:
            warnings.warn(
                "the training collapsed: all images look the same to the encoder, and scores mean "
                "little; use a norm, another method, more epochs or a backbone",
                stacklevel=2,
            )
        return self

    def features(self, X: Any) -> dict[str, npt.NDArray[np.float32]]:  # noqa: N803
        """Features of images by layer, each float32 [N, d]."""
        check_is_fitted(self)
        parts = [self._features(images) for images in self._batches(X)]
        return {
            name: np.concatenate([part[name].cpu().numpy() for part in parts]) for name in parts[0]
        }

    def anomaly_scores(self, X: Any) -> Values:  # noqa: N803
        """The scorer's own scores, float64 [N]; higher is more anomalous."""
        check_is_fitted(self)
        return np.concatenate([self._scores(images) for images in self._batches(X)])

    def score_samples(self, X: Any) -> Values:  # noqa: N803
        """Minus the anomaly scores, float64 [N]: lower is more abnormal."""
        return -self.anomaly_scores(X)

    def decision_function(self, X: Any) -> Values:  # noqa: N803
        """``score_samples`` less ``offset_``, float64 [N]: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:  # noqa: N803
        """-1 for outliers, 1 for inliers, int64 [N]."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> Values:  # noqa: N803
        """Conformal p-values, float64 [N] in (0, 1]: how often a normal image scores as high."""
        return conformal.p_values(self.calibration_scores_, self.anomaly_scores(X))

    def discoveries(self, X: Any, false_discovery_rate: float) -> npt.NDArray[np.bool_]:  # noqa: N803
        """Which images to flag so that, on average, at most this share of the flagged is normal.

        By Benjamini and Hochberg, over all images given together.
        """
        return conformal.benjamini_hochberg(self.p_values(X), false_discovery_rate)

    def calibrate(self, false_alarm_rate: float) -> Self:
        """Choose another false-alarm rate, without a new fit."""
        check_is_fitted(self)
        self.false_alarm_rate = conformal.checked_rate("false_alarm_rate", false_alarm_rate)
        self._calibrate()
        return self

    def save(self, folder: str | Path) -> Path:
        """Write the fitted detector as a folder, see ``nsa_core.detector.saved``."""
        from nsa_core.detector.saved import save

        check_is_fitted(self)
        return save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> "AnomalyDetector":
        """The detector of a folder; an InputError says what is wrong with it."""
        from nsa_core.detector.saved import load

        return load(Path(folder), device)

    def _reading(self) -> dict[str, Any]:
        """How files are read: at the size of the fit, or as they are if no policy may change it."""
        reading: dict[str, Any] = {"resize": self.resize, "on_broken": self.on_broken}
        if hasattr(self, "image_shape_"):
            reading["channels"] = self.image_shape_[0]
        return reading

    def _calibrate(self) -> None:
        count = len(self.calibration_scores_)
        if self.calibration:
            warn_of_few(count, len(self.names_), self.calibration, self.false_alarm_rate)
        self.offset_ = -conformal.threshold(self.calibration_scores_, self.false_alarm_rate)

    def _see(self, shape: Shape) -> None:
        self.image_shape_ = shape
        name = method_of(self.method, self.backbone)
        on_backbone = methods.has_backbone(name, self.method_options or {})
        self.encoded_shape_ = encoded_shape(shape, self.image_size, on_backbone)
        self.shrink_ = Shrink(shape[1:], self.encoded_shape_[1:])

    def _batches(self, source: Any) -> Any:
        for images in batches(source, **self._reading()):
            if (shape := _shape(images)) != self.image_shape_:
                raise InputError(
                    f"images are {_words(shape)}; the detector was fit on "
                    f"{_words(self.image_shape_)}, so give it those"
                    + "; or fit with a resize policy: stretch, crop or pad"
                    * is_paths(source)
                )
            yield images

    def _encoded(self, images: Images) -> Images:
        """As training sees them, a few at a time: uint8 [N, C, h, w]."""
        if self.shrink_.same:
            return np.ascontiguousarray(images)
        blocks = np.array_split(images, max(1, len(images) // 256))
        return np.concatenate(
            [self.shrink_.of_uint8(torch.from_numpy(np.array(each))).numpy() for each in blocks]
        )

    def _features(self, images: Images) -> dict[str, torch.Tensor]:
        device = next(self.method_.encoder.parameters()).device
        return embed(self.method_, self._encoded(images), device)

    def _scores(self, images: Images) -> Values:
        if not len(images):
            return np.zeros(0)
        return self.scorer_.score(self._features(images)[self.layer])

    def __sklearn_tags__(self) -> Any:
        """Images are no matrix, and nothing is done about NaN: pixels have none."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def device_of(name: str) -> torch.device:
    """The device of this name; "auto" is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device is {name!r}; need auto, cpu or cuda") from error


def _shape(images: Images) -> Shape:
    _, channels, height, width = images.shape
    return channels, height, width


def _words(shape: Shape) -> str:
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'RGB'} {width}x{height}"


__all__ = ["AnomalyDetector", "CalibrationWarning", "device_of"]
