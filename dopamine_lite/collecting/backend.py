"""What a crew needs of the place where its workers are: threads, processes, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dopamine_lite.collecting.collector import Begin, Evaluation, Group, Order

SECONDS_BETWEEN_LOOKS = 0.2  # at what else may have happened, while a worker is waited for


class WorkerDied(Exception):
    """A worker is gone. The message says how it ended."""


class Worker(Protocol):
    """Works on one message at a time, and has a `Station` of its own."""

    def begin(self, begins: Sequence[Begin]) -> None:
        """Asks for `Station.begin`; `result` returns the observations [n, ...] of each group."""

    def do(self, name: str, published: Any) -> None:
        """Asks for the method `name` of `Station`, with what `Backend.publish` returned."""

    def result(self, on_wait: Callable[[], None]) -> Any:
        """Waits for what was asked for last, and calls `on_wait`, which may raise, now and then.

        Raises:
          WorkerDied: it will never come.
          Exception: what was raised in the worker.
        """

    def close(self) -> None:
        """Ends the worker, whatever it is doing."""


class Backend(Protocol):
    """Starts workers."""

    def start(self, groups: Sequence[Group]) -> Worker:
        """A new worker with the collectors of these groups."""

    def publish(self, message: Order | Evaluation) -> Any:
        """Makes a message known to all workers at once; what it returns holds until the next call."""

    def close(self) -> None:
        """Frees what the backend itself holds."""
