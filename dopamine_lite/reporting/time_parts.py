"""Where a run's time went: the parts in its iterations' records, as shares and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dopamine_lite.common.stopwatch import OTHER

# In the order of the data flow. Parts that a user's own agent names come before "compile".
_FIRST = ("environment", "act", "actors", "store", "sample", "update")
_LAST = ("compile", "log", "checkpoint", "evaluation", OTHER)


def in_order(parts: Mapping[str, float]) -> dict[str, float]:
    """The parts in the order of the data flow, with "evaluation/act" below its branch and so on."""
    return {part: parts[part] for part in sorted(parts, key=_place)}


def of_records(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The seconds of each part over these iterations, in order. Earlier versions recorded no parts."""
    total: dict[str, float] = {}
    for record in records:
        for part, seconds in record.get("time", {}).get("parts", {}).items():
            total[part] = total.get(part, 0.0) + seconds
    return {part: round(seconds, 3) for part, seconds in in_order(total).items()}


def tree(parts: Mapping[str, float]) -> dict[str, float]:
    """The parts in order, with a sum for each branch: "evaluation" before "evaluation/act"."""
    sums: dict[str, float] = dict(parts)
    for part, seconds in parts.items():
        branch, _, below = part.partition("/")
        if below:
            sums[branch] = sums.get(branch, 0.0) + seconds
    return in_order(sums)


def shares(parts: Mapping[str, float]) -> dict[str, float]:
    """The share of each part and branch at the top of the tree in their sum, from 0 to 1."""
    total = sum(parts.values())
    tops = {part: seconds for part, seconds in tree(parts).items() if "/" not in part}
    return {part: seconds / total for part, seconds in tops.items()} if total else {}


def shares_by_tag(record: Mapping[str, Any]) -> dict[str, float]:
    """An iteration's shares as points of curves: "time/act" and so on."""
    return {f"time/{part}": share for part, share in shares(of_records([record])).items()}


def rows(*columns: Mapping[str, float], least: float = 0.0) -> list[list[str]]:
    """A table's rows: a part, and its seconds and its share in each column of parts.

    Parts with a share below `least` in every column are left out.
    """
    trees, totals = [tree(parts) for parts in columns], [sum(parts.values()) for parts in columns]
    found = []
    for part in in_order({part: 0.0 for each in trees for part in each}):
        taken = [each.get(part, 0.0) for each in trees]
        of_all = [
            seconds / total if total else 0.0 for seconds, total in zip(taken, totals, strict=True)
        ]
        if max(of_all) >= least:
            *above, name = part.split("/")
            cells = [
                cell
                for seconds, share in zip(taken, of_all, strict=True)
                for cell in (f"{seconds:,.2f} s", f"{share:.1%}")
            ]
            found.append(["  " * len(above) + name, *cells])
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    return [
        [name, *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))]
        for name, *cells in found
    ]


def _place(part: str) -> list[tuple[int, str]]:
    return [(_rank(name), name) for name in part.split("/")]


def _rank(name: str) -> int:
    if name in _FIRST:
        return _FIRST.index(name)
    return len(_FIRST) + (1 + _LAST.index(name) if name in _LAST else 0)
