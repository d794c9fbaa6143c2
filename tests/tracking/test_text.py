"""Text as people see it; passwords are in tests/security."""

import pytest

from tracking.text import clock, markdown_table, printable


def test_a_table_lines_up_labels_to_the_left_numbers_to_the_right():
    body = [["none", "16", "88.31"], ["both", "1024", "9.1"]]
    table = markdown_table(["norm", "batch size", "x"], body, labels=2)
    assert table.splitlines() == [
        "| norm | batch size |     x |",
        "| ---- | ---------- | ----: |",
        "| none | 16         | 88.31 |",
        "| both | 1024       |   9.1 |",
    ]


def test_a_table_without_rows_is_a_header():
    assert markdown_table(["a", "b"], []) == "| a   |   b |\n| --- | --: |"


def test_what_steers_a_terminal_is_written_out():
    assert printable("a\x1b[31mb\n\u202ec ä") == "a\\x1b[31mb\\n\\u202ec ä"


@pytest.mark.parametrize(("seconds", "shown"), [(65, "1:05"), (7265, "2:01:05"), (0.4, "0:00")])
def test_seconds_as_a_clock_shows_them(seconds, shown):
    assert clock(seconds) == shown
