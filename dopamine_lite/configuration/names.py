"""Names that were nearly right, and text on one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def one_line(text: str) -> str:
    return " ".join(text.split())


def shortened(text: str, most: int = 80) -> str:
    """`text` on one line, without its middle if it is long."""
    text = one_line(text)
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 4 :]}"


def did_you_mean(
    name: str, candidates: Iterable[str], cutoff: float = 0.6, ending: str = ""
) -> str:
    """A clause with the candidate nearest to `name`, or "".

    All candidates end with `ending`, so that it makes no candidate nearer.
    """
    beginnings = [candidate.removesuffix(ending) for candidate in candidates]
    nearest = difflib.get_close_matches(name.removesuffix(ending), beginnings, n=1, cutoff=cutoff)
    return f" (did you mean {nearest[0]}{ending}?)" if nearest else ""


def nearest_parameter(name: str, candidates: list[str]) -> str:
    """The candidate most like `name`. The same parameter of another part comes first."""
    same = [other for other in candidates if other.rpartition(".")[2] == name.rpartition(".")[2]]
    return did_you_mean(name, same or candidates, cutoff=0.0 if same else 0.6)
