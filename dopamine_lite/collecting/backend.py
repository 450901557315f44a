"""The contract between a crew and the place of its workers: threads, processes, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dopamine_lite.collecting.collector import Begin, Evaluation, Group, Order

SECONDS_BETWEEN_LOOKS = 0.2  # for other events, while the crew waits for a worker


class WorkerDied(Exception):
    """A worker is gone. The message says how it ended."""


class Worker(Protocol):
    """Has a `Station` of its own, and works on one message at a time."""

    def begin(self, begins: Sequence[Begin]) -> None:
        """Requests `Station.begin`; `result` then returns the observations [n, ...] of each group."""

    def do(self, name: str, published: Any) -> None:
        """Requests the method `name` of `Station`, with the return value of `Backend.publish`."""

    def result(self, on_wait: Callable[[], None]) -> Any:
        """Waits for the result of the last request. Meanwhile, it calls `on_wait`, which may raise.

        Raises:
          WorkerDied: the result will never come.
          Exception: the exception that the worker raised.
        """

    def close(self) -> None:
        """Ends the worker, whatever it is doing."""


class Backend(Protocol):
    """Starts workers."""

    def start(self, groups: Sequence[Group]) -> Worker:
        """A new worker with the collectors of these groups."""

    def publish(self, message: Order | Evaluation) -> Any:
        """Publishes a message to all workers at once. The return value is valid until the next call."""

    def close(self) -> None:
        """Frees the backend's own resources."""
