"""The page in a real Chromium: it renders, the console stays silent, nobody is asked anything."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from matplotlib import image as png

from tests.tracking.report.conftest import HOSTILE, configurations, run, written
from tracking import create_store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
ABOUT = {"title": HOSTILE, "rows": ["norm"], "columns": "batch_size", "headline": "c-cos"}
MEASURE = """<script>onload = () => { const inside = frames[0].document;
  const root = inside.documentElement, text = getComputedStyle(inside.body);
  document.body.textContent = "MEASURED" + JSON.stringify({
    scroll: root.scrollWidth, ink: text.color, paper: text.backgroundColor,
    headings: inside.querySelectorAll("h2").length,
    scripts: inside.querySelectorAll("script").length,
    drawn: [...inside.querySelectorAll("svg, img")].map(e => e.getBoundingClientRect())
      .map(r => [r.left, r.right, r.height]),
    loaded: [...inside.images].map(i => i.naturalWidth),
    boxes: [...inside.querySelectorAll(".scroll")].map(e => e.getBoundingClientRect().right),
    wide: [...inside.querySelectorAll("table")].map(e => e.scrollWidth)}) + "END" }</script>"""


def browse(folder: Path, page: Path, *options: str) -> tuple[str, list[str], list[str]]:
    """Standard output, messages on the console, network addresses that the page asked for.

    What the browser asks for by itself ends at a closed port of this machine, as all else does.
    """
    log = folder / "net.json"
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", f"--log-net-log={log}",
        "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>",
        f"--user-data-dir={folder / 'profile'}", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = re.findall(r"CONSOLE.*", done.stderr)
    asked = [
        found.group(1)
        for event in log.read_text().splitlines()
        if '"initiator":"' in event and '"initiator":"not an origin"' not in event  # the browser
        if (found := re.search(r'"url":"((?:https?|wss?|ftp):[^"]*)"', event))
    ]
    return done.stdout, console, asked


def measured(folder: Path, page: str, width: int, *options: str) -> dict:
    """Layout of a page in a frame of this width, by a script in the page around it."""
    frame = f'<iframe srcdoc="{html.escape(page)}" style="width:{width}px;height:900px;border:0">'
    wrapper = folder / "wrapper.html"
    wrapper.write_text(f"<meta charset=utf-8><body>{frame}</iframe>{MEASURE}")
    out, _, _ = browse(folder, wrapper, "--dump-dom", "--virtual-time-budget=5000", *options)
    found = html.unescape(re.search(r"MEASURED(.*?)END", out, re.DOTALL).group(1))
    return json.loads(found)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> tuple[str, Path]:
    store = create_store(tmp_path_factory.mktemp("browser") / "store")
    grid = {"norm": ("none", "f", "both"), "batch_size": (32, 512), "pollution": (0.0, 0.1)}
    ids = [
        run(store, config, class_name=HOSTILE, kept=("scores", "extremes"))
        for config in configurations(**grid, normal_class=range(3))
    ]
    store.plan("table3", ids, about=ABOUT)
    text, _, folder = written(store)
    return text, folder / "table3.html"


def test_nothing_on_the_console_and_nothing_asked_for(page, tmp_path):
    dom, console, asked = browse(tmp_path, page[1], "--dump-dom")
    assert console == []
    assert asked == []
    assert dom.count("<section ") == page[0].count("<section ")
    assert dom.count("</svg>") > 10


def test_the_browser_would_tell(tmp_path):
    """What the test above looks for does show up where it is."""
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("no")</script>')
    _, console, asked = browse(tmp_path, bad, "--dump-dom")
    assert any('"no"' in line for line in console)
    assert any(each.startswith("http://127.0.0.1:9/") for each in asked)


@pytest.mark.parametrize("width", [390, 1200])
def test_it_fits_and_its_pictures_are_drawn(page, tmp_path, width):
    found = measured(tmp_path, page[0], width, "--window-size=1300,1000")
    assert found["scroll"] <= width
    assert found["headings"] == page[0].count("<h2>") > 7
    assert found["scripts"] == 0
    assert len(found["drawn"]) > 40
    for left, right, height in found["drawn"]:
        assert 0 <= left < right <= width
        assert height > 30
    assert found["loaded"] == [8] * 36
    assert all(right <= width for right in found["boxes"])
    if width == 390:
        assert max(found["wide"]) > width  # so the boxes do scroll


def luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)" (WCAG 2)."""
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_light_and_dark_are_readable(page, tmp_path):
    light = measured(tmp_path, page[0], 800)
    dark = measured(tmp_path, page[0], 800, "--blink-settings=preferredColorScheme=0")
    for found in (light, dark):
        low, high = sorted((luminance(found["ink"]), luminance(found["paper"])))
        assert (high + 0.05) / (low + 0.05) > 7
    assert luminance(light["paper"]) > 0.5 > luminance(dark["paper"])


def test_the_screen_shows_it(page, tmp_path):
    shot = tmp_path / "shot.png"
    browse(tmp_path, page[1], f"--screenshot={shot}", "--window-size=1200,3000")
    pixels = png.imread(shot)[:, :, :3]
    assert pixels.shape[:2] == (3000, 1200)
    coloured = (pixels.max(axis=2) - pixels.min(axis=2)) > 0.3
    assert coloured.mean() > 0.001
    assert (pixels.max(axis=2) < 0.5).mean() > 0.005  # ink
