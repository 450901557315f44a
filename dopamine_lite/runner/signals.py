"""Lets SIGINT and SIGTERM stop a run between two steps instead of anywhere."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """SIGINT or SIGTERM stopped a run at a safe point. `str(error)` says where.

    The run can be resumed.

    Attributes:
      signal_number: the number of the signal.
    """

    def __init__(self, signal_number: int, sentence: str):
        super().__init__(sentence)
        self.signal_number = signal_number


class Signals:
    """Remembers a signal that arrives in a block of `caught`.

    Attributes:
      arrived: the number of the signal; None: there was none.
    """

    def __init__(self) -> None:
        self.arrived: int | None = None

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catches signals in the main thread. In other threads, they have their usual effect."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def remember(number: int, _frame: object) -> None:
            self.arrived = number
            signal.signal(number, signal.SIG_DFL)  # a second signal ends a step that hangs

        before = {number: signal.signal(number, remember) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
