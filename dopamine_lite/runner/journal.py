"""Reports a run's progress to log files, TensorBoard, the console and callbacks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from dopamine_lite.agents.agent import Agent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.declared import described
from dopamine_lite.reporting.console import Console
from dopamine_lite.reporting.info_metrics import PREFIX
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics
from dopamine_lite.reporting.logbook import Logbook
from dopamine_lite.reporting.tags import at_a_glance, evaluation_at_a_glance
from dopamine_lite.reporting.time_parts import shares_by_tag
from dopamine_lite.runner.hooks import Hooks

_OF_A_PHASE = ("average_return", "median_return", "average_length", "episodes", "cut_episodes")


class Diverged(Exception):
    """A metric is no longer a finite number. The message names the metric."""


class Journal:
    """Reports the same numbers to the log, the console and the callbacks.

    Args:
      logbook: the log files and TensorBoard.
      console: where progress is shown.
      hooks: the callbacks.
    """

    def __init__(self, logbook: Logbook, console: Console, hooks: Hooks):
        self.logbook = logbook
        self.console = console
        self.hooks = hooks
        # The time and the agent step at which metrics were last reported.
        self._logged_at = time.perf_counter(), 0

    def begin_segment(self, agent_steps: int) -> None:
        """Starts the clock that measures the steps per second."""
        self._logged_at = time.perf_counter(), agent_steps

    def episodes(
        self, iteration: int, phase: str, agent_steps: int, records: list[EpisodeRecord]
    ) -> None:
        self.logbook.episodes(iteration, phase, agent_steps, records)
        self.hooks.episodes(phase, agent_steps, records)

    def metrics(
        self,
        agent: Agent,
        statistics: IterationStatistics,
        iteration: int,
        agent_steps: int,
        histograms: bool,
        of_actors: Mapping[str, float | np.ndarray],
    ) -> None:
        """Asks the agent for its metrics, and reports them.

        Args:
          agent: the agent.
          statistics: the iteration's statistics, to which the metrics are added.
          iteration: the number of the iteration.
          agent_steps: the agent steps of the run so far.
          histograms: whether arrays are reported, too.
          of_actors: the metrics of separate actors, in place of the agent's own actor's metrics.

        Raises:
          Diverged: a metric is not a finite number.
          UserError: the metrics are not a dictionary of numbers.
        """
        scalars, arrays = _metrics(agent, of_actors)
        statistics.log(scalars)
        self.logbook.scalars(agent_steps, _of_training(scalars))
        if histograms:
            self.logbook.histograms(agent_steps, _of_training(arrays))
        recent = statistics.recent_return()
        measured = scalars if recent is None else scalars | {"recent_return": recent}
        self.hooks.metrics(agent_steps, measured)
        speed = self._steps_per_second(agent_steps)
        self.logbook.scalars(agent_steps, at_a_glance(scalars, recent, speed))
        if recent is not None:
            scalars["return"] = recent
            self.logbook.scalars(agent_steps, {"train/recent_return": recent})
        self.console.progress("train", iteration, agent_steps, scalars)

    def _steps_per_second(self, agent_steps: int) -> float:
        """The speed of training since the last call or, if it is later, the start of the segment."""
        (then, before), now = self._logged_at, time.perf_counter()
        self._logged_at = now, agent_steps
        return (agent_steps - before) / max(now - then, 1e-9)

    def iteration(self, record: dict[str, Any], info_names: tuple[str, ...]) -> str | None:
        """Reports an iteration's record. If callbacks stop the run, the reason is added to the record.

        Returns:
          The reason why callbacks stop the run; None if they do not.
        """
        stopped = self.hooks.iteration(record)
        if stopped is not None:
            record["stopped"] = stopped
        self.logbook.iteration(record)
        self.logbook.scalars(record["agent_steps"], _summary(record, info_names))
        self.console.iteration(record)
        if stopped is not None:
            self.console.say(f"The run stops here ({stopped.rstrip('.')}).")
        return stopped


def _metrics(
    agent: Agent, of_actors: Mapping[str, float | np.ndarray]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """An agent's metrics: the numbers, and the arrays, for histograms."""
    values = agent.metrics()
    if not isinstance(values, dict):
        raise UserError(
            f"{type(agent).__name__}.metrics returned {described(values)}: return a dictionary of "
            "numbers by name."
        )
    values = {**values, **of_actors}
    scalars = {name: float(value) for name, value in values.items() if np.ndim(value) == 0}
    for name, value in scalars.items():
        if not np.isfinite(value):
            raise Diverged(f"{name} became {value}")
    return scalars, {name: np.asarray(value) for name, value in values.items() if np.ndim(value)}


def _of_training(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"train/{name}": value for name, value in values.items()}


def _summary(record: dict[str, Any], info_names: tuple[str, ...]) -> dict[str, float]:
    """The numbers of an iteration for TensorBoard."""
    scalars = {
        f"{phase}/{name}": record[phase][name]
        for phase in ("train", "eval")
        for name in (*_OF_A_PHASE, *(f"{PREFIX}{name}" for name in info_names))
        if record.get(phase, {}).get(name) is not None
    }
    if "eval/average_return" in scalars:
        scalars |= evaluation_at_a_glance(scalars["eval/average_return"])
    return scalars | shares_by_tag(record)
