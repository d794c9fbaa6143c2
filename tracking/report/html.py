"""The report as one page: no script, nothing fetched, light and dark, paper and phone."""

import base64
import html
from collections.abc import Sequence

from tracking.report.blocks import Block, Cell, Document, Images, Pictures, Section, Table, Text
from tracking.report.style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html_page(document: Document) -> str:
    """The whole page; every text is escaped, and a policy forbids it to load anything."""
    links = "".join(
        f'<a href="#{_anchor(section)}">{html.escape(section.title)}</a>'
        for section in document.sections[1:]
    )
    sections = "\n".join(map(_section, document.sections))
    title = html.escape(document.title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><p class="study">{html.escape(document.name)}</p><h1>{title}</h1>'
        f"<nav>{links}</nav></header>\n<main>\n{sections}\n</main>\n</body>\n</html>\n"
    )


def _anchor(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _section(section: Section) -> str:
    blocks = "\n".join(map(_block, section.blocks))
    title = html.escape(section.title)
    return f'<section id="{_anchor(section)}">\n<h2>{title}</h2>\n{blocks}\n</section>'


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Table):
        return _table(block)
    caption = f"<figcaption>{html.escape(block.caption)}</figcaption>"
    if isinstance(block, Pictures):
        drawn = "".join(
            picture.svg.replace("<svg ", f'<svg role="img" aria-label="{_quoted(picture.alt)}" ', 1)
            for picture in block.pictures
        )
        return f'<figure>{caption}<div class="panels">{drawn}</div></figure>'
    return f'<figure>{caption}<div class="images">{_images(block)}</div></figure>'


def _images(block: Images) -> str:
    return "".join(
        f'<div><img src="data:image/png;base64,{base64.b64encode(image.png).decode()}" '
        f'alt="{_quoted(image.alt)}">'
        + "".join(f"<span>{html.escape(line)}</span>" for line in image.lines)
        + "</div>"
        for image in block.images
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_label_class(index, table)}>{html.escape(name)}</th>'
        for index, name in enumerate(table.header)
    )
    grouped = len({row[0] for row in table.rows}) < len(table.rows)
    rows = []
    before: Cell | None = None
    for row in table.rows:
        starts = grouped and before is not None and row[0] != before
        opening = '<tr class="starts">' if starts else "<tr>"
        rows.append(f"{opening}{_row(row, table)}</tr>")
        before = row[0]
    return (
        f'<div class="table"><p class="caption">{html.escape(table.caption)}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_quoted(table.caption)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def _row(row: Sequence[Cell], table: Table) -> str:
    return "".join(
        f'<th scope="row" class="label">{_cell(cell)}</th>'
        if index < table.labels
        else f"<td>{_cell(cell)}</td>"
        for index, cell in enumerate(row)
    )


def _label_class(index: int, table: Table) -> str:
    return ' class="label"' if index < table.labels else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return html.escape(cell)
    first, *more = cell
    return html.escape(first) + "".join(
        f"<small>{html.escape(line)}</small>" for line in more if line
    )


def _quoted(words: str) -> str:
    return html.escape(words, quote=True)
