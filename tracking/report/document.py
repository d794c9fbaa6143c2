"""A study's sections in order, and their files."""

import re

from tracking.atomic import write_bytes
from tracking.report.accounts import cost, excluded, provenance
from tracking.report.blocks import Document, Images, Pictures, file_name
from tracking.report.dynamics import dynamics
from tracking.report.examples import examples
from tracking.report.html import html_page
from tracking.report.markdown import markdown_page
from tracking.report.norms import norms
from tracking.report.pollution import pollution
from tracking.report.results import Results, load_results
from tracking.report.summary import summary
from tracking.report.tables import tables
from tracking.storage import StorePath
from tracking.store import Store

_VARIABLE = re.compile(r"var\(--\w+, (#\w+)\)")


def write_report(store: Store, study: str, folder: StorePath) -> tuple[StorePath, StorePath]:
    """Write ``STUDY.html``, ``STUDY.md`` and its pictures in ``STUDY-pictures/``.

    Returns the first two paths.

    Raises:
        StoreError: a file of the store is damaged.
    """
    document = compose(load_results(store, study))
    pictures = folder / f"{study}-pictures"
    for name, data in _picture_files(document).items():
        write_bytes(pictures / name, data)
    paths = folder / f"{study}.html", folder / f"{study}.md"
    for path, page in zip(
        paths, (html_page(document), markdown_page(document, pictures.name)), strict=True
    ):
        write_bytes(path, page.encode("utf-8", "replace"))
    return paths


def compose(results: Results) -> Document:
    """All that there is to say; sections without content are left out."""
    title = str(results.about.get("title") or results.study.replace("_", " "))
    sections = [summary(results)]
    if results.finished:
        found = [
            tables(results),
            dynamics(results),
            pollution(results),
            norms(results),
            examples(results),
        ]
        sections += [section for section in found if section and section.blocks]
    if results.trials:
        ends = [excluded(results), cost(results), provenance(results)]
        sections += [section for section in ends if section]
    return Document(results.study, title, sections)


def _picture_files(document: Document) -> dict[str, bytes]:
    files = {}
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Pictures):
                for picture in block.pictures:
                    files[file_name(picture.name, "svg")] = _standalone(picture.svg)
            elif isinstance(block, Images):
                for image in block.images:
                    files[file_name(image.name, "png")] = image.png
    return files


def _standalone(svg: str) -> bytes:
    """Outside of the page: its own colours on white."""
    plain = _VARIABLE.sub(r"\1", svg)
    return plain.replace("<svg ", '<svg style="background:#fff;color:#222" ', 1).encode()
