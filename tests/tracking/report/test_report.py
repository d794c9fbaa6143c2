"""Reports of small real stores: numbers by hand, and what they say when things are missing."""

import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from tests.tracking.report.conftest import HOSTILE, NAMES, auroc, configurations, keep, run, written
from tracking import StoreError
from tracking.report.__main__ import main

ABOUT = {"title": "Table 3", "rows": ["norm"], "columns": "batch_size", "headline": "c-cos"}
GRID = {"norm": ("none", "both"), "batch_size": (32, 512), "normal_class": range(4)}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table(text: str, caption: str) -> list[list[str]]:
    """The cells of the Markdown table below the caption that starts like this, header first."""
    lines = text[text.index(caption) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    found = [cells(line) for line in lines[start:] if line.startswith("|")]
    end = next((i for i, line in enumerate(lines[start:]) if not line.startswith("|")), None)
    return [row for at, row in enumerate(found[:end]) if at != 1]


def test_means_and_intervals_are_those_computed_by_hand(store, planned):
    planned(configurations(**GRID, seed=range(2)), ABOUT)
    _, text, _ = written(store)
    header, *rows = table(text, "AUROC in %")
    assert header == ["norm", "batch size 32", "batch size 512"]
    for norm, row in zip(("none", "both"), rows, strict=True):
        assert row[0] == norm
        for batch, cell in zip((32, 512), row[1:], strict=True):
            means = [
                np.mean([
                    auroc({"norm": norm, "batch_size": batch, "normal_class": c, "seed": s,
                           "pollution": 0.0})
                    for s in range(2)
                ])
                for c in range(4)
            ]  # fmt: skip
            low, high = stats.t.interval(0.95, 3, np.mean(means), stats.sem(means))
            wanted = f"{100 * np.mean(means):.1f}<br>[{100 * low:.1f}, {100 * high:.1f}] n 8"
            assert cell == wanted


def test_paired_differences_are_those_computed_by_hand(store, planned):
    planned(configurations(**GRID, seed=range(2)), ABOUT)
    _, text, _ = written(store)
    _, row = table(text, "All settings together.")
    assert row[:2] == ["both", "+10.0<br>[+10.0, +10.0]"]
    assert row[2:5] == ["0.12", "0.12", "0.12"]  # 2 / 2^4: four classes, all up
    assert row[6:] == ["100.0 %", "16"]
    _, by_class, *_ = table(text, "Class by class")
    assert by_class == ["all", "both", "+10.0", "+10.0", "+10.0", "+10.0"]
    assert "norm both +10.0 points" in text


def test_page_and_markdown_hold_the_same_table(store, planned):
    planned(configurations(**GRID), ABOUT)
    page, text, _ = written(store)
    for caption in ("AUROC in %", "All settings together.", "Training and evaluating"):
        body = page[page.index(f'"caption">{caption}') :]
        body = body[body.index("<tbody>") : body.index("</tbody>")]
        found = [
            re.sub(r"<small>", " ", re.sub(r"</?(td|th)[^>]*>|</small>|</?b>", "", each)).strip()
            for each in re.findall(r"<t[dh][^>]*>.*?</t[dh]>", body)
        ]
        wanted = [cell for row in table(text, caption)[1:] for cell in row]
        assert found == [re.sub(r"\\", "", cell).replace("<br>", " ") for cell in wanted]
        assert found


def test_the_papers_value_stands_beside_the_same_score(store, planned):
    paper = [
        {"where": {"norm": "none", "batch_size": 32}, "scorer": "k-cos", "auroc": 0.75},
        {"where": {"norm": "both", "batch_size": 32}, "scorer": "k-cos", "auroc": 0.71},
        {"where": {"norm": "none", "batch_size": 512}, "scorer": "unheard", "auroc": 0.3},
        {"where": {"norm": "both", "batch_size": 512, "dataset": "other"}, "auroc": 0.5},
    ]
    planned(configurations(**GRID), ABOUT | {"paper": paper})
    _, text, _ = written(store)
    _, none, both = table(text, "AUROC in %")
    ours = np.mean([
        auroc({"norm": "none", "batch_size": 32, "normal_class": c, "seed": 0, "pollution": 0},
              scorer="k-cos")
        for c in range(4)
    ])  # fmt: skip
    value = f"paper (its k-Cos) 75.0, ours {100 * ours:.1f}"
    assert f"{value}<br>lower by {75 - 100 * ours:.1f} \\*" in none[1]
    assert both[1].endswith("agrees \\*")
    assert "paper (its unheard) 30.0<br>higher by" in none[2]
    assert "paper" not in both[2]
    for reason in ("40 epochs instead of 4,000 epochs", "width 16 instead of 64",
                   "4 of 10 classes", "our score is c-cos, the paper's unheard"):  # fmt: skip
        assert reason in text
    assert "1 of 3 cells with a published value agree with the paper; none of them" in text


def test_like_for_like_is_said_when_it_is(store, planned):
    same = configurations(normal_class=range(10), budget=[4000], width=[64])
    paper = [{"where": {"norm": "none"}, "scorer": "k-cos", "auroc": 0.9}]
    planned(same, {"rows": ["norm"], "headline": "c-cos", "paper": paper})
    _, text, _ = written(store)
    assert "Not like for like" not in text
    assert "Epochs, width and classes are the paper's." in text


def test_unlike_trials_are_never_averaged_in_one_cell(store, planned):
    """The study names the norm alone, but pollution varies too: it gets rows of its own."""
    planned(configurations(**GRID, pollution=(0.0, 0.1)), ABOUT)
    _, text, _ = written(store)
    header, *rows = table(text, "AUROC in %")
    assert header[:2] == ["pollution", "norm"]
    assert [row[:2] for row in rows] == [
        ["0", "none"],
        ["0", "both"],
        ["0.1", "none"],
        ["0.1", "both"],
    ]
    _, slope, *_ = table(text, "What 10 % of pollution costs")
    assert slope[:3] == ["norm none, batch size 32", "−4.0<br>[−4.0, −4.0]", "4"]


def test_without_about_the_rows_are_what_varies(store, planned):
    tied = [c | {"budget": 500 if c["norm"] == "both" else 4000} for c in configurations(**GRID)]
    planned(tied)
    _, text, _ = written(store)
    header, *rows = table(text, "AUROC in %")
    assert header == ["norm", "batch size", "c-cos"]  # the budget follows from the norm
    assert len(rows) == 4


def test_what_goes_with_the_class_is_said_and_is_no_arm(store, planned):
    configs = [c | {"depth": 18 if c["normal_class"] < 2 else 34} for c in configurations(**GRID)]
    planned(configs, ABOUT)
    _, text, _ = written(store)
    assert table(text, "AUROC in %")[0] == ["norm", "batch size 32", "batch size 512"]
    assert "Each class has one value of depth" in text


def test_trials_that_did_not_finish_are_named_and_not_averaged(store):
    good = configurations(norm=["none"], normal_class=range(3))
    ids = [run(store, config) for config in good]
    odd = {"collapsed": "spread 0.003", "diverged": "loss is nan", "failed": "no memory",
           "stopped": "by the scheduler", "pending": "", "running": ""}  # fmt: skip
    for seed, (status, message) in enumerate(odd.items(), start=50):
        config = good[0] | {"seed": seed}
        ids.append(run(store, config, status=status, message=message))
    store.plan("table3", ids, about=ABOUT | {"columns": None})
    _, text, _ = written(store)
    _, row = table(text, "AUROC in %")
    mean = np.mean([auroc(config) for config in good])
    assert row[1].startswith(f"{100 * mean:.1f}<br>")
    assert row[1].endswith("n 3")
    named = {row[0]: row for row in table(text, "Trials that have not finished well")[1:]}
    assert set(named) == set(odd)
    for status, message in odd.items():
        assert named[status][2] == (message or "–")
    assert "3 of 9 trials have finished" in text
    assert "The study is not complete: 77 % of its trials have ended." in text


def test_a_study_of_which_nothing_has_finished_says_so(store, planned):
    planned(configurations(**GRID), ABOUT, status="pending")
    page, text, _ = written(store)
    for said in (page, text):
        assert "No trial has finished yet: 16 pending of 16 trials." in said
    assert "## Results" not in text
    assert "## Exactly what ran" in text


def test_a_study_without_trials_says_so(store):
    store.plan("table3", [], about=ABOUT)
    page, text, _ = written(store)
    assert "The study has no trials yet." in page
    assert "The study has no trials yet." in text


def test_hostile_names_are_text(store):
    config = configurations(dataset=[HOSTILE])[0]
    ids = [
        run(store, config | {"normal_class": c}, class_name=HOSTILE, kept=("scores", "extremes"))
        for c in range(2)
    ]
    ids.append(
        run(store, config | {"seed": 9}, class_name=HOSTILE, status="failed", message=HOSTILE)
    )
    about = ABOUT | {"title": HOSTILE, "rows": ["dataset", HOSTILE], "columns": None}
    store.plan("table3", ids, about=about)
    page, text, folder = written(store)
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("&lt;script&gt;") > 5
    assert "<script" not in text
    assert "\n**b**" not in text
    failed = table(text, "Trials that have not finished well")[1]
    assert len(failed) == 5  # the pipe in the message split no cell
    assert (
        failed[2] == "&lt;script&gt;alert(\"x\")&lt;/script&gt;\\|\\`a\\` \\*\\*b\\*\\* &amp; 'c'"
    )
    for drawing in (folder / "table3-pictures").glob("*.svg"):
        assert b"<script" not in drawing.read_bytes()


def test_artifacts_are_shown_where_they_are(store, planned):
    planned(configurations(normal_class=range(3)), ABOUT, kept=("scores", "extremes"))
    page, text, folder = written(store)
    assert page.count('<img src="data:image/png;base64,') == 3 * 2 * 6
    assert "Worst misses: outliers with the lowest scores" in text
    assert "histogram of 100 normal and 200 outlying test images" in page
    pictures = re.findall(r"!\[.*?\]\((table3-pictures/[^)]*)\)", text)
    assert len(pictures) > 36
    assert all((folder / each).stat().st_size > 100 for each in pictures)


def test_missing_artifacts_leave_the_rest(store, planned):
    planned(configurations(normal_class=range(3)), ABOUT)
    page, text, _ = written(store)
    assert "has no scores of single images in the store" in text
    assert "<img" not in page
    assert "Worst misses" not in text


def test_best_median_and_worst_are_chosen_by_the_headline(store, planned):
    ids = planned(configurations(normal_class=range(5)), ABOUT, kept=("scores",))
    _, text, _ = written(store)
    for rank, place in (("Best", 4), ("Median", 2), ("Worst", 0)):
        assert re.search(rf"{rank}: .*class {NAMES[place]}, seed 0 \({ids[place]}\)", text)


def test_a_damaged_artifact_is_named(store, planned):
    ids = planned(configurations(normal_class=range(2)), ABOUT, kept=("scores",))
    path = store.trial(ids[1]).folder / "test_scores.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"test_scores\.parquet cannot be read"):
        written(store)


def test_cost_adds_up(store, planned):
    planned(configurations(**GRID), ABOUT)
    _, text, _ = written(store)
    *_, total = table(text, "Training and evaluating")
    assert total == ["all", "", "16", "3.7 min", "14.0 s", "800", "700", "80"]  # 16 x 4 x 3.5 s


def test_configuration_and_machines_are_exact(store, planned):
    planned(configurations(**GRID), ABOUT)
    _, text, _ = written(store)
    shared = dict(table(text, "Configuration that all trials share.")[1:])
    assert shared["learning_rate"] == "0.001"
    assert shared["method_options"] == '{"projector_dim": 8}'
    assert "norm" not in shared
    assert dict(table(text, "Configuration that varies.")[1:])["batch_size"] == "32, 512"
    assert dict(table(text, "Data, machines")[1:])["commit"] == "abc"


def test_the_page_loads_nothing(store, planned):
    planned(configurations(**GRID), ABOUT, kept=("scores", "extremes"))
    page, _, folder = written(store)
    loads = re.findall(r"""(?:src|href|action|data|poster)\s*=\s*["']?([^"'\s>]+)""", page)
    assert loads
    assert all(each.startswith(("#", "data:image/png;base64,")) for each in loads)
    assert not re.search(r"@import|url\(|<link|<iframe|<object|<script", page)
    assert "default-src 'none'" in page
    for drawing in (folder / "table3-pictures").glob("*.svg"):
        assert "var(" not in drawing.read_text()


def test_every_picture_has_an_alternative_text(store, planned):
    planned(configurations(**GRID, pollution=(0.0, 0.1)), ABOUT, kept=("scores", "extremes"))
    page, _, _ = written(store)
    drawn = re.findall(r'<div role="img" aria-label="[^"]{20,}"><svg ', page)
    assert len(drawn) == page.count("<svg ")
    for opening in re.findall(r"<img [^>]*>", page):
        assert re.search(r'alt="[^"]{20,}"', opening)
    assert page.count("<svg ") > 10


def test_command_writes_every_study_of_the_store(store, planned, capsys, tmp_path):
    planned(configurations(normal_class=range(2)), ABOUT)
    planned(configurations(normal_class=range(2, 4)), None, study="other")
    assert main([str(store.root), "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.*")) == [
        "other.html", "other.md", "table3.html", "table3.md",
    ]  # fmt: skip
    assert str(tmp_path / "out" / "table3.html") in capsys.readouterr().out


def test_command_names_what_is_wrong(store, planned, capsys, tmp_path):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "no store at" in capsys.readouterr().err
    assert main([str(store.root)]) == 2
    assert "has no study yet" in capsys.readouterr().err
    planned(configurations(normal_class=range(2)), ABOUT)
    assert main([str(store.root), "--study", "table9"]) == 2
    assert "no study 'table9' in the store (it has: table3)" in capsys.readouterr().err


def test_module_runs_as_documented_without_torch(store, planned):
    planned(configurations(normal_class=range(2)), ABOUT)
    code = (
        "import sys; from tracking.report.__main__ import main; "
        f"status = main([{str(store.root)!r}]); "
        "sys.exit(status or ('torch' in sys.modules) * 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
    assert (store.root / "report" / "table3.html").exists()


def test_the_same_store_gives_the_same_page(store, planned):
    planned(configurations(**GRID), ABOUT, kept=("scores",))
    assert written(store)[:2] == written(store)[:2]


def test_extremes_of_another_trial_are_shown_where_the_chosen_have_none(store, planned):
    ids = planned(configurations(normal_class=range(5)), ABOUT, kept=("scores",))
    keep(store.trial(ids[1]), ["extremes"], "automobile")
    page, text, _ = written(store)
    assert page.count("<img ") == 12
    assert f"class automobile, seed 0 ({ids[1]})." in text
