"""What a study may vary: the configuration fields whose change trains another network."""

from dataclasses import fields

from nsa_core import TrialConfig

FIELDS = {field.name for field in fields(TrialConfig)}
UNTRAINED = {
    "dataset": "a study has one data set; give it with --dataset",
    "normal_class": "classes are given with --classes",
    "seed": "seeds are given with --seeds",
    "evaluations": "one training is evaluated at many epochs",
    "layers": "one training is scored on all layers asked for",
    "slow_scores": "they do not change the training, and the last evaluation has them all",
    "probe_images": "probes do not change the training",
}
