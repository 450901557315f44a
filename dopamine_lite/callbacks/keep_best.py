"""Keeps the checkpoint of the best iteration, and others at fixed intervals."""

from __future__ import annotations

from typing import Any

import gin

from dopamine_lite.callbacks.callback import Callback, Metric, RunContext
from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.types import State

BEST, EVERY = "best", "every"


@gin.configurable
class KeepBest(Callback):
    """Keeps the checkpoint of the best iteration beside the newest ones, as the checkpoint "best".

    It keeps the agent without its replay. That is enough to evaluate, film and export it, and only as
    large as the parameters of the agent and of its optimizer. Of equal iterations the first is kept.

    Args:
      metric: the number to watch: a phase and its name, such as "eval/average_return" or "train/loss".
      mode: "max" if greater values are better, "min" if smaller ones are.
      keep_every: also keep a checkpoint each time this many iterations have passed; None: no others.
    """

    part_of_experiment = False

    def __init__(
        self,
        metric: str = "eval/average_return",
        mode: str = "max",
        keep_every: int | None = None,
    ):
        self._metric = Metric("KeepBest", metric, mode)
        check_whole("KeepBest", optional=True, keep_every=keep_every)
        self._keep_every = keep_every
        self._best: float | None = None

    def check(self, run: RunContext) -> None:
        self._metric.check(run)

    def on_start(self, run: RunContext) -> None:
        self._keep = run.keep_checkpoint
        if self._best is None and (count := len(run.iterations)):
            run.say(
                f"KeepBest has not seen the {count:,} iteration{'s' * (count > 1)} before this "
                "start: it keeps the best of those that follow."
            )

    def on_iteration(self, record: dict[str, Any]) -> None:
        value = self._metric.value(record)
        if value is not None and self._metric.is_better(value, self._best):
            self._best = value
            self._keep(BEST, True)
        if self._keep_every and (record["iteration"] + 1) % self._keep_every == 0:
            self._keep(EVERY, False)

    def get_state(self) -> State:
        return {"best": self._best}

    def set_state(self, state: State) -> None:
        self._best = state["best"]
