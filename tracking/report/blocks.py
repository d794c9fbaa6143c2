"""What a report consists of, before it is HTML or Markdown. All texts are plain, not escaped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | tuple[str, ...]
"""A table's cell: one line, or the main one and smaller ones below it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first ``labels`` columns say what a row is, the others are numbers."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    labels: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG drawing; ``name`` becomes its file's name, ``alt`` says what it shows."""

    name: str
    svg: str
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
    """A grid of images."""

    caption: str
    images: Sequence[Image]


Block = Text | Table | Pictures | Images


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """A study's report; ``name`` is the study's, which is a safe file name."""

    name: str
    title: str
    sections: Sequence[Section]


def file_name(name: str, ending: str) -> str:
    """A picture's name as a file's."""
    return f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.{ending}"
