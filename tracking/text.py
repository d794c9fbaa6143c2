"""Text for terminals: control characters and passwords are masked, tables line up."""

import io
import re
import sys
from collections.abc import Sequence

_USER = re.compile(r"(?<=://)(?:[^\s/@:]*:\S*|[^\s/@]*)@")


def print_anything() -> None:
    """Let what is printed have characters that the terminal's encoding lacks: they are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test, or a notebook, may have put another
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """The text in one line, with control and formatting characters written out (``\\x1b[31m``)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def without_passwords(text: str) -> str:
    """A text in which ``SCHEME://USER:PASSWORD@HOST`` reads ``SCHEME://***@HOST``."""
    return _USER.sub("***@", text)


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]], labels: int = 1) -> str:
    """A table in Markdown that lines up as plain text; all but ``labels`` columns to the right."""
    widths = [max(3, *map(len, column)) for column in zip(header, *body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.ljust(width) if index < labels else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join(aligned) + " |"

    rule = [
        "-" * width if index < labels else "-" * (width - 1) + ":"
        for index, width in enumerate(widths)
    ]
    return "\n".join([line(header), line(rule), *map(line, body)])


def clock(seconds: float) -> str:
    """Seconds as 1:05, or 2:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
