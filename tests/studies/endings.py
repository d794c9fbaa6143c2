"""A page of a user's own with two trials that do not end well: one collapses, one diverges."""

from dataclasses import replace

from studies.batchsize_ablation import STUDY as WHOLE

EPOCHS = 40
_quick = WHOLE.presets["quick"]


def _study(*cells):
    axes = {"norm": ("none",), "batch_size": (64,), ("learning_rate", "weight_decay"): cells}
    base = {**_quick.base, "evaluations": 1, "budget": EPOCHS}
    return replace(WHOLE, presets={"quick": replace(_quick, axes=axes, base=base)})


COLLAPSES, DIVERGES = (0.1, 100.0), (1e30, 0.0)
STUDY = _study(COLLAPSES, DIVERGES)
ONE_COLLAPSES = _study(COLLAPSES)
