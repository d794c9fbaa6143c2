"""MLflow's pages of a synced store in a real Chromium: what is there, and that nobody is asked."""

import io
import json
import re
from urllib.parse import quote

import pytest
from matplotlib import image as png

from benchmarks.generated_store import generate
from tests.tracking.chromium import CHROMIUM, Chromium
from tests.tracking.mlflow_lab import Server, runs_of
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import tracking_uri

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
CALM = {  # what MLflow's own pages say of themselves wherever they run
    "users/current": "who is logged in; a server without accounts has no such page",
    "AG Grid: since v27.1": "its table, of its own settings",
    "Automatic fallback to software WebGL": "Chromium, on a machine without a GPU",
    "GPU stall due to ReadPixels": "the same",
    "ResizeObserver loop completed": "Chromium, of a chart that changes its size while it is drawn",
}
CHARTS = "document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server on a small store, and its trials' runs in the order of their names."""
    folder = tmp_path_factory.mktemp("site")
    store = generate(folder / "store", trials=12, epochs=5, layers=2, scorers=3)
    uri = tracking_uri(store)
    MlflowMirror(store, "generated", uri).finish()
    runs = runs_of(uri, "generated")
    del runs["generated"]
    server = Server(folder, uri)
    server.start()
    yield server.uri, sorted(runs.values(), key=lambda run: run.info.run_name)
    server.kill()


@pytest.fixture
def browser(site, tmp_path):
    """It has been here before: the assistant's panel is closed."""
    opened = Chromium(tmp_path)
    opened.open(f"{site[0]}/#/experiments")
    opened.wait_for_texts("generated")
    opened.remember(**{"mlflow.assistant.panelOpen_v1": "false"})
    yield opened
    opened.close()


@pytest.fixture
def calm(browser, site):
    """After the test: no message but MLflow's own, and no request to anywhere else."""
    yield
    strange = [text for text in browser.messages if not any(known in text for known in CALM)]
    assert strange == []
    browser.close()
    asked = browser.asked()
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith(f"{site[0]}/")] == []


def unfold(browser: Chromium, address: str) -> None:
    """Open a list of runs and press the + beside the study's own."""
    browser.open(address)
    plus = "document.querySelector('.ag-row button[data-component-id*=runnamecell]')"
    browser.wait(f"{plus} && ({plus}.click() ?? true)")


@pytest.mark.usefixtures("calm")
def test_the_list_names_every_run_and_filters(browser, site):
    uri, runs = site
    (experiment,) = {run.info.experiment_id for run in runs}
    unfold(browser, f"{uri}/#/experiments/{experiment}/runs")
    browser.wait_for_texts(f"{len(runs) + 1} matching runs", *(run.info.run_name for run in runs))
    query = quote('tags."nsa.norm" = \'both\' and metrics."auroc/c-cos" > 0.1')
    found = [run for run in runs if run.data.tags["nsa.norm"] == "both"]
    browser.open(f"{uri}/#/experiments/{experiment}/runs?searchFilter={query}")
    # MLflow adds the parent
    browser.wait_for_texts(f"{len(found) + 1} matching runs", *(r.info.run_name for r in found))
    others = {run.info.run_name for run in runs} - {run.info.run_name for run in found}
    text = browser.wait("document.body.innerText")
    assert others
    assert [name for name in others if name in text] == []


@pytest.mark.usefixtures("calm")
def test_runs_are_drawn_over_epochs(browser, site):
    uri, runs = site
    address = f"{uri}/#/experiments/{runs[0].info.experiment_id}/runs?compareRunsMode=CHART"
    unfold(browser, address)
    browser.wait_for_texts("auroc", "c-cos", runs[0].info.run_name)
    browser.wait(f"{CHARTS} > 1")
    browser.open(
        f"{uri}/#/experiments/{runs[0].info.experiment_id}/runs/{runs[0].info.run_id}/model-metrics"
    )
    browser.wait_for_texts(runs[0].info.run_name, "auroc", "c-cos", "k-cos", "other/auprc")
    browser.wait(f"{CHARTS} >= 3")


@pytest.mark.usefixtures("calm")
def test_runs_are_compared(browser, site):
    uri, runs = site
    chosen = [run.info.run_id for run in runs[:8]]
    experiments = json.dumps([runs[0].info.experiment_id])
    query = f"runs={quote(json.dumps(chosen))}&experiments={quote(experiments)}"
    browser.open(f"{uri}/#/compare-runs?{query}")
    browser.wait_for_texts("Comparing 8 Runs", *(run.info.run_name for run in runs[:8]))
    browser.wait_for_texts("auroc/c-cos", "other/auprc/c-cos", "batch_size")
    browser.wait("!!document.querySelector('.parcoords')")
    pixels = png.imread(io.BytesIO(browser.screenshot()))[:, :, :3]
    assert pixels.shape[:2] == (1000, 1400)
    assert ((pixels.max(axis=2) - pixels.min(axis=2)) > 0.3).mean() > 0.002  # lines in colour


@pytest.mark.usefixtures("calm")
def test_a_run_has_its_parameters_and_files(browser, site):
    uri, runs = site
    run = runs[0].info
    browser.open(f"{uri}/#/experiments/{run.experiment_id}/runs/{run.run_id}")
    browser.wait_for_texts(run.run_name, "batch_size", "data_fingerprint", "nsa.status")
    browser.open(f"{uri}/#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts")
    browser.wait_for_texts("config.json")


def test_the_browser_would_tell(tmp_path):
    """What the tests above look for does show up where it is."""
    page = tmp_path / "page.html"
    page.write_text(
        '<img src="http://example.invalid/x.png"><script>console.error("no"); missing()</script>'
    )
    browser = Chromium(tmp_path)
    browser.open(page.as_uri())
    browser.wait("document.readyState === 'complete'")
    browser.close()
    assert "error: no" in browser.messages
    assert any(re.match("uncaught: ReferenceError", text) for text in browser.messages)
    assert any("ERR_PROXY_CONNECTION_FAILED" in text for text in browser.messages)
    assert "http://example.invalid/x.png" in browser.asked()
