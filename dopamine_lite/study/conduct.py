"""Runs a study: starts trials when there is room, watches them, reports how each ended."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dopamine_lite.common.errors import UserError
from dopamine_lite.files.plain_files import NotRegular, open_to_read
from dopamine_lite.reporting.log_reader import newest_steps
from dopamine_lite.runner.directory import Progress, is_in_use, progress
from dopamine_lite.study.backend import Backend
from dopamine_lite.study.study import Trial

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPPED = tuple(128 + number for number in _SIGNALS)  # statuses of a trial asked to stop
_SECONDS_OF_WAITING = 0.1  # for a trial to end, between two looks at the source
_SECONDS_BETWEEN_LOOKS = 1.0  # at the logs, to show progress
_SECONDS_BETWEEN_TRIES = 2.0  # to start a trial that another process runs


_END = 1 << 16  # bytes at the end of a trial's output in which to look for its last line


@dataclass(frozen=True)
class Result:
    """The end of a trial.

    Attributes:
      failure: a sentence on what went wrong; None if nothing did.
      interrupted: whether it stopped at a safe point because a signal stopped all trials.
    """

    trial: Trial
    progress: Progress
    seconds: float
    failure: str | None = None
    interrupted: bool = False


@dataclass
class Running:
    """A running trial, in its state at the last look."""

    trial: Trial
    first_steps: int
    began: float = field(default_factory=time.monotonic)
    progress: Progress = Progress(0, None, 0, [], None)  # noqa: RUF009 (it is frozen)
    steps: int = 0

    def look(self, study: Path) -> None:
        directory = self.trial.directory(study)
        self.progress = look(directory)
        self.steps = max(self.progress.agent_steps, newest_steps(directory))

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def seconds_left(self) -> float | None:
        """The time left at this trial's pace so far, with evaluations; None if not known yet."""
        done = self.steps - self.first_steps
        if done <= 0:
            return None
        return max(self.trial.agent_steps - self.steps, 0) * self.seconds() / done


class Source(Protocol):
    """The source of trials: a list, or a search that learns from their results."""

    def next(self) -> Trial | None:
        """A trial to start now; None if there is none at the moment."""

    def watch(self) -> None:
        """Called repeatedly while trials run."""

    def ended(self, result: Result) -> None:
        """Called when a trial has ended, even if it failed or was interrupted."""

    def left(self) -> int:
        """The number of trials that have not been started yet."""


class View(Protocol):
    """Shows the progress of a study."""

    def say(self, sentence: str) -> None: ...

    def show(self, running: list[Running], finished: int, left: int) -> None:
        """Shows the progress of every running trial; may be called any number of times."""

    def close(self) -> None: ...


class Listed:
    """The trials of a list, in its order."""

    def __init__(self, trials: Iterable[Trial]):
        self._waiting = list(trials)

    def next(self) -> Trial | None:
        return self._waiting.pop(0) if self._waiting else None

    def watch(self) -> None:
        pass

    def ended(self, result: Result) -> None:
        pass

    def left(self) -> int:
        return len(self._waiting)


