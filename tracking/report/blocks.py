"""What a report consists of, before it is HTML or Markdown. All texts are plain, not escaped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tracking.report.panels import Panel

Cell = str | tuple[str, ...]
"""A table's cell: one line, or the main one and smaller ones below it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        labels: so many first columns say what a row is, the others are numbers.
        lines: the rows in words, for a terminal; empty where the table reads well there.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    labels: int = 1
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing; ``name`` becomes its file's name, ``alt`` says what it shows."""

    name: str
    panel: Panel
    alt: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """Small drawings that are read together."""

    caption: str
    pictures: Sequence[Picture]


@dataclass(frozen=True, slots=True)
class Image:
    """A PNG of the data set with what is known of it."""

    name: str
    png: bytes
    alt: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Images:
    """A grid of images.

    Attributes:
        large: whether details are to be seen in them; else many stand in a line.
    """

    caption: str
    images: Sequence[Image]
    large: bool = False


Block = Text | Table | Pictures | Images


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """Where the page's links lead."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Document:
    """A study's report.

    Attributes:
        name: the study's, which is a safe file name.
        lead: those sections that the study is about.
        told: those sections of which a terminal shows the texts and tables.
    """

    name: str
    title: str
    sections: Sequence[Section]
    lead: Sequence[Section] = ()
    told: Sequence[Section] = ()


def file_name(name: str, ending: str) -> str:
    """A picture's name as a file's."""
    return f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.{ending}"
