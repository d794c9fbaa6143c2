"""Half of the toy batch-size study: the same trials, but of two norms; for the tests' studies.

Also a user's own page: ``nsa study tests/studies/toy.py``.
"""

from dataclasses import replace

from studies.batchsize_ablation import STUDY as WHOLE
from studies.hyperparameter_search import STUDY as SEARCH  # noqa: F401  # for tests of searches

NORMS = ("none", "both")
NEVER_FITS = 20_000_000_000
"""The width of a layer that would take terabytes."""

_quick = WHOLE.presets["quick"]
STUDY = replace(WHOLE, presets={"quick": replace(_quick, axes={**_quick.axes, "norm": NORMS})})

_small = {"projector_dim": 32, "predictor_dim": 32}
_cells = [(norm, batch, _small) for batch in (16, 64) for norm in NORMS]
_cells.append(("f", 16, {**_small, "predictor_dim": NEVER_FITS}))
_axes = {("norm", "batch_size", "method_options"): tuple(_cells)}
ONE_NEVER_FITS = replace(WHOLE, presets={"quick": replace(_quick, axes=_axes)})
"""The same, then a trial that asks for more memory than there is."""
