"""The contract between the Runner and the callbacks that it calls during a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dopamine_lite.common.checks import check_choice
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord

MODES = ("max", "min")  # which values of a metric are the good ones


@dataclass(frozen=True)
class RunContext:
    """What a callback is told about its run, once, when the run begins or is resumed.

    Attributes:
      base_dir: the run's directory.
      config: the configuration in force, as gin text.
      description: the agent, the environment and its protocol, as `provenance.json` has them.
      num_iterations: the number of iterations that the run is planned to have.
      evaluates: whether each iteration ends with an evaluation.
      agent_steps: the agent steps done so far.
      iterations: the records of the iterations done so far.
      say: tells the user a sentence.
      keep_checkpoint: called with a name, such as "best", and whether to replace the checkpoint kept
        under that name. It keeps the checkpoint that is about to be saved, without its replay.
      is_interrupted: whether a signal asks the run to stop. Ask it while you wait.
    """

    base_dir: Path
    config: str
    description: Mapping[str, Any]
    num_iterations: int
    evaluates: bool
    agent_steps: int
    iterations: Sequence[Mapping[str, Any]]
    say: Callable[[str], None]
    keep_checkpoint: Callable[[str, bool], None]
    is_interrupted: Callable[[], bool]


class Callback:
    """The base class of callbacks, which are called during a run. Override the methods that you need.

    A callback is built without arguments other than those from gin. Its decisions must depend only on
    its state and on the calls it gets. A run that is killed and started again then has the same result
    as a run that was never stopped. After a kill, a callback may get some calls a second time, but only
    after its state has been put back to the checkpoint's.

    An exception in a callback ends the run with its traceback. The same command then resumes the run
    from its newest checkpoint.

    Attributes:
      part_of_experiment: whether a run with this callback is a different experiment from a run without
        it. A callback that changes neither training nor evaluation may set this to False. You can then
        add it to a run, or leave it out, at any start.
    """

    part_of_experiment = True

    def check(self, run: RunContext) -> None:
        """Raises `UserError` if the callback cannot work in this run. Nothing has been written yet."""

    def on_start(self, run: RunContext) -> None:
        """Called when the run begins or is resumed, after `set_state`."""

    def on_metrics(self, agent_steps: int, metrics: Mapping[str, float]) -> None:
        """Called every `Runner.log_every_steps` agent steps, and at the end of each segment.

        Args:
          agent_steps: the agent steps of the run so far.
          metrics: the agent's metrics since the last call. Once an episode of the iteration has ended,
            they include "recent_return", the mean return of the last 10 whole episodes.
        """

    def on_episodes(self, phase: str, agent_steps: int, episodes: Sequence[EpisodeRecord]) -> None:
        """Called when whole episodes have ended.

        Args:
          phase: "train" or "eval".
          agent_steps: the agent steps of the run so far.
          episodes: in training, the episodes that ended in the same step; in evaluation, all of them.
        """

    def on_iteration(self, record: dict[str, Any]) -> str | None:
        """Called when an iteration has ended.

        Args:
          record: a copy of the iteration's line in `logs/iterations.jsonl`. The numbers under "time"
            differ between equal runs, so base no decision on them.

        Returns:
          A sentence that says why the run should stop here; None: it goes on.
        """
        return None

    def on_end(self, finished: bool) -> None:
        """Called when the run has ended. If it is not `finished`, a signal or an error has ended it."""

    def get_state(self) -> State:
        """Everything that determines what the callback does next, to be saved with the run."""
        return {}

    def set_state(self, state: State) -> None:
        """Puts the callback into `state`, which `get_state` returned. It is not called for {}."""


class Metric:
    """A number in an iteration's record, and whether great or small values of it are good.

    Args:
      owner: the name of the callback that has the number as its `metric` and `mode`.
      name: a phase and the name of one of its metrics, such as "eval/average_return" or "train/loss".
      mode: "max" if the greatest value is the best one, "min" if the smallest is.
    """

    def __init__(self, owner: str, name: str, mode: str = "max"):
        self.name = name
        self._owner = owner
        if not isinstance(name, str) or len(name.split("/")) != 2:
            raise UserError(
                f"{owner}.metric is {name!r}: give a phase and the name of one of its metrics, "
                'such as "eval/average_return" or "train/loss".'
            )
        check_choice(owner, MODES, mode=mode)
        self._sign = 1.0 if mode == "max" else -1.0
        self._phase, self._key = name.split("/")

    def check(self, run: RunContext) -> None:
        """Raises UserError if the run will not log this number."""
        if self._phase == "eval" and not run.evaluates:
            raise UserError(
                f"{self._owner}.metric is {self.name!r}, but the run has no evaluations: set "
                'Runner.schedule = "continuous_train_and_eval", or name a metric of the training '
                'phase, such as "train/average_return".'
            )

    def value(self, record: Mapping[str, Any]) -> float | None:
        """The number in a record; None if it is not finite, or null (as without a whole episode).

        Raises:
          UserError: the records of this run do not have a number of that name.
        """
        phase = record.get(self._phase)
        if not isinstance(phase, dict) or self._key not in phase:
            names = [f"{name}/{key}" for name in ("train", "eval") for key in record.get(name, {})]
            raise UserError(
                f"{self._owner}.metric is {self.name!r}, which iteration {record['iteration'] + 1} does "
                f"not have: name one of {', '.join(names)}."
            )
        value = phase[self._key]
        return float(value) if value is not None and math.isfinite(value) else None

    def is_better(self, value: float, than: float | None, by: float = 0.0) -> bool:
        """Whether `value` is better by more than `by`; anything is better than None."""
        return than is None or self._sign * (value - than) > by

    def reaches(self, value: float, target: float) -> bool:
        """Whether `value` is at least as good as `target`."""
        return self._sign * (value - target) >= 0
