"""Workers in processes of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dopamine_lite.collecting.backend import WorkerDied
from dopamine_lite.collecting.channel import INTERRUPTIONS, Channel, Shared, decode, encode
from dopamine_lite.collecting.collector import Begin, Evaluation, Group, Order, Recipe
from dopamine_lite.collecting.parcel import Raised
from dopamine_lite.collecting.steps import MOST_STEPS
from dopamine_lite.environments.environment import EnvironmentSpec

_BESIDE_OBSERVATIONS = 64 << 20  # bytes for everything else in a block; unused bytes take no memory
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from dopamine_lite.collecting.worker import main; main(sys.argv[2:])"
)
_SECONDS_TO_END = 10.0


class ProcessWorker:
    """A station in a process of its own.

    Args:
      parcel: from `packed`.
      groups: the station's groups.
      board: where orders are published.
      reply_size: the greatest size of a collected block, in bytes.
    """

    def __init__(self, parcel: bytes, groups: Sequence[Group], board: Shared, reply_size: int):
        here, there = socket.socketpair()
        self._channel = Channel(here)
        self._replies = Shared(reply_size)
        passed = (there.fileno(), board.descriptor, self._replies.descriptor)
        sizes = (board.size, self._replies.size)
        path = json.dumps([place for place in sys.path if isinstance(place, str)])
        # A process inherits the blocked signals, and unblocks them when it is ready for them.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, path, *map(str, passed + sizes)],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        there.close()
        self._send(pickle.dumps((parcel, list(groups))))

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # `result` says how it ended
            self._channel.send(message)

    def begin(self, begins: Sequence[Begin]) -> None:
        self.do("begin", pickle.dumps((pickle.dumps(list(begins)), [])))

    def do(self, name: str, published: bytes) -> None:
        self._send(pickle.dumps((name, published)))

    def result(self, on_wait: Callable[[], None]) -> Any:
        try:
            message = self._channel.receive(on_wait, lambda: self._process.poll() is not None)
            found = decode(message, self._replies)
        except (EOFError, OSError):
            raise WorkerDied(self._how_it_ended()) from None
        if isinstance(found, Raised):
            raise found.error()
        return found

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        if status < 0:
            names = {each.value: each.name for each in signal.Signals}
            return f"its process received the signal {names.get(-status, -status)}"
        return f"its process ended with status {status}"

    def close(self) -> None:
        self._channel.close()
        self._process.kill()  # it holds nothing that is missing here
        self._process.wait()
        self._replies.close()


class ProcessBackend:
    """Workers in processes.

    Args:
      recipe: the recipe for the workers.
      parcel: the same recipe from `packed`.
      parameters: the actor's parameters, which determine the size of orders.
    """

    def __init__(self, recipe: Recipe, parcel: bytes, parameters: Any):
        self._parcel = parcel
        self._spec = recipe.spec
        buffers: list[pickle.PickleBuffer] = []
        pickle.dumps(parameters, protocol=5, buffer_callback=buffers.append)
        size = sum(buffer.raw().nbytes for buffer in buffers)
        self._board = Shared(2 * size + os.sysconf("SC_PAGESIZE"))

    def start(self, groups: Sequence[Group]) -> ProcessWorker:
        size = reply_size(self._spec, groups)
        return ProcessWorker(self._parcel, groups, self._board, size)

    def publish(self, message: Order | Evaluation) -> bytes:
        return encode(message, self._board)

    def close(self) -> None:
        self._board.close()


def reply_size(spec: EnvironmentSpec, groups: Sequence[Group]) -> int:
    """The greatest size in bytes of a block's observations, with those at ends of episodes."""
    space = spec.observation_space
    assert space.shape is not None and space.dtype is not None
    of_one = int(np.prod(space.shape)) * np.dtype(space.dtype).itemsize
    most = MOST_STEPS + 1  # with the observations after the last step
    return 2 * most * sum(group.size for group in groups) * of_one + _BESIDE_OBSERVATIONS
