"""Made-up results without a store: a trial's last c-cos AUROC is what a test gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.tracking.report.conftest import CONFIG
from tracking.report.results import Results
from tracking.report.trials import Trial
from tracking.schema import DYNAMICS, SCORES

EARLY = {1: 0.2, 8: 0.0}
"""How far the AUROC of an epoch is below the last one."""
LAYERS = {"embedding": 0.0, "stem": 0.3, "ensemble": -0.01}
"""How far the AUROC on a layer is below that of the embedding."""
GRID = {
    ("none", 16, 0): 0.80, ("none", 16, 1): 0.70, ("none", 64, 0): 0.90, ("none", 64, 1): 0.60,
    ("both", 16, 0): 0.90, ("both", 16, 1): 0.90, ("both", 64, 0): 0.95, ("both", 64, 1): 0.75,
}  # fmt: skip
"""By norm, batch size, class."""


def trial(number: int, value: float, status: str = "finished", **config: Any) -> Trial:
    """One trial with two evaluated epochs, three layers and two scores."""
    key = f"{number:016x}"
    scores = [
        {"trial_id": key, "epoch": epoch, "layer": layer, "scorer": scorer,
         "auroc": value - drop - early, "auprc": 0.5, "fpr95": 0.5}
        for epoch, early in EARLY.items()
        for layer, drop in LAYERS.items()
        for scorer in ("c-cos", "k-cos")
    ]  # fmt: skip
    dynamics = [
        {"trial_id": key, "epoch": epoch, "step": epoch, "kappa_train": 10.0 * epoch,
         "mmd_train": 0.1, "alignment_train": 0.2, "loss": -value}
        for epoch in EARLY
    ]  # fmt: skip
    config = CONFIG | config
    return Trial(
        trial_id=key,
        folder=Path("nowhere"),
        definition={"config": config, "class_name": f"class {config['normal_class']}"},
        state={"status": status, "message": ""},
        dynamics=pa.Table.from_pylist(dynamics, schema=DYNAMICS),
        scores=pa.Table.from_pylist(scores, schema=SCORES),
    )


def results(
    values: Mapping[tuple[Any, ...], float], about: Mapping[str, Any], **config: Any
) -> Results:
    """Trials by (norm, batch size, class, seed if not 0)."""
    trials = [
        trial(number, value, norm=norm, batch_size=batch, normal_class=label, seed=sum(seed),
              **config)
        for number, ((norm, batch, label, *seed), value) in enumerate(values.items())
    ]  # fmt: skip
    return Results("made", {"headline": "c-cos"} | dict(about), trials)


def tables_of(section) -> dict[str, list[list[str]]]:
    """The tables of a section, header first, by the first words of their caption."""
    from tracking.report.blocks import Table

    return {
        block.caption.split(":")[0]: [list(block.header), *map(list, block.rows)]
        for block in section.blocks
        if isinstance(block, Table)
    }
