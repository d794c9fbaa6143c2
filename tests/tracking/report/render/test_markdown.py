"""Whatever a text holds, a Markdown reader (markdown-it) finds that text and no markup."""

import pytest
from markdown_it import MarkdownIt

from tests.tracking.report.conftest import HOSTILE
from tracking.report.blocks import Document, Picture, Pictures, Section, Table, Text
from tracking.report.panels import Dots
from tracking.report.render.markdown import markdown_page, terminal_text

READER = MarkdownIt("commonmark").enable("table")
TEXTS = [
    HOSTILE, "a|b", "a\\|b", "back\\slash", "_under_ *star* __both__", "snake_case_name",
    "[link](http://x.example)", "![image](x.png)", "`code`", "<img src=x onerror=alert(1)>",
    "&lt; &amp; &copy;", "~~gone~~", "# heading", "- item", "1. item", "> quote", "a<br>b",
    "line\nbreak", "$x$", "[1.0, 2.0](http://x)", "[1.0, 2.0]: http://x", "[1, 2][3, 4]",
    "![1.0, 2.0](x)", "[a][1.0, 2.0]", "[95 % interval](x)",
    "|", "---", "+ plus", "<!-- comment", "\\",
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
    assert inlines(page)[-1].content == "1.0<br>[0.5, 1.5] n 2"


def told(*sections: Section, lead: int = 1) -> str:
    return terminal_text(Document("s", "t", sections, sections[1 : 1 + lead], told=sections))


@pytest.mark.parametrize("text", [*TEXTS, "\x1b[31m\x00\u202e"])
def test_a_terminal_gets_printable_text_and_no_markup(text):
    table = Table(text, ["a", text], [[text, ("x", text, text)]])
    named = Table(text, ["a"], [[text]], lines=[text])
    page = told(Section("u", [Text(text)]), Section(text, [table, named]))
    assert all(line.isprintable() for line in page.splitlines())
    tokens = READER.parse(page)
    inner = {child.type for token in tokens for child in token.children or []}
    assert inner <= {"text", "text_special", "softbreak"}
    assert not {"html_block", "code_block", "fence", "hr"} & {token.type for token in tokens}
    assert sum(token.type == "list_item_open" for token in tokens) == 1


def test_a_terminal_gets_a_cell_in_a_line_and_no_pictures():
    table = Table("c", ["h", "n"], [["a", ("1.0", "[0.5, 1.5] n 2", "paper 3", "agrees")]])
    panel = Pictures("dots", [Picture("p", Dots("", "", [(1, 2)]), "alt")])
    page = told(Section("u", [Text("short")]), Section("v", [table, panel]))
    assert "| a   | 1.0 [0.5, 1.5] n 2; paper 3; agrees |" in page
    assert "dots" not in page


def test_a_terminal_gets_the_first_rows_of_a_long_table_and_all_that_are_excluded():
    table = Table("c", ["h", "n"], [[f"row {n}", "1"] for n in range(60)])
    page = told(Section("u", []), Section("v", [table]), Section("w", [table]))
    assert page.count("| row 23 ") == 2
    assert page.count("| row 24 ") == 1
    assert "The report has 36 rows more." in page


def test_rows_in_words_stand_for_their_table_on_a_terminal_alone():
    table = Table("c", ["h"], [["cell"]], lines=["failed: *this* one"])
    document = Document("s", "t", [Section("u", [table])], told=[Section("u", [table])])
    assert "\n- failed: \\*this\\* one\n" in terminal_text(document)
    assert "cell" not in terminal_text(document)
    assert "| cell |" in markdown_page(document, "pictures")
