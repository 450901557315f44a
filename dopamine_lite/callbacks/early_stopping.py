"""Ends a run that has reached its target, or that no longer improves."""

from __future__ import annotations

from typing import Any

import gin

from dopamine_lite.callbacks.callback import Callback, Metric, RunContext
from dopamine_lite.common.checks import check_not_negative, check_number, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State


@gin.configurable
class EarlyStopping(Callback):
    """Ends a run once one of its metrics has not improved for a while, or is good enough.

    An iteration without the metric, such as a training phase without a whole episode, is not counted.

    Args:
      metric: the number to watch: a phase and its name, such as "eval/average_return" or "train/loss".
      patience: the run ends after this many iterations in a row without improvement; None: never.
      min_delta: a value improves on the best so far only if it is better by more than this.
      mode: "max" if greater values are better, "min" if smaller ones are.
      target: the run ends at the first value that is as good as this or better; None: there is no
        target.
    """

    def __init__(
        self,
        metric: str = "eval/average_return",
        patience: int | None = 10,
        min_delta: float = 0.0,
        mode: str = "max",
        target: float | None = None,
    ):
        self._metric = Metric("EarlyStopping", metric, mode)
        check_whole("EarlyStopping", optional=True, patience=patience)
        check_not_negative("EarlyStopping", min_delta=min_delta)
        if target is not None:
            check_number("EarlyStopping", target=target)
        if patience is None and target is None:
            raise UserError(
                "EarlyStopping.patience and EarlyStopping.target are both None, so EarlyStopping "
                "would never stop a run: set one of them, or leave it out of Runner.callbacks."
            )
        self._patience = patience
        self._min_delta = min_delta
        self._target = target
        self._best: float | None = None
        self._best_steps = 0  # agent steps at which it was the best
        self._waited = 0  # iterations since

    def check(self, run: RunContext) -> None:
        self._metric.check(run)

    def on_iteration(self, record: dict[str, Any]) -> str | None:
        value = self._metric.value(record)
        if value is None:
            return None
        if self._metric.is_better(value, self._best, by=self._min_delta):
            self._best, self._best_steps, self._waited = value, record["agent_steps"], 0
        else:
            self._waited += 1
        name = self._metric.name
        if self._target is not None and self._metric.reaches(value, self._target):
            return f"{name} is {value:,g}, which reaches the target of {self._target:,g}."
        if self._patience is not None and self._waited >= self._patience:
            assert self._best is not None
            by = f" by more than {self._min_delta:,g}" if self._min_delta else ""
            return (
                f"{name} has not improved{by} for {self._waited} "
                f"iteration{'s' * (self._waited > 1)}: its best value is {self._best:,g}, at agent "
                f"step {self._best_steps:,}."
            )
        return None

    def get_state(self) -> State:
        return {"best": self._best, "best_steps": self._best_steps, "waited": self._waited}

    def set_state(self, state: State) -> None:
        self._best = state["best"]
        self._best_steps = state["best_steps"]
        self._waited = state["waited"]
