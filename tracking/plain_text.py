"""Text from elsewhere on a terminal: in one line, and without what would steer it."""


def plain(text: str) -> str:
    """The text with control and formatting characters written out, as in ``\\x1b[31m``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
