"""Shows a run's progress to people: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import abc
import contextlib
import math
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TextIO

import rich.console
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from dopamine_lite.common.printable import printable

_SECONDS_BETWEEN_LINES = 60.0
_SECONDS_BETWEEN_REFRESHES = 0.25
_SECONDS_BETWEEN_MARKS = 0.1
_SECONDS_OF_SPEED = 20.0  # the time span over which the speed is measured
_TRAIN, _EVAL = "train", "eval"  # the phases; only the first advances a run's agent steps
_FORMATS = {"return": ",.2f", "eval": ",.2f", "loss": ".3g", "epsilon": ".3g"}  # shown first


class Console(abc.ABC):
    """Shows a run's progress. A context manager. If nobody can see it, the run goes on anyway."""

    def __init__(self) -> None:
        self._pace: _Pace  # set by `start`
        self._values: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, total_steps: int, agent_steps: int) -> None:
        """Called when the run begins or resumes, with `agent_steps` of `total_steps` done."""
        self._pace = _Pace(total_steps, agent_steps)

    def progress(
        self, phase: str, iteration: int, agent_steps: int, values: Mapping[str, float]
    ) -> None:
        """Takes the run's place and its newest numbers; call it as often as you like.

        Args:
          phase: "train", or "eval", in which the run's agent steps do not advance.
          iteration: the number of the iteration, from 0.
          agent_steps: the agent steps of the run so far.
          values: numbers by name; each is shown until the next number of the same name.
        """
        self._values.update(values)
        if self._pace.mark(phase, agent_steps):
            self._show(phase, iteration)

    @abc.abstractmethod
    def _show(self, phase: str, iteration: int) -> None:
        """Shows `self._pace` and `self._values`, if it is time for that."""

    def iteration(self, record: Mapping[str, Any]) -> None:
        """Called when an iteration has ended, with its record in the log."""
        evaluation = (record.get(_EVAL) or {}).get("average_return")
        if evaluation is not None:
            self._values["eval"] = evaluation  # shown until the next evaluation
        self._pace.iteration(record)
        self._show_record(record)

    @abc.abstractmethod
    def _show_record(self, record: Mapping[str, Any]) -> None: ...

    @abc.abstractmethod
    def say(self, text: str) -> None:
        """Shows a sentence that the user should read."""

    def close(self) -> None:  # noqa: B027 (lines need no closing)
        """Leaves the screen as it should stay. `say` still works afterward."""


class LineConsole(Console):
    """Plain lines: one for each iteration, and one per minute within a long iteration."""

    def __init__(self, stream: TextIO | None):
        super().__init__()
        self._stream = stream
        self._wrote = time.monotonic()

    def _show(self, phase: str, iteration: int) -> None:
        if time.monotonic() - self._wrote >= _SECONDS_BETWEEN_LINES:
            pace = self._pace
            parts = [f"{pace.steps()} steps", *pace.speed(), *pace.left(), *_numbers(self._values)]
            self.say(f"{phase} {iteration + 1}: {', '.join(parts)}")

    def _show_record(self, record: Mapping[str, Any]) -> None:
        parts = [f"{self._pace.steps()} steps"]
        for phase, name in ((_TRAIN, "train return"), (_EVAL, "eval return")):
            if summary := record.get(phase):
                episodes, cut = summary["episodes"], summary.get("cut_episodes")
                counted = (
                    [f"{episodes:,} episode{'' if episodes == 1 else 's'}"] if episodes else []
                )
                counted += [f"{cut:,} cut"] if cut else []
                result = (
                    f"{name} {summary['average_return']:,.2f}"
                    if episodes
                    else (f"no whole {phase} episode")
                )
                parts.append(f"{result} ({', '.join(counted)})" if counted else result)
        parts += [f"{record['time']['train_steps_per_second']:,.0f} steps/s", *self._pace.left()]
        self.say(f"iteration {record['iteration'] + 1}: {', '.join(parts)}")

    def say(self, text: str) -> None:
        self._wrote = time.monotonic()
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):  # closed, full, or without a reader
                print(printable(text), file=self._stream, flush=True)


class RichConsole(Console):
    """A bar over the whole run with the newest numbers below it; a table of iterations above."""

    def __init__(self, stream: TextIO):
        super().__init__()
        self._console = rich.console.Console(file=stream)
        self._bar = _Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[pace]}"),
            console=self._console,
            auto_refresh=False,  # without a thread of its own: `progress` draws it
            redirect_stdout=_is_terminal(sys.stdout),
            expand=True,
        )
        self._task = self._bar.add_task("", pace="")
        self._refreshed = -math.inf
        self._has_header = False

    def start(self, total_steps: int, agent_steps: int) -> None:
        super().start(total_steps, agent_steps)
        self._bar.update(self._task, total=total_steps)
        self._fill_in("")
        with _while_it_is_there():
            self._bar.start()

    def _show(self, phase: str, iteration: int) -> None:
        now = time.monotonic()
        if now - self._refreshed >= _SECONDS_BETWEEN_REFRESHES:
            self._refreshed = now
            self._fill_in(f"{phase} {iteration + 1}")
            with _while_it_is_there():
                self._bar.refresh()

    def _fill_in(self, place: str) -> None:
        pace = self._pace
        self._bar.update(
            self._task,
            description=place,
            completed=pace.agent_steps,
            pace="  ".join([pace.steps(), *pace.speed(), *pace.left()]),
        )
        self._bar.numbers = _numbers(self._values)

    def _show_record(self, record: Mapping[str, Any]) -> None:
        if not self._has_header:
            self._has_header = True
            self.say(_row(name for name, _ in _COLUMNS))
        train, evaluation = record.get(_TRAIN) or {}, record.get(_EVAL) or {}
        self.say(
            _row(
                [
                    f"{record['iteration'] + 1:,}",
                    f"{record['agent_steps']:,}",
                    _or_dash(train.get("average_return"), ",.2f"),
                    _or_dash(train.get("episodes"), ",d"),
                    _or_dash(train.get("cut_episodes"), ",d"),
                    _or_dash(evaluation.get("average_return"), ",.2f"),
                    _or_dash(evaluation.get("episodes"), ",d"),
                    f"{record['time']['train_steps_per_second']:,.0f}",
                ]
            )
        )
        self._fill_in(f"{_TRAIN} {record['iteration'] + 1}")

    def say(self, text: str) -> None:
        with _while_it_is_there():
            self._console.print(Text(printable(text)))

    def close(self) -> None:
        with _while_it_is_there():
            self._bar.stop()


