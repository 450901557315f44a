"""The process of a worker, which `ProcessWorker` starts."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
from collections.abc import Sequence
from typing import Any

from dopamine_lite.collecting.channel import INTERRUPTIONS, Channel, Shared, decode, encode
from dopamine_lite.collecting.parcel import Raised, unpacked


def main(arguments: Sequence[str]) -> None:
    """Works until the other end of the connection is closed.

    Args:
      arguments: the file descriptors of the connection, of the orders and of the replies, and the sizes
        of the last two.
    """
    _leave_interruptions_alone()
    connection, board, replies, board_size, replies_size = map(int, arguments)
    channel = Channel(socket.socket(fileno=connection))
    threading.Thread(target=_end_with, args=(channel,), daemon=True).start()
    orders, answers = Shared(board_size, board), Shared(replies_size, replies)
    try:
        parcel, groups = pickle.loads(channel.receive())
        station: Any = None
        while True:
            name, message = pickle.loads(channel.receive())
            try:
                if station is None:
                    station = unpacked(parcel, groups)
                answer = getattr(station, name)(decode(message, orders))
                encoded = encode(answer, answers)
            except BaseException as error:  # also results that cannot be sent, and SystemExit
                encoded = encode(Raised(error), answers)
            channel.send(encoded)
    except (EOFError, OSError):
        pass  # the run is over


def _leave_interruptions_alone() -> None:
    """The parent process ends this one. Processes that an environment starts behave as usual."""

    def usual() -> None:
        for number in INTERRUPTIONS:
            signal.signal(number, signal.SIG_DFL)

    for number in INTERRUPTIONS:
        signal.signal(number, lambda *_: None)  # unlike SIG_IGN, programs do not inherit it
    os.register_at_fork(after_in_child=usual)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)


def _end_with(channel: Channel) -> None:
    """Ends this process, whatever it is doing, once the other end of the channel is closed."""
    channel.wait_for_end()
    os._exit(0)
