"""Tables and pictures of made-up results, against means computed by hand."""

import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from nsa_core import TrialConfig
from studies.cell_report import CellReport
from studies.curve_report import CurveReport
from studies.pollution_report import PollutionReport
from studies.results import Results, load_results
from studies.score_report import ScoreReport
from tracking import create_store
from tracking.statistics import interval


def results(values: dict[tuple, float], **config) -> Results:
    """Trials by (norm, batch size, class, seed if not 0); the value is the last c-cos AUROC."""
    trials = {
        f"{index:016x}": TrialConfig(
            norm=norm, batch_size=batch, normal_class=label, seed=sum(seed), **config
        )
        for index, (norm, batch, label, *seed) in enumerate(values)
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
        class_names={label: f"class {label}" for _, _, label, *_ in values},
        dynamics=dynamics,
        scores=scores,
    )


GRID = {
    ("none", 16, 0): 0.80, ("none", 16, 1): 0.70, ("none", 64, 0): 0.90, ("none", 64, 1): 0.60,
    ("both", 16, 0): 0.90, ("both", 16, 1): 0.90, ("both", 64, 0): 0.95, ("both", 64, 1): 0.75,
}  # fmt: skip


def test_cells_hold_mean_interval_and_paired_difference():
    report = CellReport(("norm",), "batch_size", "c-cos", paper={("digits", "none", 16): 0.5})
    seeds = {(n, b, c, s): v + 0.01 * s for (n, b, c), v in GRID.items() for s in (0, 2)}
    text = report.tables(results(seeds))
    low, high = interval({0: [0.8, 0.82], 1: [0.7, 0.72]})
    cell = rf"76\.00 \[{100 * low:.2f}, {100 * high:.2f}\] \(4\)"
    assert re.search(rf"\| none \| +{cell} \| +50\.00 \|", text)
    low, high = interval({0: [0.1, 0.1], 1: [0.2, 0.2]})
    gain = rf"\+15\.00 \[\+{100 * low:.2f}, \+{100 * high:.2f}\] \(4\)"
    assert re.search(rf"\| both - none +\| +{gain} \|", text)
    assert re.search(r"\| both \| +64 \| 86\.00 \| 86\.00 \|", text)


def test_without_repeats_a_cell_has_no_interval():
    text = CellReport(("norm",), "batch_size", "c-cos").tables(results(GRID))
    assert re.search(r"\| none \| +75\.00 \(2\) \| +75\.00 \(2\) \|", text)


def test_rows_of_two_fields_compare_all_else_equal():
    report = CellReport(("norm", "batch_size"), "pollution", "c-cos")
    text = report.tables(results(GRID))
    assert re.search(r"\| none 64 +\| +75\.00 \(2\) \|", text)
    assert re.search(r"\| both - none 64 +\| +\+10\.00 \(2\) \|", text)


def test_pollution_costs_the_slope_that_least_squares_finds():
    cells = CellReport(("norm",), "pollution", "c-cos")
    found = [results(GRID, pollution=p) for p in (0.0, 0.1)]
    keys = [f"{index:016x}" for index in range(2 * len(GRID))]
    second = dict(zip(found[1].trials, keys[len(GRID) :], strict=True))
    both = {name: {**getattr(found[0], name)} for name in ("trials", "dynamics", "scores")}
    for name, held in both.items():
        held |= {second[key]: value for key, value in getattr(found[1], name).items()}
    for key in second.values():  # 5 points less for every tenth of outliers, class 1 twice that
        drop = 0.05 * (1 + both["trials"][key].normal_class)
        both["scores"][key] = [{**row, "auroc": row["auroc"] - drop} for row in both["scores"][key]]
    one_batch = {k for k, config in both["trials"].items() if config.batch_size == 16}
    kept = {name: {k: v for k, v in held.items() if k in one_batch} for name, held in both.items()}
    text = PollutionReport(cells).tables(dataclasses.replace(found[0], **kept))
    assert re.search(r"\| none +\| -7\.50 \(2\) \| +class 1 70\.00 \| +class 1 60\.00 \|", text)
    assert re.search(r"\| both - none \| +[+-]0\.00 \(2\) \|", text)


def test_only_pairs_of_the_same_class_and_seed_are_compared():
    alone = {key: value for key, value in GRID.items() if key != ("none", 16, 0)}
    text = CellReport(("norm",), "batch_size", "c-cos").tables(results(alone))
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
        CellReport(("norm",), "batch_size", "c-cos"),
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
