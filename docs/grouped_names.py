"""Docstrings that explain several names at once, ``width, depth: of the ResNet.``, for the site.

Griffe, which reads docstrings, knows one name a line: without this it finds neither type nor
default of the names in a group.
"""

import re
from typing import Any

import griffe

_GROUP = re.compile(r"^ {4}(\w+(?:, \w+)+):(.*(?:\n {8,}\S.*)*)", re.MULTILINE)


class GroupedNames(griffe.Extension):
    """Repeats what is said of a group for each of its names."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = _GROUP.sub(_each, obj.docstring.value)


def _each(found: re.Match[str]) -> str:
    return "\n".join(f"    {name}:{found[2]}" for name in found[1].split(", "))
