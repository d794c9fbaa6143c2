"""What a saved detector says of itself, from a file of JSON that may hold anything."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from nsa_core import methods, scorers
from nsa_core.augment import Augmentation
from nsa_core.config import TrialConfig
from nsa_core.detector.detector import AnomalyDetector
from nsa_core.detector.images import Shape
from nsa_core.detector.preset import LARGEST, encoded_size, size_of_files
from nsa_core.detector.saved import ABOUT, FORMAT, VERSION, digest_of
from nsa_core.detector.shrink import Shrink
from nsa_core.detector.withheld import checked_share
from nsa_core.errors import InputError, check_known, whole

_LARGEST_SIDE = 2**14

_IN_CONFIG = (
    "method", "norm", "backbone", "weights", "width", "depth", "batch_size", "learning_rate",
    "augment", "seed",
)  # fmt: skip
"""Parameters that the training's configuration has too, unless they are None."""

_About = Mapping[str, Any]
_SIGNAL = (int, float, bool, type(None))
T = TypeVar("T")


def about_of(path: Path, content: bytes) -> dict[str, Any]:
    """The file's description, of a format and version that are read here."""
    try:
        about = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not whole ({error}); copy it again") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{path} describes no detector; need a folder of a saved one")
    if about.get("version") != VERSION:
        raise InputError(
            f"{path.parent} is a detector of version {about.get('version')!r}, written by nsa_core "
            f"{about.get('nsa_core')!r}; this one reads version {VERSION}: fit it again"
        )
    digests = about.get("sha256")
    if isinstance(digests, dict) and ABOUT in digests and digests[ABOUT] != digest_of(about):
        raise InputError(f"{path} is not what was saved: changed; copy it again")
    return about


def described(about: _About, device: str) -> AnomalyDetector:
    """The detector without anything that it has learnt.

    Raises:
        InputError: a value that no fitted detector has.
        KeyError: one that is not there.
    """
    config = TrialConfig.from_dict(_a(dict, about, "config"))
    detector = AnomalyDetector(**_parameters(about, config), device=device)
    parameters = detector.get_params(deep=False)
    scorers.build(detector.scorer)
    if (version := scorers.version(detector.scorer)) != about["scorer_version"]:
        raise InputError(
            f"its {detector.scorer} is of version {about['scorer_version']}, and this one of "
            f"version {version}, which scores otherwise; fit it again"
        )
    check_known("layer", [detector.layer], methods.LAYERS)
    checked_share(detector.calibration)
    size_of_files(parameters)
    if config.image_size > LARGEST:
        raise InputError(f"image_size is {config.image_size}; need at most {LARGEST}")
    detector.config_, detector.image_shape_ = config, (shape := _shape(about))
    detector.shrink_ = Shrink(shape[1:], encoded_size(parameters, shape))
    detector.dynamics_, detector.notes_ = _dynamics(about), _a(dict, about, "notes")
    detector.fingerprint_ = _a(str, about, "fingerprint")
    detector.names_ = tuple(map(str, _a(list, about, "names")))
    return detector


def _parameters(about: _About, config: TrialConfig) -> dict[str, Any]:
    """Those of its constructor, but for the device."""
    found = dict(_a(dict, about, "parameters"))
    known = set(AnomalyDetector().get_params(deep=False)) - {"device"}
    check_known("parameter", found, known)
    if missing := sorted(known - found.keys()):
        raise KeyError(missing[0])
    if found["augment"] is not None:
        found["augment"] = Augmentation.from_dict(_a(dict, found, "augment"))
    options = {} if found["method_options"] is None else _a(dict, found, "method_options")
    pairs = [
        *((name, found[name], getattr(config, name)) for name in _IN_CONFIG),
        ("epochs", found["epochs"], config.budget),
        *((name, each, config.method_options.get(name)) for name, each in options.items()),
    ]
    if methods.has_backbone(config.method, config.method_options):
        pairs.append(("image_size", found["image_size"], config.image_size))
    for name, given, trained in pairs:
        if given != trained and (given is not None or name == "seed"):
            raise InputError(f"its {name} is {given!r}, and it was trained with {trained!r}")
    return found


def _dynamics(about: _About) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _a(list, about, "dynamics")
    for row in rows:
        right = isinstance(row, dict) and all(isinstance(each, _SIGNAL) for each in row.values())
        if not right or not {"epoch", "step"} <= row.keys():
            raise InputError(f"dynamics has {str(row)[:80]}; need the numbers of an epoch by name")
    return rows


def _shape(about: _About) -> Shape:
    found = [whole("image_shape", each, 1) for each in _a(list, about, "image_shape")]
    if len(found) != 3 or found[0] not in (1, 3) or max(found) > _LARGEST_SIDE:
        raise InputError(f"image_shape is {found}; need [1 or 3, H, W] up to {_LARGEST_SIDE}")
    return found[0], found[1], found[2]


def _a(kind: type[T], about: _About, name: str) -> T:
    """What it has of this name, which is to be of a kind."""
    if not isinstance(value := about[name], kind):
        raise InputError(f"{name} is {value!r:.80}; need a {kind.__name__}")
    return value
