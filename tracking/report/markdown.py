"""The report as Markdown, with pictures in files beside it."""

import re
from collections.abc import Sequence

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

_SPECIAL = re.compile(r"([\\`*\[\]|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_STARTS = re.compile(r"^(\d*)([+.)=-])")  # a rule, an item of a list


def markdown_page(document: Document, pictures: str) -> str:
    """The whole text; ``pictures`` is the folder of the picture files."""
    parts = [f"# {escaped(document.title)}"]
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [_block(block, pictures) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def escaped(words: str) -> str:
    """Words on one line in which nothing is markup, not even in a table."""
    line = " ".join(words.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)


def _block(block: Block, pictures: str) -> str:
    if isinstance(block, Text):
        return _paragraph(block.text)
    if isinstance(block, Table):
        return f"{_paragraph(block.caption)}\n\n{_table(block)}"
    if isinstance(block, Pictures):
        drawn = [(each.alt, file_name(each.name, "svg")) for each in block.pictures]
    else:
        drawn = [(each.alt, file_name(each.name, "png")) for each in block.images]
    images = "\n".join(f"![{escaped(alt)}]({pictures}/{name})" for alt, name in drawn)
    if isinstance(block, Images):
        said = "; ".join(escaped(f"{', '.join(each.lines)}") for each in block.images)
        images += f"\n\nIn this order: {said}."
    return f"{_paragraph(block.caption)}\n\n{images}"


def _paragraph(words: str) -> str:
    return _STARTS.sub(r"\1\\\2", escaped(words))


def _table(table: Table) -> str:
    """Label columns to the left, numbers to the right; columns line up as plain text."""
    rows = [[_cell(cell) for cell in row] for row in [table.header, *table.rows]]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.ljust(width) if index < table.labels else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join(aligned) + " |"

    rule = [
        "-" * width if index < table.labels else "-" * (width - 1) + ":"
        for index, width in enumerate(widths)
    ]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])


def _cell(cell: Cell) -> str:
    return escaped(cell) if isinstance(cell, str) else "<br>".join(map(escaped, filter(None, cell)))
