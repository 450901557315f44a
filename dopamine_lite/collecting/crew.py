"""The workers of a run: they collect a block together, and a worker that dies is replaced."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dopamine_lite.collecting.backend import Backend, Worker, WorkerDied
from dopamine_lite.collecting.collector import Begin, Collected, Evaluated, Evaluation, Group, Order
from dopamine_lite.common.errors import UserError

_MOST_DEATHS = 3  # in one block; more deaths are not bad luck


class Crew:
    """Divides the groups among workers.

    The number of workers, their places, their speed and their deaths do not change the collected steps.

    Args:
      backend: starts the workers.
      groups: the groups of environments.
      num_workers: the greatest number of workers; each has at least one group.
      say: called with a sentence for the user.
      on_wait: called now and then while the caller waits for the crew; it may raise.
    """

    def __init__(
        self,
        backend: Backend,
        groups: Sequence[Group],
        num_workers: int,
        say: Callable[[str], None],
        on_wait: Callable[[], None],
    ):
        self._backend = backend
        self._say = say
        self._on_wait = on_wait
        parts = np.array_split(np.arange(len(groups)), min(num_workers, len(groups)))
        self._parts = [[groups[index] for index in part] for part in parts]
        self._workers: list[Worker] = []
        self._begins: list[Begin] = []
        self._taken: list[list[np.ndarray]] = [[] for _ in groups]  # [T, n] of each block
        self._observations = [np.empty(0)] * len(groups)  # [n, ...] each, for the next action
        try:
            for part in self._parts:
                self._workers.append(backend.start(part))
        except BaseException:
            self.close()
            raise

    def begin(self, begins: Sequence[Begin]) -> None:
        """Begins a segment in every group."""
        self._begins = list(begins)
        self._taken = [[] for _ in begins]
        numbers = range(len(self._workers))
        for number in numbers:
            self._ask_to_begin(number)
        for number in numbers:
            self._keep(number, self._result(number, has_begun=False))

    def start(self, order: Order) -> None:
        """Lets every worker start on a block; `finish` returns its result."""
        self._ask("collect", order)

    def finish(self) -> list[Collected]:
        """The collected steps, by group. The arrays are valid until the next block is started."""
        found: list[Collected] = self._results()
        for group, collected in enumerate(found):
            block = collected.block
            self._taken[group].append(block.actions.copy())
            self._observations[group] = block.observations[-1].copy()
        return found

    def evaluate(self, evaluation: Evaluation) -> list[Evaluated]:
        """The episodes played, by group. The previous segment is over."""
        self._taken = [[] for _ in self._taken]
        self._ask("evaluate", evaluation)
        return self._results()

    def _ask(self, name: str, message: Order | Evaluation) -> None:
        self._asked = name, self._backend.publish(message)
        for worker in self._workers:
            worker.do(*self._asked)

    def _results(self) -> list[Any]:
        found: list[Any] = []
        for number in range(len(self._workers)):
            found += self._result(number, has_begun=True)
        for group, result in enumerate(found):
            # Its arrays may lie in memory that a worker overwrites while it sends the next result.
            found[group] = result._replace(state=copy.deepcopy(result.state))
            self._begins[group] = self._begins[group]._replace(state=found[group].state)
        return found

    def _ask_to_begin(self, number: int) -> None:
        groups = [group.number for group in self._parts[number]]
        self._workers[number].begin(
            [self._begins[group]._replace(taken=self._taken[group]) for group in groups]
        )

    def _keep(self, number: int, observations: list[np.ndarray]) -> None:
        for group, seen in zip(self._parts[number], observations, strict=True):
            self._observations[group.number] = seen.copy()

    def _result(self, number: int, has_begun: bool) -> Any:
        """The result of a worker. Each time it dies, another worker takes its place and its request."""
        deaths = 0
        while True:
            try:
                if not deaths:
                    return self._workers[number].result(self._on_wait)
                begun = self._replace(number)
                if not has_begun:
                    return begun
                if self._asked[0] == "collect":
                    self._require_same(number, begun)
                self._workers[number].do(*self._asked)
                return self._workers[number].result(self._on_wait)
            except WorkerDied as died:
                deaths += 1
                if deaths == _MOST_DEATHS:
                    raise UserError(
                        f"An actor has ended {deaths} times in the same task ({died}). If memory "
                        "is short, resume the run with fewer Runner.actors; otherwise, see whether "
                        "the code of the environment or the agent ends its process."
                    ) from None
                self._say(f"An actor has ended ({died}). Another takes its place.")

    def _replace(self, number: int) -> list[np.ndarray]:
        """Starts a worker that repeats the steps of the segment; returns its observations."""
        self._workers[number].close()
        self._workers[number] = self._backend.start(self._parts[number])
        self._ask_to_begin(number)
        return self._workers[number].result(self._on_wait)

    def _require_same(self, number: int, observations: list[np.ndarray]) -> None:
        """Raises UserError if environments that repeated their steps are in other states now."""
        for group, seen in zip(self._parts[number], observations, strict=True):
            if not np.array_equal(seen, self._observations[group.number], equal_nan=True):
                raise UserError(
                    "An actor has ended. Its environments were made again with the same seed and "
                    "took the same actions, but returned different observations, so the run could "
                    "not go on as it was. Resume it from its newest checkpoint, and check with "
                    "`dopamine-lite check-environment` whether the environment depends on anything "
                    "else."
                )

    def close(self) -> None:
        """Ends all workers."""
        for worker in self._workers:
            worker.close()
        self._backend.close()
