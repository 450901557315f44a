"""Tables on a terminal, and plain aligned lines everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dopamine_lite.common.printable import printable


def print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Prints `rows`, which all have the same length, under `title`."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(title, rows)
    else:
        _print_plain(title, rows)


def _print_plain(title: str, rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(title)
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(f"  {'  '.join(cells)}".rstrip())
    print()


def _print_rich(title: str, rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    for _ in rows[0]:
        table.add_column(overflow="fold")  # text that is too long for a line continues on the next
    for row in rows:
        # Text, because brackets in a configuration are not markup for rich.
        table.add_row(*map(Text, row))
    Console().print(table)
