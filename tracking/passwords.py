"""What is said of an address must not give away the password in it."""

import re

_USER = re.compile(r"(?<=://)(?:[^\s/@:]*:\S*|[^\s/@]*)@")


def without_passwords(text: str) -> str:
    """A text in which ``SCHEME://USER:PASSWORD@HOST`` reads ``SCHEME://***@HOST``."""
    return _USER.sub("***@", text)
