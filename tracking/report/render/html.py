"""The report as one page: no script, nothing fetched, light and dark, paper and phone.

The template escapes every text; drawings of ``render.pictures`` alone are markup.
"""

import base64
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from tracking.report.blocks import Document, Image, Pictures, Table, Text
from tracking.report.render.pictures import inlined
from tracking.report.render.words import one_line


def html_page(document: Document, drawings: Mapping[str, str]) -> str:
    """The whole page; ``drawings`` are the SVG of its pictures by their name."""
    safe = {name: Markup(inlined(drawing)) for name, drawing in drawings.items()}
    page = _environment().get_template("page.html.jinja")
    return page.render(document=document, drawings=safe, style=Markup(_file("style.css")))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined,
        finalize=_shown, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    for kind in (Text, Table, Pictures):
        environment.tests[kind.__name__.lower()] = lambda block, kind=kind: isinstance(block, kind)
    environment.filters["data_uri"] = _data_uri
    return environment


def _shown(value: Any) -> Any:
    """In one line and printable, but for what is markup already."""
    return one_line(value) if type(value) is str else value


def _data_uri(image: Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(image.png).decode()}"


def _file(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
