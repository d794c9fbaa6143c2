"""Whatever a text holds, a Markdown reader (markdown-it) finds that text and no markup."""

import pytest
from markdown_it import MarkdownIt

from tests.tracking.report.conftest import HOSTILE
from tracking.report.blocks import Document, Section, Table, Text
from tracking.report.markdown import markdown_page

READER = MarkdownIt("commonmark").enable("table")
TEXTS = [
    HOSTILE, "a|b", "a\\|b", "back\\slash", "_under_ *star* __both__", "snake_case_name",
    "[link](http://x.example)", "![image](x.png)", "`code`", "<img src=x onerror=alert(1)>",
    "&lt; &amp; &copy;", "~~gone~~", "# heading", "- item", "1. item", "> quote", "a<br>b",
    "line\nbreak", "$x$", "|", "---", "+ plus", "<!-- comment", "\\",
]  # fmt: skip


def inlines(text: str):
    return [token for token in READER.parse(text) if token.type == "inline"]


def plain(token) -> str:
    assert {child.type for child in token.children} <= {"text", "text_special", "softbreak"}
    return "".join(child.content for child in token.children)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_itself(text):
    table = Table(text, ["a", text], [[text, text], ["x", text]], labels=1)
    page = markdown_page(Document("s", text, [Section(text, [Text(text), table])]), "pictures")
    found = [plain(token) for token in inlines(page)]
    same = " ".join(text.split())
    assert found == [same, same, same, same, "a", same, same, same, "x", same]


def test_lines_of_a_cell_are_breaks():
    table = Table("c", ["h"], [[("1.0", "[0.5, 1.5] n 2", "")]], labels=0)
    page = markdown_page(Document("s", "t", [Section("u", [table])]), "pictures")
    assert inlines(page)[-1].content == "1.0<br>\\[0.5, 1.5\\] n 2"
