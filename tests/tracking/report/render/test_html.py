"""Whatever a text holds, the page has that text and no markup of it."""

import html.parser

import pytest

from tests.tracking.report.conftest import HOSTILE
from tracking.report.blocks import (
    Document,
    Image,
    Images,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
)
from tracking.report.panels import Dots
from tracking.report.render.html import html_page
from tracking.report.render.pictures import svg

TEXTS = [
    HOSTILE,
    '"><script>x</script>',
    "' onload='x",
    "&lt;b&gt;",
    "{{ 7 * 7 }}",
    "{% x %}",
    "</style>",
]


class Parsed(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements, self.attributes, self.text = [], {}, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value)

    def handle_data(self, data):
        self.text.append(data)


def document(text: str) -> Document:
    panel = Dots(text, text, [(1, 2), (3, 4)])
    blocks = [
        Text(text),
        Table(text, ["a", text], [[text, (text, text)], ["x", text]]),
        Pictures(text, [Picture(text, panel, text)]),
        Images(text, [Image(text, b"PNG", text, (text,))]),
    ]
    return Document(text, text, [Section("In short", [Text("short")]), Section(text, blocks)])


def parsed(text: str) -> Parsed:
    made = document(text)
    return Parsed(html_page(made, {text: svg(made.sections[1].blocks[2].pictures[0].panel)}))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_itself(text):
    found, plain = parsed(text), parsed("plain")
    assert found.elements == plain.elements
    assert found.attributes.keys() == plain.attributes.keys()
    same = " ".join(text.split())
    assert found.text.count(same) == plain.text.count("plain") > 10
    assert found.attributes["alt"] == [same]
    assert found.attributes["aria-label"] == [same] * 2


def test_control_characters_are_written_out():
    page = html_page(Document("s", "a\x1b[31m\u202eb", []), {})
    assert "a\\x1b[31m\\u202eb" in page


def test_a_rule_stands_where_the_first_label_changes():
    table = Table("c", ["h", "n"], [["a", "1"], ["a", "2"], ["A", "3"]])
    page = html_page(Document("s", "t", [Section("u", [table])]), {})
    assert page.count('<tr class="starts">') == 1
    alone = Table("c", ["h", "n"], [["a", "1"], ["b", "2"]])
    assert (
        "starts"
        not in html_page(Document("s", "t", [Section("u", [alone])]), {}).split("<main>")[1]
    )


def test_a_missing_drawing_is_an_error():
    with pytest.raises(Exception, match="x"):
        html_page(document("x"), {})


def test_images_are_in_the_page():
    assert "data:image/png;base64,UE5H" in parsed("x").attributes["src"]
