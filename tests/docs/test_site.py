"""The documents as a site: built strictly, without a network, and complete in itself."""

import functools
import http.server
import re
import socket
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests.tracking.chromium import CHROMIUM, Chromium

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """What a page loads (scripts, styles, fonts, pictures), where it links to, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.anchors = [], [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if values.get(LOADED.get(tag, "")):
            self.loads.append(values[LOADED[tag]])
        if tag == "link" and values["rel"] not in ("prev", "next", "canonical"):
            self.loads.append(values["href"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")

    def refused(self, address):
        raise AssertionError(f"the build asks {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refused)
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder))
        config.plugins.on_startup(command="build", dirty=False)
        build(config)  # with strict, a warning ends it
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def target(site, page, link):
    """The file that a link of a page leads to."""
    path = unquote(urlsplit(link).path)
    found = site / path.lstrip("/") if path.startswith("/") else page.parent / path
    return (found if path else page).resolve()


def test_every_document_and_every_result_is_a_page(site, pages):
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert documents <= {path.stem for path in pages if path.parent == site}
    results = {path.stem for path in (ROOT / "benchmarks" / "results").glob("*.md")}
    assert results == {path.stem for path in pages if path.parent == site / "measured"}


def test_pages_load_nothing_from_elsewhere(site, pages):
    for page, content in pages.items():
        assert content.loads, page
        for address in content.loads:
            assert not urlsplit(address).netloc, (page, address)
            assert target(site, page, address).is_file(), (page, address)
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        elsewhere = re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", text)
        assert elsewhere == [], style


def test_links_lead_somewhere(site, pages):
    missing = []
    for page, content in pages.items():
        for link in content.links:
            if urlsplit(link).scheme or urlsplit(link).netloc:
                continue
            found = target(site, page, link)
            found = found / "index.html" if found.is_dir() else found
            anchor = unquote(urlsplit(link).fragment)
            if not found.is_file() or (found in pages and anchor not in pages[found].anchors):
                missing.append((page.name, link))
    assert missing == []


def test_public_names_are_explained(pages):
    import nsa_core

    (api,) = [content for page, content in pages.items() if page.name == "api.html"]
    explained = {anchor.rsplit(".", 1)[-1] for anchor in api.anchors}
    assert set(nsa_core.__all__) <= explained


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_pages_searches_and_asks_nobody_else(site, tmp_path):
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        browser = Chromium(tmp_path, width=400, height=800)
        try:
            for page in ("index", "practice", "compactness", "api"):
                browser.open(f"{base}/{page}.html")
                browser.wait("document.readyState === 'complete'")
                browser.wait("[...document.images].every(image => image.naturalWidth > 0)")
                browser.wait("document.documentElement.scrollWidth <= innerWidth")
            browser.wait("document.querySelector('#__search').click() ?? true")
            browser.wait("document.querySelector('.md-search__input').focus() ?? true")
            browser.call("Input.insertText", text="kappa")
            browser.wait("document.querySelector('.md-search-result__link')?.href")
        finally:
            browser.close()
            server.shutdown()
    assert browser.messages == []
    assert [url for url in browser.asked() if not url.startswith(base)] == []
