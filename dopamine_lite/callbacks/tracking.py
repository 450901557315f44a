"""Tells experiment trackers (Weights & Biases, MLflow) about a run, each point once."""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dopamine_lite.callbacks.callback import Callback, RunContext
from dopamine_lite.checkpointing.storage import replace_file
from dopamine_lite.common.errors import UserError
from dopamine_lite.files.strict_json import expect, read
from dopamine_lite.reporting.log_reader import read_iterations, read_points
from dopamine_lite.reporting.tags import GLANCE
from dopamine_lite.reporting.time_parts import shares_by_tag

Row = dict[str, float]


class Tracker(Callback):
    """Gives a tracker a row of numbers for every point that is logged, at its agent step.

    A row holds the agent's metrics and, at an iteration's end, its summary too. The tracker never gets a
    row twice, so a run that is killed and started again has each row once. Rows that the tracker missed
    are read from the run's own logs when the run is next started.

    An error of the tracker, such as a network error, is printed, and the run goes on without the
    tracker.
    """

    part_of_experiment = False
    name: str  # the tracker's name

    def __init__(self) -> None:
        self._waiting: Row = {}  # the newest row, which an iteration's summary may complete
        self._waiting_step = -1
        self._is_open = False

    def on_start(self, run: RunContext) -> None:
        self._run = run
        try:
            self._open(run)
            self._is_open = True
            for agent_steps, row in logged(run).items():
                self._log(agent_steps, row)
        except Exception as error:
            self._give_up(error)

    def on_metrics(self, agent_steps: int, metrics: Mapping[str, float]) -> None:
        self._flush()
        self._waiting = {f"train/{name}": value for name, value in metrics.items()}
        self._waiting_step = agent_steps

    def on_iteration(self, record: dict[str, Any]) -> None:
        if self._waiting_step != record["agent_steps"]:
            self._flush()
        self._waiting = row_of(record) | self._waiting
        self._waiting_step = record["agent_steps"]
        self._flush()

    def on_end(self, finished: bool) -> None:
        self._flush()
        if self._is_open:
            *_, last = [{}, *read_iterations(self._run.base_dir)]
            if "stopped" in last:
                self._attempt(self._note_stop, last["stopped"])
            self._attempt(self._close, finished)

    def _flush(self) -> None:
        if self._waiting and self._is_open:
            self._attempt(self._log, self._waiting_step, self._waiting)
        self._waiting = {}

    def _attempt(self, call: Any, *arguments: Any) -> None:
        """Calls the tracker; an error there does not end the run."""
        try:
            call(*arguments)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._is_open = False
        reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        self._run.say(
            f"{self.name} failed ({type(error).__name__}: {reason}): the run goes on without it. "
            f"When the run is next started, {self.name} receives what it missed."
        )

    @abc.abstractmethod
    def _open(self, run: RunContext) -> None:
        """Begins the tracker's run, or resumes it."""

    @abc.abstractmethod
    def _log(self, agent_steps: int, row: Row) -> None:
        """Gives the tracker a row, unless it has that row already."""

    @abc.abstractmethod
    def _note_stop(self, sentence: str) -> None:
        """Says why the run was stopped."""

    @abc.abstractmethod
    def _close(self, finished: bool) -> None:
        """Ends the tracker's run."""


def logged(run: RunContext) -> dict[int, Row]:
    """The rows that the run has logged so far, by agent step."""
    rows = {
        agent_steps: {
            tag: value for tag, value in points.items() if not tag.startswith(f"{GLANCE}/")
        }
        for agent_steps, points in read_points(run.base_dir).items()
    }
    for record in run.iterations:
        agent_steps = record["agent_steps"]
        rows[agent_steps] = row_of(record) | rows.get(agent_steps, {})
    return dict(sorted(rows.items()))


def row_of(record: Mapping[str, Any]) -> Row:
    """The numbers of an iteration's record: "train/average_return", "eval/average_return" ..."""
    row = {
        f"{phase}/{name}": float(value)
        for phase in ("train", "eval")
        for name, value in record.get(phase, {}).items()
        if value is not None
    }
    speed = record.get("time", {}).get("train_steps_per_second")
    if speed is not None:
        row["train/steps_per_second"] = float(speed)
    return row | shares_by_tag(record) | {"iteration": float(record["iteration"] + 1)}


def remembered(path: Path) -> dict[str, str]:
    """The content of a tracker's file in the run's directory; {} if there is no file yet.

    Raises:
      UserError: the file is damaged.
    """
    try:
        content = expect(dict, read(path))
        return {expect(str, name): expect(str, value) for name, value in content.items()}
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error}): remove it, and the tracker begins a new run."
        ) from error


def remember(path: Path, content: Mapping[str, str]) -> None:
    """Writes the file that `remembered` reads."""
    replace_file(path, json.dumps(content).encode())
