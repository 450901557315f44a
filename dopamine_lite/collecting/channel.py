"""Messages between processes of one machine, with their arrays in shared memory."""

from __future__ import annotations

import mmap
import os
import pickle
import select
import signal
import socket
import struct
import tempfile
from collections.abc import Callable
from typing import Any

from dopamine_lite.collecting.backend import SECONDS_BETWEEN_LOOKS

# The run's process group may get these signals. The run's process alone decides what to do.
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64  # of arrays in shared memory, in bytes


class Shared:
    """Memory that several processes see. Only one of them writes to it.

    It takes no space before it is written to, and it disappears with the last process that has it open.

    Args:
      size: the size in bytes, for new memory.
      descriptor: the file descriptor of memory that another process made; None: the memory is new.
    """

    def __init__(self, size: int, descriptor: int | None = None):
        if descriptor is None:
            descriptor = _new_file()
            os.ftruncate(descriptor, size)
        self.descriptor = descriptor
        self.size = size
        self._memory = mmap.mmap(descriptor, size)
        self._view = memoryview(self._memory)

    def write(self, start: int, content: memoryview) -> None:
        self._view[start : start + content.nbytes] = content

    def read(self, start: int, size: int) -> memoryview:
        return self._view[start : start + size].toreadonly()

    def close(self) -> None:
        """Closes the descriptor. The memory stays as long as arrays refer to it."""
        os.close(self.descriptor)


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dopamine_lite")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def encode(message: Any, shared: Shared) -> bytes:
    """A message for `Channel.send`. Its arrays go to `shared`, over the arrays of the last message."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    places: list[tuple[int, int] | bytes] = []
    start = 0
    for buffer in buffers:
        content = buffer.raw()
        if start + content.nbytes <= shared.size:
            shared.write(start, content)
            places.append((start, content.nbytes))
            start += -(-content.nbytes // _ALIGNMENT) * _ALIGNMENT
        else:  # the array is sent in the message
            places.append(bytes(content))
    return pickle.dumps((pickled, places))


def decode(message: bytes, shared: Shared) -> Any:
    """The message that `encode` was given. Its arrays are read-only and refer to `shared`."""
    pickled, places = pickle.loads(message)
    buffers = [place if isinstance(place, bytes) else shared.read(*place) for place in places]
    return pickle.loads(pickled, buffers=buffers)


class Channel:
    """Sends and receives bytes as whole messages.

    Args:
      connection: a connected stream socket.
    """

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._poll = select.poll()  # unlike `select.select`, it takes descriptors above 1,023
        self._poll.register(connection, select.POLLIN)

    def send(self, message: bytes) -> None:
        """Raises OSError if the other process is gone."""
        self._connection.sendall(_LENGTH.pack(len(message)))
        self._connection.sendall(message)

    def receive(
        self,
        on_wait: Callable[[], None] = lambda: None,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> bytes:
        """Waits for a message.

        Args:
          on_wait: called now and then; it may raise.
          is_gone: called just as often; returns whether the other process is known to have ended.
            Processes that it has forked can still keep its end of the connection open.

        Raises:
          EOFError, OSError: the other process is gone.
        """

        def exactly(size: int) -> bytes:
            parts = bytearray()
            while len(parts) < size:
                while not self._is_ready(SECONDS_BETWEEN_LOOKS):
                    on_wait()
                    if is_gone() and not self._is_ready(0):
                        raise EOFError("the other process has ended")
                part = self._connection.recv(min(size - len(parts), 1 << 20))
                if not part:
                    raise EOFError("the other process has closed its end")
                parts += part
            return bytes(parts)

        (size,) = _LENGTH.unpack(exactly(_LENGTH.size))
        return exactly(size)

    def _is_ready(self, seconds: float) -> bool:
        """Whether there is something to read, or the other end is closed, within this time."""
        return bool(self._poll.poll(seconds * 1_000))

    def wait_for_end(self) -> None:
        """Returns once the other end is closed."""
        poll = select.poll()
        poll.register(self._connection, getattr(select, "POLLRDHUP", 0))
        poll.poll()

    def close(self) -> None:
        self._connection.close()