def make_console(stream: TextIO | None = None) -> Console:
    """The console for `stream` (default: stderr): a RichConsole if it is a terminal that allows it."""
    stream = sys.stderr if stream is None else stream
    if _is_terminal(stream) and os.environ.get("TERM") not in ("dumb", "unknown"):
        return RichConsole(stream)
    return LineConsole(stream)


class _Pace:
    """The speed of a run, and the time that the rest of it will take."""

    def __init__(self, total_steps: int, agent_steps: int):
        self.agent_steps = agent_steps
        self.steps_per_second: float | None = None  # in training, over the recent past
        self._total = total_steps
        self._begin(_TRAIN)
        self._steps_per_iteration = total_steps
        self._evaluation_seconds = 0.0

    def mark(self, phase: str, agent_steps: int) -> bool:
        """Notes the run's place; returns False if that is too soon after the last call."""
        now = time.monotonic()
        if phase == self._phase and now - self._marks[-1][0] < _SECONDS_BETWEEN_MARKS:
            return False
        self.agent_steps = agent_steps
        if phase != self._phase:
            self._begin(phase)
        elif phase == _TRAIN:
            self._marks.append((now, agent_steps))
            while len(self._marks) > 2 and now - self._marks[0][0] > _SECONDS_OF_SPEED:
                self._marks.popleft()
            (began, first), (ended, last) = self._marks[0], self._marks[-1]
            self.steps_per_second = (last - first) / max(ended - began, 1e-9)
        return True

    def iteration(self, record: Mapping[str, Any]) -> None:
        """Notes how long the iteration's evaluation took."""
        self.agent_steps = record["agent_steps"]
        self._steps_per_iteration = self.agent_steps / (record["iteration"] + 1)
        self._evaluation_seconds = record["time"]["eval_seconds"]
        self._begin(_TRAIN)

    def _begin(self, phase: str) -> None:
        """Begins to measure the speed anew."""
        self._phase = phase
        self._marks = deque([(time.monotonic(), self.agent_steps)])

    def steps(self) -> str:
        return f"{self.agent_steps:,} of {self._total:,}"

    def speed(self) -> list[str]:
        """The speed of training in words, once it is known; empty outside of training."""
        if not self.steps_per_second or self._phase != _TRAIN:
            return []
        return [f"{self.steps_per_second:,.0f} steps/s"]

    def left(self) -> list[str]:
        """The remaining time of the run in words, once it can be estimated."""
        return [f"{duration(self._seconds_left())} left"] if self.steps_per_second else []

    def _seconds_left(self) -> float:
        """The rest of training at the present speed, and of evaluations as long as the last one."""
        steps = max(self._total - self.agent_steps, 0)
        seconds = steps / (self.steps_per_second or math.inf)
        seconds += math.ceil(steps / self._steps_per_iteration) * self._evaluation_seconds
        if self._phase == _EVAL:
            elapsed = time.monotonic() - self._marks[0][0]
            seconds += max(self._evaluation_seconds - elapsed, 0)
        return seconds


class _Bar(Progress):
    """rich's bar and, below it, as many numbers as fit on a line."""

    numbers: Iterable[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        line = ""
        for number in self.numbers:
            longer = f"{line}  {number}" if line else number
            if len(longer) <= self.console.width:
                line = longer
        yield Text(line, style="dim")


_COLUMNS = (  # the table of iterations, with the columns' widths; 79 in all
    ("iteration", 9),
    ("agent steps", 13),
    ("train return", 13),
    ("episodes", 9),
    ("cut", 6),
    ("eval return", 12),
    ("episodes", 9),
    ("steps/s", 8),
)


def _row(cells: Iterable[str]) -> str:
    return "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _numbers(values: Mapping[str, float]) -> list[str]:
    """ "return 21.40", "loss 0.0123" and so on: the usual numbers first, then the others."""
    names = [name for name in _FORMATS if name in values]
    names += [name for name in values if name not in _FORMATS]
    return [f"{name} {values[name]:{_FORMATS.get(name, '.4g')}}" for name in names]


def duration(seconds: float) -> str:
    """Two units: "45s", "12m05s", "41h07m", "3d04h"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 24 else f"{hours // 24}d{hours % 24:02d}h"


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


@contextlib.contextmanager
def _while_it_is_there() -> Iterator[None]:
    """Ignores errors of a terminal that has gone."""
    with contextlib.suppress(OSError, ValueError):
        yield
