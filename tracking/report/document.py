"""A study's sections in order, and their files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tracking.files.door import make_folder
from tracking.files.place import StorePath
from tracking.files.write import write_bytes
from tracking.report.blocks import Document, Images, Pictures, Section, file_name
from tracking.report.render.html import html_page
from tracking.report.render.markdown import markdown_page, terminal_text
from tracking.report.render.pictures import sheet, svg
from tracking.report.results import Results, load_results
from tracking.report.sections.cost import cost
from tracking.report.sections.dynamics import dynamics
from tracking.report.sections.examples import examples
from tracking.report.sections.excluded import TITLE as EXCLUDED
from tracking.report.sections.excluded import excluded
from tracking.report.sections.layers import layers
from tracking.report.sections.norms import norms
from tracking.report.sections.pollution import pollution
from tracking.report.sections.provenance import provenance
from tracking.report.sections.published import published
from tracking.report.sections.selection import selection
from tracking.report.sections.signals import signals
from tracking.report.sections.summary import summary
from tracking.report.sections.tables import tables
from tracking.store import Store

_FINDINGS: dict[str, Callable[[Results], Section | None]] = {
    "tables": tables,
    "published": published,
    "selection": selection,
    "pollution": pollution,
    "norms": norms,
    "dynamics": dynamics,
    "layers": layers,
    "examples": examples,
}
"""The sections about finished trials, in the order in which they stand behind the lead's."""

_UNRANKED = {"signals": signals, "dynamics": dynamics}
"""Those, in the same order, where there is no AUROC."""

_ENDS = (excluded, cost, provenance)


@dataclass(frozen=True)
class Written:
    """A report that was written.

    Attributes:
        page, markdown: its files.
        text: what the study is about, for a terminal.
        table: a file with that text; None if the report went to a folder of the caller's.
        picture: the lead's; None likewise, and where nothing has finished.
    """

    page: StorePath
    markdown: StorePath
    text: str
    table: StorePath | None = None
    picture: StorePath | None = None


def write_report(store: Store, study: str, folder: StorePath | None = None) -> Written:
    """Write ``STUDY.html``, ``STUDY.md`` and its pictures in ``STUDY-pictures/``.

    Args:
        folder: where to; None for ``report`` in the store, and then ``STUDY.md`` and ``STUDY.png``
            in the store are what the study is about, in short.

    Raises:
        StoreError: a file of the store is damaged.
    """
    results = load_results(store, study)
    document = compose(results)
    text = terminal_text(document)
    table = picture = None
    if folder is None:
        table = store.root / f"{study}.md"
        write_bytes(table, _encoded(text))
        if panels := [each.panel for block in _pictures(document.lead) for each in block.pictures]:
            picture = store.root / f"{study}.png"
            write_bytes(picture, sheet(panels, document.title))
        folder = store.root / "report"
    elif isinstance(folder, Path):
        make_folder(folder / f"{study}-pictures")
    pictures = folder / f"{study}-pictures"
    drawings = {
        each.name: svg(each.panel)
        for block in _pictures(document.sections)
        for each in block.pictures
    }
    for name, drawing in drawings.items():
        white = drawing.replace("<svg ", '<svg style="background:#fff" ', 1)
        write_bytes(pictures / file_name(name, "svg"), white.encode())
    for block in (block for section in document.sections for block in section.blocks):
        for image in block.images if isinstance(block, Images) else ():
            write_bytes(pictures / file_name(image.name, "png"), image.png)
    page, markdown = folder / f"{study}.html", folder / f"{study}.md"
    write_bytes(page, _encoded(html_page(document, drawings)))
    write_bytes(markdown, _encoded(markdown_page(document, pictures.name)))
    return Written(page, markdown, text, table, picture)


def compose(results: Results) -> Document:
    """All that there is to say; sections without content are left out."""
    title = str(results.about.get("title") or results.study.replace("_", " "))
    first = summary(results)
    others = [name for name in _FINDINGS if name not in (*results.lead, "selection")]
    lead, findings = [], []
    if not results.ranked:
        lead = _with_content(make(results) for make in _UNRANKED.values())
    elif results.finished:
        lead = _with_content(_FINDINGS[name](results) for name in results.lead)
        findings = _with_content(_FINDINGS[name](results) for name in others)
    ends = _with_content(make(results) for make in _ENDS) if results.trials else []
    told = [section for section in ends if section.title == EXCLUDED]
    sections = [first, *lead, *findings, *ends]
    return Document(results.study, title, sections, lead, told=[first, *lead, *told])


def _pictures(sections: Iterable[Section]) -> list[Pictures]:
    return [
        block for section in sections for block in section.blocks if isinstance(block, Pictures)
    ]


def _with_content(sections: Iterable[Section | None]) -> list[Section]:
    return [section for section in sections if section and section.blocks]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
