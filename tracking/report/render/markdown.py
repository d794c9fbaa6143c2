"""The report as Markdown: whole with pictures in files beside it, or what a terminal shows."""

import re
from collections.abc import Sequence
from dataclasses import replace

from tracking.report.blocks import (
    Block,
    Cell,
    Document,
    Images,
    Pictures,
    Table,
    Text,
    file_name,
)
from tracking.report.render.words import one_line
from tracking.text import markdown_table

_MOST_ROWS = 24  # of a table on a terminal

_SPECIAL = re.compile(r"([\\`*\[\]|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_STARTS = re.compile(r"^(\d*)([+.)=-])")  # a rule, an item of a list
_NUMBER = r"[+\u2212]?\d+(?:\.\d+)?"
_INTERVAL = re.compile(  # never a link, whatever stands behind it
    rf"(\[(?:{_NUMBER}, {_NUMBER}|95 % interval[a-z, ]*)\](?![(\[:]))"
)


def markdown_page(document: Document, pictures: str) -> str:
    """The whole text; ``pictures`` is the folder of the picture files."""
    parts = [f"# {escaped(document.title)}"]
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [_block(block, pictures) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def terminal_text(document: Document) -> str:
    """Title, and the texts and tables of what is to be told; long tables of the lead cut off."""
    parts = [f"# {escaped(document.title)}"]
    for section in document.told:
        shown = [block for block in section.blocks if isinstance(block, Text | Table)]
        if shown and section is not document.told[0]:
            parts.append(f"## {escaped(section.title)}")
        for block in shown:
            most = _MOST_ROWS if section in document.lead else len(getattr(block, "rows", ()))
            parts.append(_told(block, most))
    return "\n\n".join(parts) + "\n"


def escaped(words: str) -> str:
    """Words on one line in which nothing is markup, not even in a table."""
    line = one_line(words)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    parts = _INTERVAL.split(line)
    return "".join(
        part if index % 2 else _SPECIAL.sub(r"\\\1", part) for index, part in enumerate(parts)
    )


def _block(block: Block, pictures: str) -> str:
    if isinstance(block, Text):
        return _paragraph(block.text)
    if isinstance(block, Table):
        return f"{_paragraph(block.caption)}\n\n{_table(block, '<br>', '<br>')}"
    if isinstance(block, Pictures):
        drawn = [(each.alt, file_name(each.name, "svg")) for each in block.pictures]
    else:
        drawn = [(each.alt, file_name(each.name, "png")) for each in block.images]
    images = "\n".join(f"![{escaped(alt)}]({pictures}/{name})" for alt, name in drawn)
    if isinstance(block, Images):
        said = "; ".join(escaped(f"{', '.join(each.lines)}") for each in block.images)
        images += f"\n\nIn this order: {said}."
    return f"{_paragraph(block.caption)}\n\n{images}"


def _told(block: Text | Table, most: int) -> str:
    if isinstance(block, Text):
        return _paragraph(block.text)
    if block.lines:
        return "\n".join([f"{_paragraph(block.caption)}\n", *map(_item, block.lines)])
    text = _table(replace(block, rows=block.rows[:most]), " ", "; ")
    if (more := len(block.rows) - most) > 0:
        text += f"\n\nThe report has {more} rows more."
    return f"{_paragraph(block.caption)}\n\n{text}"


def _item(line: str) -> str:
    return f"- {_paragraph(line)}"


def _paragraph(words: str) -> str:
    return _STARTS.sub(r"\1\\\2", escaped(words))


def _table(table: Table, first: str, then: str) -> str:
    rows = [[_cell(cell, first, then) for cell in row] for row in table.rows]
    header = [escaped(name) for name in table.header]
    return markdown_table(header, rows, table.labels)


def _cell(cell: Cell, first: str, then: str) -> str:
    """Lines of a cell with these between the first and the second, and between the others."""
    lines: Sequence[str] = [cell] if isinstance(cell, str) else [each for each in cell if each]
    main, *more = [escaped(line) for line in lines] or [""]
    return first.join([main, then.join(more)]) if more else main
