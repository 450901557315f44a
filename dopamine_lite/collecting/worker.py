"""The process of a worker, which `ProcessWorker` starts."""

from __future__ import annotations

import pickle
import signal
import socket
from collections.abc import Sequence
from typing import Any

from dopamine_lite.collecting.channel import Channel, Shared, decode, encode
from dopamine_lite.collecting.parcel import Raised, unpacked


def main(arguments: Sequence[str]) -> None:
    """Works until the other end of the connection is closed.

    Args:
      arguments: the file descriptors of the connection, of the orders and of the replies, and the sizes
        of the last two.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # which the whole group of processes may get
        signal.signal(number, signal.SIG_IGN)  # the process that started this one ends it
    connection, board, replies, board_size, replies_size = map(int, arguments)
    channel = Channel(socket.socket(fileno=connection))
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
            except Exception as error:  # also of what cannot be sent
                encoded = encode(Raised(error), answers)
            channel.send(encoded)
    except (EOFError, OSError):
        pass  # the run is over
