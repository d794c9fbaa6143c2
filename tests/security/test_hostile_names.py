"""A real study of a user's file whose name and classes are hostile: everywhere they are text."""

import html.parser
import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt
from mlflow import MlflowClient

from nsa_core import InputError, load_images
from studies.batchsize_ablation import STUDY as ABLATION
from studies.cli import main as study_main
from studies.mlflow_model import main as mlflow_model
from tests.security.hostile import FILE, PRINTABLE, UNPRINTABLE, write_data_set
from tests.studies.conftest import TOY, run_study
from tests.tracking.chromium import CHROMIUM, Chromium
from tracking import StoreError, create_store, mlflow_sync, open_store, query
from tracking.mlflow.place import tracking_uri
from tracking.report.__main__ import main as report
from tracking.text import printable

STUDY = "batchsize_ablation"
CLASSES = (3, 7)  # markup, and a table row with a formula
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "header", "p", "h1", "h2", "nav", "a", "main",
    "section", "div", "span", "small", "table", "thead", "tbody", "tr", "th", "td", "figure",
    "figcaption", "img", "svg", "g", "path", "text", "circle", "rect", "line", "polyline",
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Its folder, its store and what it said; nothing but these was written."""
    place = tmp_path_factory.mktemp("hostile")
    write_data_set(place / FILE)
    done = run_study(
        place / "store", "--dataset", FILE, "--data-root", str(place), "--epochs", "1",
        "--classes", ",".join(map(str, CLASSES)), "--set", "evaluations=1",
        page="tests/studies/toy.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return place, open_store(place / "store"), done


def test_names_come_through_unchanged_and_leave_the_store_nowhere(study):
    place, store, _ = study
    assert {path.name for path in place.iterdir()} == {FILE, "store"}
    assert set(store.trials()["class_name"].to_pylist()) == {PRINTABLE[i] for i in CLASSES}
    written = [path.relative_to(place).as_posix() for path in place.rglob("*")]
    assert not [path for path in written if "executed" in path and path != FILE]
    assert not Path("executed").exists()


def test_the_terminal_gets_nothing_but_text(study):
    _, _, done = study
    for text in (done.stdout, done.stderr):
        assert all(line.isprintable() for line in text.splitlines())
    assert "onerror" in done.stdout  # the name was there


def test_in_the_markdown_they_are_no_markup(study):
    _, store, _ = study
    for path in (store.root / f"{STUDY}.md", store.root / "report" / f"{STUDY}.md"):
        tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text())
        inner = [child for token in tokens for child in token.children or []]
        kinds = {child.type for child in [*tokens, *inner]}
        assert not kinds & {"html_block", "link_open", "code_inline", "fence", "code_block"}
        raw = [child.content for child in inner if child.type == "html_inline"]
        assert set(raw) <= {"<br>"}
        assert "onerror" in "".join(child.content for child in inner)


class Page(html.parser.HTMLParser):
    """Names of all elements and attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements, self.attributes, self.text = set(), set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def test_in_the_page_they_make_no_element_and_no_attribute(study):
    _, store, _ = study
    page = Page((store.root / "report" / f"{STUDY}.html").read_text())
    assert page.elements <= ELEMENTS
    assert not [name for name in page.attributes if name.startswith("on") or "<" in name]
    for index in CLASSES:
        assert PRINTABLE[index] in page.text


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_makes_no_element_of_them_either(study, tmp_path):
    _, store, _ = study
    browser = Chromium(tmp_path)
    try:
        browser.open((store.root / "report" / f"{STUDY}.html").as_uri())
        browser.wait("document.readyState == 'complete' && !!document.querySelector('h1')")
        names = browser.wait("[...document.querySelectorAll('*')].map(e => e.localName)")
        given = browser.wait(
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
        )
        links = browser.wait("[...document.querySelectorAll('a')].map(a => a.protocol)")
        text = browser.wait("document.body.textContent")
        assert all(PRINTABLE[index] in text for index in CLASSES)
        assert set(names) <= ELEMENTS
        assert not [name for name in given if name.startswith("on")]
        assert set(links) == {"file:"}
        assert browser.messages == []
    finally:
        browser.close()
    assert browser.asked() == []


