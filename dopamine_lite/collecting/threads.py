"""Workers in threads of this process, which start at once and share its memory."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import Any

from dopamine_lite.collecting.backend import SECONDS_BETWEEN_LOOKS
from dopamine_lite.collecting.collector import Begin, Evaluation, Group, Order, Recipe, Station


class ThreadWorker:
    """A station in a thread.

    Configured parts are made in the caller's thread, because gin has one configuration per process.
    """

    def __init__(self, recipe: Recipe, groups: Sequence[Group]):
        self._station = Station(recipe, groups)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "actor")

    def begin(self, begins: Sequence[Begin]) -> None:
        self._asked: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._asked.set_result(self._station.begin(begins))

    def do(self, name: str, published: Order | Evaluation) -> None:
        if isinstance(published, Evaluation):
            self._station.prepare(published)
        work: Callable[[Any], Any] = getattr(self._station, name)
        self._asked = self._thread.submit(work, published)

    def result(self, on_wait: Callable[[], None]) -> Any:
        while True:
            try:
                return self._asked.result(SECONDS_BETWEEN_LOOKS)
            except concurrent.futures.TimeoutError:
                if self._asked.done():  # then the error may come from the environment or the agent
                    return self._asked.result()
                on_wait()

    def close(self) -> None:
        self._thread.shutdown()
        self._station.close()


class ThreadBackend:
    """Workers in threads.

    Args:
      recipe: the recipe for the workers.
    """

    def __init__(self, recipe: Recipe):
        self._recipe = recipe

    def start(self, groups: Sequence[Group]) -> ThreadWorker:
        return ThreadWorker(self._recipe, groups)

    def publish(self, message: Order | Evaluation) -> Order | Evaluation:
        return message

    def close(self) -> None:
        pass
