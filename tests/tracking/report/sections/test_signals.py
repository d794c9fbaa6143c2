"""What a report says of trials without AUROC."""

import dataclasses

import pytest

from tests.tracking.report.made import GRID, results, tables_of, trial
from tracking.report.document import compose
from tracking.report.render.markdown import terminal_text
from tracking.report.results import Results
from tracking.schema import SCORES

ABSENT = "no test outliers (the data set has no test split): AUROC, AUPRC and FPR95 are absent"


def unranked(each, **state):
    """The trial without a row of scores."""
    state = {**each.state, "absent": ABSENT, "test_images": 0, **state}
    return dataclasses.replace(each, scores=SCORES.empty_table(), state=state)


def study(**about) -> Results:
    """Trials by norm, batch size and class, whose loss is a signal that differs."""
    ranked = results(GRID, {"rows": ["norm"], "columns": "batch_size", **about})
    return dataclasses.replace(ranked, trials=[unranked(each) for each in ranked.trials])


def test_the_summary_says_what_is_absent_and_names_no_headline():
    text = terminal_text(compose(study()))
    assert "No test outliers (the data set has no test split): AUROC, AUPRC and FPR95" in text
    assert "Headline" not in text
    assert "Mean kappa of the training embeddings at the last epoch: 80 (norm none," in text
    assert "All 8 trials have finished." in text
    assert "not compared" not in text
    assert "Not in the means" not in text


def test_signals_are_averaged_by_arm_in_the_headlines_place():
    document = compose(study())
    assert document.lead[0].title == "Training signals"
    (table,) = tables_of(document.lead[0]).values()
    header, *body = table
    assert header == ["norm", "batch size", "n", "kappa", "MMD", "alignment", "loss"]
    expected = {
        (norm, str(batch)): -(GRID[norm, batch, 0] + GRID[norm, batch, 1]) / 2
        for norm, batch, _ in GRID
    }
    for norm, batch, n, kappa, mmd, alignment, loss in body:
        assert (n, kappa, mmd, alignment) == ("2", "80", "0.1", "0.2")
        assert float(loss) == pytest.approx(expected[norm, batch], abs=1e-3)
    assert len(body) == 4


def test_no_section_speaks_of_auroc_where_there_is_none():
    for lead in (["tables", "published"], ["dynamics"], ["pollution"], ["layers"], ["selection"]):
        document = compose(study(lead=lead))
        titles = [section.title for section in document.sections]
        assert titles == [
            "In short", "Training signals", "Training dynamics", "Cost", "Exactly what ran",
        ]  # fmt: skip


def test_a_search_without_auroc_names_the_trial_that_each_signal_chooses():
    found = tables_of(compose(study(lead=["selection"])).lead[0])
    rows = {row[0]: row for row in found["The trial that each signal chooses at the last epoch."]}
    best = max(GRID, key=GRID.__getitem__)  # the made-up loss is minus the value
    number = list(GRID).index(best)
    assert rows["loss"][2:] == [f"{number:016x}", f"{-GRID[best]:.3g}"]
    assert "held-out" not in rows


def test_beside_ranked_trials_the_others_are_named_and_averaged_nowhere():
    ranked = results(GRID, {"rows": ["norm"], "columns": "batch_size"})
    other = unranked(trial(99, 0.5, norm="none", batch_size=16, normal_class=2))
    both = dataclasses.replace(ranked, trials=[*ranked.trials, other])
    assert both.finished == ranked.trials
    text = terminal_text(compose(both))
    assert "1 trial with no test outliers is not compared." in text
    assert "finished, no test outliers" in text
    assert "Training signals" not in text


def test_of_trials_without_auroc_too_those_on_the_newest_data_count():
    old, new = (
        unranked(
            dataclasses.replace(each, definition={**each.definition, "data_fingerprint": str(n)})
        )
        for n, each in enumerate((trial(0, 0.5), trial(1, 0.6, seed=1)))
    )
    both = Results("made", {}, [old, new])
    assert both.finished == [new]
    assert "1 trial with older data is not compared." in terminal_text(compose(both))


def test_before_a_trial_has_finished_nobody_knows():
    waiting = [unranked(each, status="running", absent=None) for each in study().trials]
    assert "absent" not in terminal_text(compose(dataclasses.replace(study(), trials=waiting)))
