"""What is written where: files beside the store's, the terminal's text, sections in order."""

import re

import pytest

from tests.tracking.report.conftest import HOSTILE, auroc, configurations, run
from tracking.layout import Layout
from tracking.report.document import compose, write_report
from tracking.report.results import load_results
from tracking.selection import SIGNALS

ABOUT = {"title": "Table 3", "rows": ["norm"], "columns": "batch_size", "headline": "c-cos"}
GRID = {"norm": ("none", "both"), "batch_size": (32, 512), "normal_class": range(2)}
LEADS = {
    "tables": "Results", "pollution": "Pollution", "dynamics": "Training dynamics",
    "layers": "Scores by layers", "selection": "Choosing without test labels",
}  # fmt: skip


def titles(store, study: str = "table3") -> list[str]:
    return [section.title for section in compose(load_results(store, study)).sections]


def test_text_and_picture_stand_beside_the_store_and_the_page_in_its_folder(store, planned):
    planned(configurations(**GRID), ABOUT)
    before = {path.name for path in store.root.iterdir()}
    written = write_report(store, "table3")
    assert {path.name for path in store.root.iterdir()} - before == {
        "report", "table3.md", "table3.png",
    }  # fmt: skip
    assert written.table.read_text() == written.text
    assert written.picture.read_bytes().startswith(b"\x89PNG")
    assert written.page == store.root / "report" / "table3.html"
    assert {path.name for path in written.page.parent.iterdir()} == {
        "table3.html", "table3.md", "table3-pictures",
    }  # fmt: skip


def test_another_folder_leaves_the_store_alone(store, planned, tmp_path):
    planned(configurations(**GRID), ABOUT)
    before = sorted(store.root.rglob("*"))
    written = write_report(store, "table3", tmp_path / "out")
    assert sorted(store.root.rglob("*")) == before
    assert written.table is None
    assert written.picture is None
    assert "| none | " in written.text


def test_the_terminal_is_told_scope_findings_table_and_every_excluded_trial(store):
    good = configurations(**GRID)
    ids = [run(store, config) for config in good]
    odd = {"collapsed": "spread 0.003", "failed": "no \x1b[31m memory"}
    for seed, (status, message) in enumerate(odd.items(), start=50):
        ids.append(run(store, good[0] | {"seed": seed}, status=status, message=message))
    store.plan("table3", ids, about=ABOUT)
    text = write_report(store, "table3").text
    assert text.startswith("# Table 3\n\nData: cifar10; normal classes airplane and automobile;")
    assert "8 of 10 trials have finished; 1 collapsed and 1 failed." in text
    mean = sum(auroc(c) for c in good if c["norm"] == "both" and c["batch_size"] == 512) / 2
    assert re.search(rf"\| both \| .* {100 * mean:.1f} n 2 \|", text)
    for key, status, seed, message in (
        (ids[-2], "collapsed", 50, "spread 0.003"),
        (ids[-1], "failed", 51, "no \\\\x1b\\[31m memory"),
    ):
        named = f"norm none, batch size 32, class airplane, seed {seed} ({key})"
        assert f"\n- {status}: {named}: {message}\n" in text
    assert "Exactly what ran" not in text
    assert "![" not in text
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize("lead", LEADS)
def test_what_the_study_is_about_comes_first_and_is_told(store, planned, lead):
    layout = Layout(rows=("norm",), lead=(lead,))
    planned(configurations(norm=("none", "both"), pollution=(0.0, 0.1)), layout.about())
    assert titles(store)[:2] == ["In short", LEADS[lead]]
    assert f"\n## {LEADS[lead]}\n" in write_report(store, "table3").text
    assert (LEADS["selection"] in titles(store)) == (lead == "selection")
    assert len(set(titles(store))) == len(titles(store))


def test_a_search_is_told_what_every_signal_was_worth(store, planned):
    about = Layout(rows=("norm", "augment.flip"), lead=("selection",)).about()
    planned(configurations(norm=("none", "f", "both")), about)
    text = write_report(store, "table3").text
    for name in SIGNALS:
        if name != "held-out":
            assert f"| {name} " in text
    assert re.search(r"\| oracle .* 70\.0 +\| +0\.0 +\| +both, 0 \|", text)


def test_nothing_finished_is_said_in_words_and_draws_nothing(store, planned):
    planned(configurations(**GRID), ABOUT, status="pending")
    written = write_report(store, "table3")
    assert "No trial has finished yet: 8 pending of 8 trials." in written.text
    assert written.text.count("\n- pending: norm ") == 8
    assert written.picture is None
    assert not (store.root / "table3.png").exists()
    assert not list(written.page.parent.glob("table3-pictures/*"))


@pytest.mark.parametrize(
    "about",
    [
        None,
        {},
        {"rows": ["norm"], "headline": "c-cos", "paper": []},
        {"rows": None, "columns": None, "headline": None, "paper": None, "lead": None},
        {"rows": ["gone", "norm"], "columns": "gone", "lead": ["unheard", HOSTILE], "more": 1},
        {"rows": [HOSTILE], "columns": HOSTILE, "compare": HOSTILE, "title": HOSTILE},
    ],
    ids=["none", "empty", "older", "nulls", "unknown", "hostile"],
)
def test_studies_of_other_versions_read(store, planned, about):
    planned(configurations(norm=("none", "both"), normal_class=range(2)), about)
    written = write_report(store, "table3")
    assert titles(store)[1] == "Results"
    assert "61.1" in written.text  # 60.0 and 62.3, airplane and automobile
    assert "<script" not in written.text + written.page.read_text()
    assert {path.name for path in store.root.glob("*.*")} == {
        "store.json", "table3.md", "table3.png",
    }  # fmt: skip
