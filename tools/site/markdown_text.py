"""Texts of the package as Markdown: nothing becomes markup by accident, and names become links."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_SPECIAL = re.compile(r"([\\*_\[\]|$])")


def prose(text: str, links: Mapping[str, str] | None = None) -> str:
    """A text with code in backquotes. Code that is a name in `links`, maybe after @, becomes a link."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        code(piece[1:-1], links) if piece.startswith("`") and len(piece) > 1 else _escaped(piece)
        for piece in pieces
    )


def code(text: str, links: Mapping[str, str] | None = None) -> str:
    """A text as code, as a link if `links` has its name."""
    target = (links or {}).get(text.removeprefix("@"))
    quoted = f"`{text.replace('|', chr(92) + '|')}`" if "`" not in text else f"`` {text} ``"
    return f"[{quoted}]({target})" if target else quoted


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; line breaks in cells become spaces."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(' '.join(c.split()) for c in cells)} |\n" for cells in lines)


def lookup(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of names to look up, which the style sheet shows as blocks on a narrow screen."""
    kinds = "lookup defaults" if "default" in head else "lookup"
    return f'<div class="{kinds}" markdown>\n\n{table(head, rows)}\n</div>\n'


def capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def indented(text: str) -> str:
    """`text` as the content of an admonition."""
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(True))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("<", "&lt;")
