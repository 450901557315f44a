"""How far frames of Atari games shrink in memory, and what it takes to read a transition's five.

`python benchmarks/compression.py` plays each game, then compresses its frames in blocks of consecutive
frames of one game: first in blocks of several sizes by zstd at level 1, then in blocks of eight by other
codecs. Reading is timed at random places; times need a quiet machine.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import zstandard
from games import play
from rich.console import Console
from rich.table import Table

from dopamine_lite.replay.compressed_frames import BLOCK

GAMES = ("Pong", "Breakout", "Seaquest", "SpaceInvaders", "Qbert", "UpNDown", "YarsRevenge")
BLOCKS = (1, 2, 4, 8, 16, 32)
STACK = 5  # frames of a transition: those of s and the newest of s'
READS = 1_000
BESIDE = 57  # bytes that a block takes beside its content, as in CompressedFrames


class Codec(NamedTuple):
    name: str
    compress: Callable[[Any], bytes]
    decompress: Callable[[bytes], bytes]
    # Before compressing and after decompressing, blocks [K, 84, 84].
    arrange: Callable[[np.ndarray], np.ndarray] = np.asarray
    put_back: Callable[[np.ndarray], np.ndarray] = np.asarray


def zstd(level: int, name: str = "", **rest: Any) -> Codec:
    compress = zstandard.ZstdCompressor(level).compress
    return Codec(f"zstd {level}{name}", compress, zstandard.ZstdDecompressor().decompress, **rest)


def with_dictionary(frames: np.ndarray) -> Codec:
    """The first frames of a game as what all blocks may refer to."""
    content = zstandard.ZstdCompressionDict(
        frames[0, :BLOCK].tobytes(), dict_type=zstandard.DICT_TYPE_RAWCONTENT
    )
    content.precompute_compress(level=1)
    return Codec(
        "zstd 1, a dictionary",
        zstandard.ZstdCompressor(level=1, dict_data=content).compress,
        zstandard.ZstdDecompressor(dict_data=content).decompress,
    )


def others(frames: np.ndarray) -> list[Codec]:
    shape = (BLOCK, *frames.shape[2:])

    def less_the_one_before(block: np.ndarray) -> np.ndarray:
        changed = block.copy()
        changed[1:] ^= block[:-1]
        return changed

    def summed_up(changed: np.ndarray) -> np.ndarray:
        block = changed.copy()
        for place in range(1, BLOCK):
            block[place] ^= block[place - 1]
        return block

    def less_the_first(block: np.ndarray) -> np.ndarray:
        changed = block.copy()
        changed[1:] ^= block[:1]
        return changed

    return [
        *map(zstd, (-5, 1, 3, 9)),
        zstd(
            1,
            ", XOR the one before",
            arrange=less_the_one_before,
            put_back=summed_up,
        ),
        zstd(1, ", XOR the first", arrange=less_the_first, put_back=less_the_first),
        zstd(
            1,
            ", row by row",
            arrange=lambda block: np.ascontiguousarray(block.transpose(1, 0, 2)),
            put_back=lambda block: block.reshape(shape[1], BLOCK, shape[2]).transpose(1, 0, 2),
        ),
        zstd(
            1,
            ", pixel by pixel",
            arrange=lambda block: np.ascontiguousarray(block.transpose(1, 2, 0)),
            put_back=lambda block: block.reshape(*shape[1:], BLOCK).transpose(2, 0, 1),
        ),
        with_dictionary(frames),
        Codec("zlib 1", lambda block: zlib.compress(block, 1), zlib.decompress),
    ]


def measure(codec: Codec, frames: np.ndarray, size: int) -> tuple[float, float, float]:
    """Bytes of a frame, microseconds to compress one, and to read a transition's frames.

    Args:
      codec: how blocks are compressed.
      frames: [N, T, 84, 84].
      size: frames in a block.
    """
    shape = (size, *frames.shape[2:])
    blocks = frames[:, : frames.shape[1] // size * size].reshape(-1, *shape)
    start = time.perf_counter()
    compressed = [codec.compress(codec.arrange(block)) for block in blocks]
    seconds = time.perf_counter() - start
    generator, times = np.random.default_rng(0), []
    read = np.empty((STACK, *shape[1:]), np.uint8)
    for first in generator.integers(len(blocks) * size - STACK, size=READS).tolist():
        start = time.perf_counter()
        last = None
        for row, place in enumerate(range(first, first + STACK)):
            number, within = divmod(place, size)
            if number != last:
                content = np.ndarray(shape, np.uint8, codec.decompress(compressed[number]))
                block, last = codec.put_back(content), number
            read[row] = block[within]
        times.append(time.perf_counter() - start)
    taken = sum(map(len, compressed)) / len(compressed) + BESIDE
    return taken / size, seconds / blocks[..., 0, 0].size * 1e6, statistics.median(times) * 1e6


def frames_of(game: str, steps: int) -> np.ndarray:
    """The frames [N, T, 84, 84] of T steps."""
    played = itertools.islice(play(game), steps)
    newest = np.stack([step.observations[:, -1] for step in played])
    return np.ascontiguousarray(newest.swapaxes(0, 1))


def show(title: str, rows: Sequence[tuple[str, str, tuple[float, float, float]]]) -> None:
    table = Table("game", title, "bytes a frame", "GB a million", "compress", "read five")
    for game, name, (taken, compress, read) in rows:
        table.add_row(
            game, name, f"{taken:.0f}", f"{taken / 1e3:.3f}", f"{compress:.1f} us", f"{read:.1f} us"
        )
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", nargs="+", default=list(GAMES))
    parser.add_argument("--steps", type=int, default=2_000, help="of each of eight games")
    arguments = parser.parse_args()
    by_size, by_codec = [], []
    for game in arguments.games:
        frames = frames_of(game, arguments.steps)
        by_size += [(game, str(size), measure(zstd(1), frames, size)) for size in BLOCKS]
        by_codec += [(game, codec.name, measure(codec, frames, BLOCK)) for codec in others(frames)]
    show("frames in a block", by_size)
    show("codec", by_codec)


if __name__ == "__main__":
    main()
