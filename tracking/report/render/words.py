"""Words on their way to a reader, whatever they were called by whom."""

from tracking.text import printable


def one_line(words: str) -> str:
    """Words in one line, white space as single blanks, control characters written out."""
    return printable(" ".join(words.split()))


def shortened(words: str, most: int) -> str:
    """Words, cut off with an ellipsis."""
    return words if len(words) <= most else words[: most - 1] + "…"