class Conductor:
    """Runs the trials of a study.

    Args:
      study: the study's directory.
      source: the source of the trials.
      backend: the place where they run.
      view: shows their progress.

    Attributes:
      results: the results of the trials that have ended, in the order in which they ended.
      signal: the number of the first signal that arrived; None if none has.
    """

    def __init__(self, study: Path, source: Source, backend: Backend, view: View):
        self._study = study
        self._source = source
        self._backend = backend
        self._view = view
        self._running: dict[Trial, Running] = {}
        self._busy: list[Trial] = []  # other processes run them
        self._tried = self._looked = -math.inf
        self._signals: list[int] = []  # those that have arrived
        self.results: list[Result] = []
        self.signal: int | None = None

    def run(self) -> None:
        """Runs trials until every one has ended, or until a signal has stopped them."""
        with self._caught_signals(), contextlib.closing(self._view):
            try:
                while self._start() or self._running:
                    for trial, status in self._backend.ended(_SECONDS_OF_WAITING):
                        self._end(trial, status)
                    self._source.watch()
                    self._obey()
                    self._show()
            except BaseException:
                self._backend.kill()
                raise
            finally:
                self._backend.close()

    def _obey(self) -> None:
        """Stops the trials at the first signal, and ends them at a second one."""
        if self._signals and self.signal is None:
            self.signal = self._signals[0]
            self._backend.stop()
            self._view.say(
                f"{signal.Signals(self.signal).name}: the trials stop at their next safe points; a "
                "second signal ends them at once."
            )
        if len(self._signals) > 1:
            self._backend.kill()
            self._running.clear()

    def _start(self) -> bool:
        """Starts as many trials as there is room for; returns whether any are left to start."""
        if self.signal is not None:
            return False
        try_again = time.monotonic() - self._tried > _SECONDS_BETWEEN_TRIES
        busy, self._busy = (self._busy, []) if try_again else ([], self._busy)
        if try_again:
            self._tried = time.monotonic()
        while self._backend.has_room():
            again = bool(busy)
            trial = busy.pop(0) if busy else self._source.next()
            if trial is None:
                break
            directory = trial.directory(self._study)
            if is_in_use(directory):
                self._busy.append(trial)
                if not again:
                    self._view.say(
                        f"{trial.name}: another process is still running it; waiting for that "
                        "process to end."
                    )
                continue
            self._begin(trial)
        self._busy += busy
        return bool(self._busy or self._source.left())

    def _begin(self, trial: Trial) -> None:
        running = Running(trial, 0)
        running.look(self._study)
        running.first_steps = running.steps = running.progress.agent_steps
        if done(running.progress, trial):  # the other process has finished it
            self._result(Result(trial, running.progress, 0.0))
            return
        self._backend.start(trial)
        self._running[trial] = running
        since = f", from agent step {running.steps:,}" if running.steps else ""
        self._view.say(f"{trial.name}: started{since}.")

    def _end(self, trial: Trial, status: int) -> None:
        running = self._running.pop(trial)
        running.look(self._study)
        interrupted = self.signal is not None and status in _STOPPED
        failure = None
        if not interrupted and (status or not done(running.progress, trial)):
            failure = _failure(status, trial.output(self._study))
        self._result(Result(trial, running.progress, running.seconds(), failure, interrupted))

    def _result(self, result: Result) -> None:
        self.results.append(result)
        self._view.say(in_words(result))
        self._source.ended(result)

    def _show(self) -> None:
        if time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        for running in self._running.values():
            running.look(self._study)
        ended = sum(result.failure is None for result in self.results)
        left = self._source.left() + len(self._busy)
        self._view.show(list(self._running.values()), ended, left)

    @contextlib.contextmanager
    def _caught_signals(self) -> Iterator[None]:
        """Notes signals, to be obeyed between two looks."""

        def note(number: int, _frame: object) -> None:
            self._signals.append(number)

        before = {number: signal.signal(number, note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def look(directory: Path) -> Progress:
    """A run's progress. Unreadable files count as none: `train` says what is wrong with them."""
    try:
        return progress(directory)
    except UserError:
        return Progress(0, None, 0, [], None)


def done(run: Progress, trial: Trial) -> bool:
    """Whether a trial has nothing left to do; a run may have been planned to be shorter."""
    return run.stopped is not None or run.iterations >= trial.iterations


def last_return(run: Progress) -> float | None:
    """The return of the last evaluation, or of training if there was no evaluation."""
    for phase in ("eval", "train"):
        value = (run.records[-1].get(phase) or {}).get("average_return") if run.records else None
        if value is not None:
            return float(value)
    return None


def in_words(result: Result) -> str:
    """A sentence on how a trial ended."""
    from dopamine_lite.reporting.console import duration

    name, run = result.trial.name, result.progress
    if result.failure is not None:
        return f"{name}: failed: {result.failure}"
    if result.interrupted:
        at = (
            f"at checkpoint {run.agent_steps:,}"
            if run.agent_steps
            else "before its first checkpoint"
        )
        return f"{name}: stopped {at}."
    value = last_return(run)
    shown = "" if value is None else f", return {value:,.2f}"
    why = f" ({run.stopped.rstrip('.')})" if run.stopped else ""
    return f"{name}: finished{why}, {run.agent_steps:,} agent steps{shown}, {duration(result.seconds)}."


def _failure(status: int, output: Path) -> str:
    """The last line of a trial's process, or the signal that ended it."""
    if status > 128:
        try:
            name = signal.Signals(status - 128).name
        except ValueError:
            name = f"signal {status - 128}"
        memory = "; perhaps the machine ran out of memory" if name == "SIGKILL" else ""
        return f"{name} ended it{memory} (see {output})."
    try:
        with open_to_read(output) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END))
            lines = file.read().decode(errors="replace").splitlines()
    except (OSError, NotRegular):  # perhaps on a node that does not share the directory
        lines = []
    said = [line for line in lines if line.strip()]
    last = said[-1].removeprefix("dopamine-lite: ") if said else f"exit status {status}"
    return f"{last} (see {output})"
