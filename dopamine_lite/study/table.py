"""The progress of a study: a live table at a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TextIO

import rich.console
from rich.box import SIMPLE_HEAD
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dopamine_lite.common.printable import printable
from dopamine_lite.reporting.console import duration
from dopamine_lite.study.conduct import Running, View, last_return

_SECONDS_BETWEEN_LINES = 60.0


class Lines:
    """Prints a line for every event, and one per minute on the progress of the trials."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._wrote = time.monotonic()

    def say(self, sentence: str) -> None:
        self._wrote = time.monotonic()
        with contextlib.suppress(OSError, ValueError):  # there is no reader
            print(printable(sentence), file=self._stream, flush=True)

    def show(self, running: list[Running], finished: int, left: int) -> None:
        if time.monotonic() - self._wrote < _SECONDS_BETWEEN_LINES:
            return
        parts = [f"{each.trial.name} {_percent(each)}" for each in running]
        self.say(f"{_counts(running, finished, left)}: {', '.join(parts)}.")

    def close(self) -> None:
        pass


class LiveTable:
    """Shows the running trials in a table below the sentences that have been printed."""

    def __init__(self, stream: TextIO):
        self._console = rich.console.Console(file=stream)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def say(self, sentence: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._console.print(Text(printable(sentence)))

    def show(self, running: list[Running], finished: int, left: int) -> None:
        table = Table(title=_counts(running, finished, left), title_justify="left", box=SIMPLE_HEAD)
        table.add_column("trial", overflow="fold")
        for name in ("progress", "return", "steps/s", "left"):
            table.add_column(name, justify="right")
        # A table that does not fit the screen, or a name on two lines, could not be drawn over.
        for each in running[: max(1, (self._console.height - 5) // 2)]:
            table.add_row(
                Text(printable(each.trial.name)),
                _percent(each),
                _or_dash(last_return(each.progress), ",.2f"),
                _or_dash(_speed(each), ",.0f"),
                "-" if (left_over := each.seconds_left()) is None else duration(left_over),
            )
        with contextlib.suppress(OSError, ValueError):
            self._live.start()
            self._live.update(table, refresh=True)

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._live.stop()


def make_view(stream: TextIO | None = None) -> View:
    """The view for `stream`, by default stderr: a live table if it is a terminal that can show one."""
    stream = sys.stderr if stream is None else stream
    if stream is None:
        return Lines(open(os.devnull, "w"))
    if stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        return LiveTable(stream)
    return Lines(stream)


def _counts(running: list[Running], finished: int, left: int) -> str:
    return f"{finished} finished, {len(running)} running, {left} to start"


def _percent(running: Running) -> str:
    return f"{100 * running.steps / max(running.trial.agent_steps, 1):.0f} %"


def _speed(running: Running) -> float | None:
    """Agent steps per second of training in the newest iteration."""
    records = running.progress.records
    return records[-1].get("time", {}).get("train_steps_per_second") if records else None


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
