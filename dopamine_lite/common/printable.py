"""Makes text from unknown sources safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""`text` with everything that a terminal would obey, such as escape sequences, written out as
    "\x1b"."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )
