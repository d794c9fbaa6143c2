"""Tables and pictures of made-up results, against means computed by hand."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from nsa_core import TrialConfig
from studies.cell_report import CellReport
from studies.curve_report import CurveReport
from studies.results import Results, load_results
from studies.score_report import ScoreReport
from tracking import create_store


def results(values: dict[tuple[str, int, int], float], **config) -> Results:
    """Trials by (norm, batch size, class), two epochs; the last one's c-cos AUROC is the value."""
    trials = {
        f"{index:016x}": TrialConfig(norm=norm, batch_size=batch, normal_class=label, **config)
        for index, (norm, batch, label) in enumerate(values)
    }
    scores, dynamics = {}, {}
    for key, value in zip(trials, values.values(), strict=True):
        scores[key] = [
            {"epoch": epoch, "layer": layer, "scorer": scorer, "auroc": value - drop - early}
            for epoch, early in ((1, 0.2), (8, 0.0))
            for layer, drop in (("embedding", 0.0), ("stem", 0.3), ("ensemble", -0.01))
            for scorer in ("c-cos", "k-cos")
        ]
        dynamics[key] = [
            {"epoch": epoch, "kappa_train": 10.0 * epoch, "linear_probe": None, "mmd_train": 0.1,
             "alignment_train": 0.2, "loss": -value}
            for epoch in (1, 8)
        ]  # fmt: skip
    return Results(
        trials=trials,
        states={key: {"status": "finished"} for key in trials},
        class_names={label: f"class {label}" for _, _, label in values},
        dynamics=dynamics,
        scores=scores,
    )


GRID = {
    ("none", 16, 0): 0.80, ("none", 16, 1): 0.70, ("none", 64, 0): 0.90, ("none", 64, 1): 0.60,
    ("both", 16, 0): 0.90, ("both", 16, 1): 0.90, ("both", 64, 0): 0.95, ("both", 64, 1): 0.75,
}  # fmt: skip


def test_cells_hold_mean_spread_and_paired_difference():
    report = CellReport("norm", "batch_size", "c-cos", paper={("digits", "none", 16): 0.5})
    text = report.tables(results(GRID))
    deviation = 100 * np.std([0.8, 0.7], ddof=1)
    assert re.search(rf"\| none \| +75\.00 ± {deviation:.2f} \(2\) \| +50\.00 \|", text)
    assert re.search(
        r"\| both - none +\| \+15\.00 ± 5\.00 \(2\) +\| \+10\.00 ± 5\.00 \(2\) \|", text
    )
    assert re.search(r"\| both \| +64 \| 85\.00 \| 85\.00 \|", text)


def test_only_pairs_of_the_same_class_and_seed_are_compared():
    alone = {key: value for key, value in GRID.items() if key != ("none", 16, 0)}
    text = CellReport("norm", "batch_size", "c-cos").tables(results(alone))
    assert re.search(r"\| both - none +\| +\+20\.00 \(1\) +\|", text)


def test_curves_are_means_over_the_trials_of_an_arm():
    text = CurveReport(("method", "norm"), "c-cos").tables(results(GRID))
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "simsiam" in line}
    first = text[: text.index("kappa")]
    assert re.search(r"\| arm +\| +n \| +1 \| +8 \|", first)
    assert re.search(r"\| simsiam none \| +4 \| +0.55 \| +0.75 \|", first)
    assert re.search(r"\| simsiam both \| +4 \| 0.675 \| 0.875 \|", first)
    assert len(lines) == 2
    assert "linear probe" not in text  # nobody measured it


def test_scores_are_a_table_an_arm_with_layers_in_order():
    text = ScoreReport(("norm", "pollution")).tables(results(GRID))
    assert text.count("| score |") == 2
    assert "**norm none, pollution 0** (n = 4)" in text
    assert re.search(r"\| score \| +stem \| embedding \| ensemble \|", text)
    assert re.search(r"\| c-cos \| 45.00 \| +75.00 \| +76.00 \|", text)


@pytest.mark.parametrize(
    "report",
    [
        CellReport("norm", "batch_size", "c-cos"),
        CurveReport(("method", "norm"), "c-cos"),
        ScoreReport(("norm", "pollution")),
    ],
    ids=lambda report: type(report).__name__,
)
def test_pictures_are_images_with_something_on_them(report):
    with Image.open(io.BytesIO(report.picture(results(GRID)))) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 100


def test_only_finished_trials_are_read_and_all_others_are_named(tmp_path):
    store = create_store(tmp_path / "store")
    states = ("finished", "collapsed", "diverged", "failed", None)
    trials = {}
    for index, status in enumerate(states):
        key = f"{index:016x}"
        trials[key] = TrialConfig(seed=index)
        record = store.trial(key)
        record.folder.mkdir(parents=True)
        record.create(trials[key].to_dict(), {"class_name": "zero"})
        if status:
            record.begin({})
            record.add({"epoch": 1, "step": 1}, [])
            record.end(status, message="because" if status != "finished" else "")
    found = load_results(store, trials)
    assert list(found.scores) == list(found.dynamics) == ["0" * 16]
    assert found.class_names == {0: "zero"}
    text = found.excluded()
    for index, status in enumerate(("collapsed", "diverged", "failed"), start=1):
        assert f"- {status}: simsiam norm both, batch 512, class 0, p 0, seed {index} (" in text
    assert text.count(": because") == 3
    assert "- pending: simsiam norm both, batch 512, class 0, p 0, seed 4" in text
    assert found.scope() == "digits, class zero, 5 seeds, 100 epochs."