def test_sql_takes_them_as_values(study, capsys):
    _, store, _ = study
    assert query.main([str(store.root), "select distinct class_name, dataset from trials"]) == 0
    shown = capsys.readouterr().out
    for index in CLASSES:
        assert PRINTABLE[index] in shown
    assert store.sql("from trials").num_rows == 8  # nothing was dropped


def test_in_mlflow_they_are_values_and_paths_stay_inside(study):
    _, store, _ = study
    client = MlflowClient(tracking_uri(store))
    experiment = client.get_experiment_by_name(STUDY)
    runs = client.search_runs([experiment.experiment_id])
    trials = [run for run in runs if "class_name" in run.data.params]
    assert {run.data.params["class_name"] for run in trials} == {PRINTABLE[i] for i in CLASSES}
    assert {run.data.params["dataset"] for run in trials} == {FILE}
    root = (store.root / "mlflow-artifacts").as_uri()
    assert all(run.info.artifact_uri.startswith(f"{root}/{STUDY}/") for run in runs)
    with sqlite3.connect(store.root / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone() == (9,)


@pytest.mark.parametrize("name", UNPRINTABLE)
def test_names_that_cannot_be_printed_or_are_very_long_are_refused(tmp_path, name):
    names = (*PRINTABLE[:4], name, *PRINTABLE[5:])
    write_data_set(tmp_path / "my.parquet", names)
    with pytest.raises(InputError, match=r"name of class 4 is .*need printable") as error:
        load_images("my.parquet", "train", tmp_path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["\x1b[31m.parquet", "\u202e.parquet", "a\nb.parquet"])
def test_files_that_cannot_be_printed_are_refused(tmp_path, name):
    write_data_set(tmp_path / name)
    with pytest.raises(InputError, match="unprintable"):
        load_images(name, "train", tmp_path)


def test_columns_of_a_file_do_not_steer_the_terminal(tmp_path, capsys):
    pq.write_table(pa.table({"\x1b[31mimage": [1], "split": ["train"]}), tmp_path / "my.parquet")
    given = ["--dataset", "my.parquet", "--data-root", str(tmp_path)]
    assert study_main(ABLATION, [*TOY, "--store", str(tmp_path / "store"), *given]) == 2
    said = capsys.readouterr().err
    assert "no column 'image' (it has: \\x1b[31mimage, split)" in said
    assert all(line.isprintable() for line in said.splitlines())


HOSTILE = [*UNPRINTABLE[:-1], *PRINTABLE[:-1], "..", ".", "a" * 65, "A", "-a", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_study_names_and_trial_ids_are_refused_everywhere(tmp_path, capsys, name):
    store = create_store(tmp_path / "store")
    store.plan("some", [])
    for refused in (
        lambda: store.plan(name, []),
        lambda: store.members(name),
        lambda: store.about(name),
        lambda: store.trial(name),
        lambda: store.plan("some", [name]),
    ):
        with pytest.raises(StoreError):
            refused()
    for main in (report, mlflow_sync.main, mlflow_model):
        assert main([str(store.root), f"--study={name}"]) == 2
    said = capsys.readouterr().err
    assert all(line.isprintable() for line in said.splitlines())
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


def test_a_study_of_a_hostile_name_in_the_folder_is_refused(tmp_path, capsys):
    store = create_store(tmp_path / "store")
    (store.root / "studies").mkdir()
    plan = store.root / "studies" / "\x1b[31m<b>.json"
    plan.write_text(json.dumps({"study": "x", "trials": []}))
    assert report([str(store.root)]) == 2
    assert all(line.isprintable() for line in capsys.readouterr().err.splitlines())


def test_plain_text_is_in_one_line_and_steers_nothing():
    for name in [*UNPRINTABLE[:-1], *PRINTABLE]:
        assert printable(name).isprintable()
    for name in PRINTABLE:
        assert printable(name) == name
