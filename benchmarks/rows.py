"""Measurements as rows of CSV files, with when and where they were made."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dopamine_lite.checkpointing.storage import replace_file
from dopamine_lite.common.machine import processor, usable_cores

HERE = Path(__file__).parent
# A row for each round: agent steps per second of a bare loop and of ours.
FLOOR = HERE / "floor.csv"
UPDATES = HERE / "updates.csv"  # a row for each agent: the seconds of an update and of its parts
GROWTH = HERE / "growth.csv"  # a row for each case
MACHINE = ("session", "processor", "cores")
Row = dict[str, Any]


def machine() -> Row:
    """The columns that say when and where."""
    return {
        "session": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "processor": processor(),
        "cores": usable_cores(),
    }


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Replaces the file as a whole: if a row has other columns, the file stays as it is."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_file(path, text.getvalue().encode())


def replace(path: Path, columns: Sequence[str], case: Sequence[str], rows: Sequence[Row]) -> None:
    """Adds rows to a file, in place of those of the same cases.

    Args:
      path: the file.
      columns: its columns.
      case: the columns that say which case a row is of.
      rows: the new rows.
    """
    new = {tuple(str(row[name]) for name in case) for row in rows}
    kept = [row for row in read(path) if tuple(row[name] for name in case) not in new]
    write(path, columns, [*kept, *rows])
