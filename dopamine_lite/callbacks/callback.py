"""The contract between the Runner and what is called while a run goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dopamine_lite.common.checks import check_choice
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.iteration_statistics import EpisodeRecord
from dopamine_lite.common.types import State

MODES = ("max", "min")  # which values of a metric are the good ones


@dataclass(frozen=True)
class RunContext:
    """What a callback is told of its run, once, when the run begins or goes on."""

    base_dir: Path  # the run's directory
    config: str  # the configuration in force, as gin text
    description: Mapping[str, Any]  # of the agent, the environment and its protocol
    num_iterations: int  # as planned
    evaluates: bool  # whether each iteration ends with an evaluation
    agent_steps: int  # done so far
    iterations: Sequence[Mapping[str, Any]]  # the records of the iterations done so far
    say: Callable[[str], None]  # tells the user a sentence
    # Keeps the checkpoint that is about to be saved, without its replay, under a name (`best`); with
    # `replace` in the place of what was kept under it.
    keep_checkpoint: Callable[[str, bool], None]
    is_interrupted: Callable[[], bool]  # whether a signal asks the run to stop; look while you wait


class Callback:
    """What is called while a run goes on; a class of one's own redefines what it needs.

    Built without arguments, those from gin aside. What a callback decides, and what decides it, has to
    be a function of what it is told and of its state: then a run that is killed and started again is the
    run that was never stopped. What it is told twice, after such a kill, it is told after its state was
    put back to the checkpoint.

    An exception of a callback ends the run with its traceback; the same command goes on from the newest
    checkpoint.
    """

    # Whether a run with it is another experiment than one without it. A callback that changes nothing
    # that is trained or evaluated may say False: it can then be added to a run, and left out, at any
    # start.
    part_of_experiment = True

    def check(self, run: RunContext) -> None:
        """Raises UserError where it cannot do its work in this run; nothing has been written yet."""

    def on_start(self, run: RunContext) -> None:
        """The run begins or goes on; this callback has its state already."""

    def on_metrics(self, agent_steps: int, metrics: Mapping[str, float]) -> None:
        """What the agent measured (loss, epsilon ...) since the last time, every `log_every_steps`.

        With "recent_return", the mean of the iteration's last 10 whole episodes, once there is one.
        """

    def on_episodes(self, phase: str, agent_steps: int, episodes: Sequence[EpisodeRecord]) -> None:
        """Whole episodes have ended, in training with one step, in evaluation all of them."""

    def on_iteration(self, record: dict[str, Any]) -> str | None:
        """An iteration has ended, and this will be its record in iterations.jsonl.

        It is a copy. What stands below "time" differs between equal runs: decide nothing by it.

        Returns:
          A sentence that says why the run is to stop here; None: it goes on.
        """
        return None

    def on_end(self, finished: bool) -> None:
        """The run has come to its end, or, unless `finished`, a signal or an error has ended it."""

    def get_state(self) -> State:
        """Everything that decides what it does next, saved with the run; {}: there is nothing."""
        return {}

    def set_state(self, state: State) -> None:
        """Takes the place of the callback that returned `state`, which was not {}."""


class Metric:
    """A number of an iteration's record and which of its values are good.

    Args:
      owner: the callback that has it as its `metric` and `mode`.
      name: "eval/average_return", "train/loss": a phase and a name in it.
      mode: "max" where the greatest value is the best one, or "min".
    """

    def __init__(self, owner: str, name: str, mode: str = "max"):
        self.name = name
        self._owner = owner
        if not isinstance(name, str) or len(name.split("/")) != 2:
            raise UserError(
                f"{owner}.metric is {name!r}: name a phase and a number of it, such as "
                '"eval/average_return" or "train/loss".'
            )
        check_choice(owner, MODES, mode=mode)
        self._sign = 1.0 if mode == "max" else -1.0
        self._phase, self._key = name.split("/")

    def check(self, run: RunContext) -> None:
        """Raises UserError where the run will have no such number."""
        if self._phase == "eval" and not run.evaluates:
            raise UserError(
                f"{self._owner}.metric is {self.name!r}, but the run has no evaluations: set "
                'Runner.schedule = "continuous_train_and_eval", or name a number of training, such as '
                '"train/average_return".'
            )

    def value(self, record: Mapping[str, Any]) -> float | None:
        """The number in a record; None where that has none, for want of a whole episode, or no finite
        one.

        Raises:
          UserError: records have no such number.
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
        """Whether `value` is as good as `target` or better."""
        return self._sign * (value - target) >= 0
