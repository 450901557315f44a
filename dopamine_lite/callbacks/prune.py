"""Ends a run that a search, in another process, has pruned.

Run and search communicate through two files in the run's directory. Each is a JSON object that is
replaced as a whole (written aside and renamed):

    pruning.json   by the run, at the end of every iteration, before the iteration's line is logged:
                   {"iteration": 3, "agent_steps": 4000, "value": 123.4}, the iteration counted from 0;
                   "value" is null where the iteration had none
    prune.json     by the search, its answer: {"iteration": 3, "prune": false}, perhaps with
                   "why": "a sentence"

An answer whose "prune" is true ends the run at that iteration, or at the first later one that reads it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import gin

from dopamine_lite.callbacks.callback import Callback, Metric, RunContext
from dopamine_lite.checkpointing.storage import replace_file
from dopamine_lite.common.checks import check_not_negative
from dopamine_lite.common.errors import UserError
from dopamine_lite.files.strict_json import expect, read, whole

VALUE, ANSWER = "pruning.json", "prune.json"
_SECONDS_BETWEEN_LOOKS = 0.02
_WHY = "the search that this run belongs to has pruned it"


@gin.configurable
class Prune(Callback):
    """Tells a search how good the run is, and ends the run if the search says so.

    A run that is not pruned is the same as without this callback.

    Args:
      metric: the number that the search is told: a phase and its name, such as "eval/average_return".
      wait_seconds: the seconds for which the run waits for the answer to each iteration before it goes
        on without one. If it waits long enough, the search decides at the same iteration however fast
        the run is. 0: the run takes the answer that is there already.
    """

    part_of_experiment = False

    def __init__(self, metric: str = "eval/average_return", wait_seconds: float = 0.0):
        self._metric = Metric("Prune", metric)
        check_not_negative("Prune", wait_seconds=wait_seconds)
        self._wait_seconds = wait_seconds

    def check(self, run: RunContext) -> None:
        self._metric.check(run)

    def on_start(self, run: RunContext) -> None:
        self._run = run

    def on_iteration(self, record: dict[str, Any]) -> str | None:
        iteration = record["iteration"]
        told = {
            "iteration": iteration,
            "agent_steps": record["agent_steps"],
            "value": self._metric.value(record),
        }
        replace_file(self._run.base_dir / VALUE, json.dumps(told).encode())
        end = time.monotonic() + self._wait_seconds
        while True:
            answered, why = read_answer(self._run.base_dir / ANSWER)
            if why is not None and answered <= iteration:
                return why
            if answered >= iteration or time.monotonic() >= end or self._run.is_interrupted():
                return None
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def read_answer(path: Path) -> tuple[int, str | None]:
    """The last iteration that the search has answered (-1: none), and why the run should end, if it
    should.

    Raises:
      UserError: the file is not an answer.
    """
    try:
        answer = expect(dict, read(path))
        iteration, prune = whole(answer["iteration"]), answer["prune"]
        if type(prune) is not bool:
            raise ValueError('"prune" is neither true nor false')
        why = expect(str, answer.get("why", _WHY))
    except FileNotFoundError:
        return -1, None
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{path} is not an answer from a search ({error}): write an answer, such as "
            '{"iteration": 3, "prune": true}, to a file next to it, and rename that file.'
        ) from error
    return iteration, f"{' '.join(why.split()).rstrip('.')}." if prune else None
