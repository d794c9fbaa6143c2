"""An anomaly detector for a person's own images, as a scikit-learn estimator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nsa_core import methods, scorers
from nsa_core.augment import Augmentation
from nsa_core.detector.calibrated import CalibratedMixin, Values
from nsa_core.detector.conformal import checked_rate
from nsa_core.detector.fitting import device_of, fitted
from nsa_core.detector.heat_map import patch_memory
from nsa_core.detector.images import Images, Named, batches, given, shape_of
from nsa_core.detector.preset import configuration, encoded_size, size_of_files
from nsa_core.detector.shrink import Shrink
from nsa_core.detector.withheld import split_rows
from nsa_core.errors import unknown
from nsa_core.training import Pulse, embed


class AnomalyDetector(CalibratedMixin, BaseEstimator):  # type: ignore[misc]  # no types there
    """Learns what images look like, and scores how unlike them others are. No labels are needed.

    ``fit`` takes normal images, or mostly normal ones: the path of a folder or a Parquet file, or
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
            None for the rule of ``nsa_core.detector.preset``, as the next five.
        epochs, batch_size, learning_rate: of the training.
        width, depth: of the ResNet that is trained from scratch.
        augment: the recipe of views; None for the standard one.
        method_options: the method's own options.
        resize: what is done to images of other sizes: "refuse", "stretch", "crop" or "pad". With a
            policy, all become squares of ``image_size``.
        on_broken: what is done about broken files: "refuse" or "skip".
        calibration: share of the images that is withheld, in [0, 0.5]; with 0 nothing is flagged.
        false_alarm_rate: share of normal images that may be flagged, in (0, 1).
        seed: of weights, order, views and which images are withheld.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.

    Attributes:
        method_: the trained ``Method``, in evaluation mode.
        scorer_: fit on ``train_features_``, float32 [n, d], of the layer.
        patches_: what ``nsa_core.detector.heat_map`` compares positions with, float32 [k, d].
        image_shape_: (C, H, W) of the images given.
        shrink_: from those to the images that the encoder sees, a ``Shrink``.
        calibration_scores_: float64 [k], anomaly scores of the withheld images, ascending.
        offset_: images with ``score_samples`` below it are outliers.
        config_: the whole configuration of the training, a ``TrialConfig``.
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
        width: int | None = None,
        depth: int | None = None,
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

    def pictures(self, X: Any) -> Named:  # noqa: N803
        """The images of a source as ``fit`` reads them: with names and a fingerprint."""
        size = size_of_files(self.get_params())
        return given(X, size=size, resize=self.resize, on_broken=self.on_broken)

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
        device, scorer = device_of(self.device), scorers.build(self.scorer)
        checked_rate("false_alarm_rate", self.false_alarm_rate)
        if self.layer not in methods.LAYERS:
            raise unknown("layer", self.layer, methods.LAYERS)
        found = self.pictures(X)
        shape = shape_of(found.images)
        rows, withheld = split_rows(len(found.images), self.calibration, self.seed, groups)
        config = configuration(self.get_params(), shape, len(rows), len(withheld))
        shrink = Shrink(shape[1:], encoded_size(self.get_params(), shape))
        images = shrink.of_uint8(found.images[rows])
        method, dynamics = fitted(config, images, found.fingerprint, device, on_epoch)
        features = embed(method, images, device)
        if self.layer not in features:
            raise unknown(f"layer of {config.backbone}", self.layer, features)
        self.method_, self.config_, self.dynamics_ = method, config, dynamics
        self.image_shape_, self.shrink_ = shape, shrink
        self.names_, self.fingerprint_ = found.names, found.fingerprint
        self.train_rows_, self.calibration_rows_ = rows, withheld
        self.train_features_ = features[self.layer].cpu().numpy()
        self.patches_ = patch_memory(method, images, self.seed)
        self.scorer_ = scorer.fit(features[self.layer])
        self.calibration_scores_ = np.sort(self._scores(found.images[withheld]))
        return self.calibrate(self.false_alarm_rate)

    def features(self, X: Any) -> dict[str, npt.NDArray[np.float32]]:  # noqa: N803
        """Features of images by layer, each float32 [N, d]."""
        parts = [self._features(images) for images in self._batches(X)]
        return {
            name: np.concatenate([part[name].cpu().numpy() for part in parts]) for name in parts[0]
        }

    def anomaly_scores(self, X: Any) -> Values:  # noqa: N803
        """The scorer's own scores, float64 [N]; higher is more anomalous.

        Files are read as they are scored, so memory stays small.

        Raises:
            NotFittedError: before ``fit``.
            InputError: images that are wrong, or others than the detector was fit on.
        """
        return np.concatenate([self._scores(images) for images in self._batches(X)])

    def save(self, folder: str | Path) -> Path:
        """Write the fitted detector as a folder, see ``nsa_core.detector.saved``."""
        from nsa_core.detector.saved import save

        check_is_fitted(self)
        return save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> "AnomalyDetector":
        """The detector of a folder, with the same scores; an InputError says what is wrong."""
        from nsa_core.detector.loaded import load

        return load(Path(folder), device)

    def _batches(self, source: Any) -> Iterator[Images]:
        check_is_fitted(self)
        return batches(source, self.image_shape_, resize=self.resize, on_broken=self.on_broken)

    def _features(self, images: Images) -> dict[str, Tensor]:
        device = next(self.method_.encoder.parameters()).device
        return embed(self.method_, self.shrink_.of_uint8(images), device)

    def _scores(self, images: Images) -> Values:
        if not len(images):
            return np.zeros(0)
        return self.scorer_.score(self._features(images)[self.layer])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags
