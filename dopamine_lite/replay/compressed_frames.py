"""The frames of a ring, compressed in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import zstandard

from dopamine_lite.common.memory import require_memory

BLOCK = 8  # frames; for the reason see docs/explanation/decisions/0006-eight-frames-are-a-block.md
_LEVEL = 1  # of zstd; higher levels hardly shrink frames further
_EXPECTED_SHARE = 0.1  # to which frames shrink; 0.01 to 0.08 in most Atari games
_ASKED_EVERY = 64 << 20  # bytes of frames between two checks of the free memory
_BESIDE_BYTES = sys.getsizeof(b"") + 16  # overhead of a block: its object, a pointer, the allocator


class CompressedFrames:
    """Stands in for an array [capacity, ...] of frames that a ring indexes by positions.

    A block is 8 consecutive frames of one environment, compressed by zstd. In each environment, only the
    block last written to is open: its frames stay in an array until another block is written to. Reading
    decompresses each block once, and keeps nothing. zstd stores frames that do not shrink, such as
    noise, without compression.

    Args:
      length: the number of frames held for each environment.
      num_envs: N, the number of environments. Frame t of environment e is at position t * N + e.
      shape: the shape of a frame.
      dtype: the dtype of a frame.
      owner: the replay's name, for messages.
    """

    def __init__(
        self, length: int, num_envs: int, shape: tuple[int, ...], dtype: np.dtype, owner: str
    ):
        self._num_envs = num_envs
        self._owner = owner
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()
        self._open = np.zeros((num_envs, BLOCK, *shape), dtype)  # each environment's open block
        self._opened: list[int | None] = [None] * num_envs  # its number
        # By block number: block b of environment e has b * N + e. At first, all are the same zeros.
        self._empty = self._compressed(self._open[0])
        self._blocks = [self._empty] * _num_blocks(length, num_envs)
        self._filled = 0  # blocks that are not empty
        self._stored = 0  # their bytes
        self._until_asked = _ASKED_EVERY

    def __getitem__(self, at: np.ndarray) -> np.ndarray:
        """The frames at the positions `at`, copied."""
        frames = np.empty((at.size, *self._open.shape[2:]), self._open.dtype)
        last = None
        for row, number, place in self._by_block(at):
            if number != last:
                block, last = self._block(number), number
            frames[row] = block[place]
        return frames.reshape(*at.shape, *frames.shape[1:])

    def __setitem__(self, at: np.ndarray, frames: np.ndarray) -> None:
        """Puts frames at the positions `at`, each of which is given once."""
        frames = frames.reshape(at.size, *self._open.shape[2:])
        for row, number, place in self._by_block(at):
            environment = number % self._num_envs
            if self._opened[environment] != number:
                self._close(environment)
                self._open[environment] = self._block(number)
                self._opened[environment] = number
            self._open[environment, place] = frames[row]

    @property
    def nbytes(self) -> int:
        """The bytes that the frames take, counting open blocks as compressed.

        The number therefore depends only on the frames, and a resumed run logs the same number.
        """
        for environment in range(self._num_envs):
            self._close(environment)
        return self._stored + self._open.nbytes

    def _by_block(self, at: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """The rows of the positions `at`, block by block: row, number of its block, place in it."""
        times, environments = np.divmod(at.ravel(), self._num_envs)
        blocks, places = np.divmod(times, BLOCK)
        numbers = blocks * self._num_envs + environments
        order = np.argsort(numbers, kind="stable")
        return zip(order.tolist(), numbers[order].tolist(), places[order].tolist(), strict=True)

    def _block(self, number: int) -> np.ndarray:
        """The frames [8, ...] of a block. Do not write to them."""
        environment = number % self._num_envs
        if self._opened[environment] == number:
            return self._open[environment]
        content = self._decompressor.decompress(self._blocks[number])
        return np.ndarray(self._open.shape[1:], self._open.dtype, content)

    def _compressed(self, block: np.ndarray) -> bytes:
        # A copy, because the compressor's own bytes keep memory for uncompressed frames.
        return bytes(memoryview(self._compressor.compress(block.data)))

    def _close(self, environment: int) -> None:
        """Compresses the open block of an environment, if there is one."""
        number = self._opened[environment]
        if number is None:
            return
        before, block = self._blocks[number], self._open[environment]
        self._blocks[number] = self._compressed(block)
        self._opened[environment] = None
        self._stored += len(self._blocks[number]) + _BESIDE_BYTES
        if before is self._empty:
            self._filled += 1
        else:
            self._stored -= len(before) + _BESIDE_BYTES
        self._until_asked -= block.nbytes
        if self._until_asked <= 0:
            self._until_asked = _ASKED_EVERY
            self._require_room()

    def _require_room(self) -> None:
        """Raises UserError if memory is too short for the remaining frames, judging by those so far.

        Until the next check, frames might not shrink at all.
        """
        of_block = self._stored / self._filled
        share = of_block / self._open[0].nbytes
        require_memory(
            round(of_block * (len(self._blocks) - self._filled)) + _ASKED_EVERY,
            f"The rest of the replay buffer, whose frames take {share:.0%} of their plain size,",
            f"begin a run with a lower {self._owner}.replay_capacity",
        )


def expected_bytes(length: int, num_envs: int, shape: tuple[int, ...], dtype: np.dtype) -> int:
    """The bytes that `CompressedFrames` are expected to take once the ring is full.

    How far frames shrink is known only later. The estimate assumes that floating-point numbers do not
    shrink, and that other numbers shrink to a tenth, except for the first 64 MiB.
    """
    frame_bytes = int(np.prod(shape)) * dtype.itemsize
    frames = length * num_envs * frame_bytes
    share = 1.0 if dtype.kind == "f" else _EXPECTED_SHARE
    shrunk = min(frames, max(round(frames * share), _ASKED_EVERY))
    return shrunk + _num_blocks(length, num_envs) * _BESIDE_BYTES + num_envs * BLOCK * frame_bytes


def _num_blocks(length: int, num_envs: int) -> int:
    return -(-length // BLOCK) * num_envs
