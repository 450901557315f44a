"""Segments: slots of a ring in an immutable, compressed file, one block of slots each.

A file is one zstd frame over: the header's length (4 bytes, little-endian), the header (JSON: start
and stop per column, name, dtype and shape of every array), the arrays' bytes in that order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from dopamine_lite.common.checkpointing.storage import Damaged, FileRecord, durable_file, verify
from dopamine_lite.common.checkpointing.tree import raw_bytes
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.replay.ring import RingSlots

Block = dict[str, np.ndarray]


@dataclass(frozen=True)
class Segment:
    """A segment file and the slots in it."""

    name: str
    size: int
    sha256: str
    start: list[int]  # [columns]
    stop: list[int]  # [columns]

    @property
    def record(self) -> FileRecord:
        return FileRecord(self.size, self.sha256)


@dataclass(frozen=True)
class SavedRing:
    """A ring as a checkpoint has it: the segments hold every slot from `first` to `stop`."""

    first: list[int]  # [columns]
    stop: list[int]  # [columns]
    segments: list[Segment]  # in the order of their slots; the first may begin before `first`

    def slots(self, directory: Path) -> RingSlots:
        """The saved slots, read from the segments in `directory` one block at a time.

        Its `blocks` raise UserError where a segment has been removed or changed meanwhile.
        """

        def blocks(after: np.ndarray) -> Iterator[Block]:
            wanted = np.maximum(after, self.first)
            for segment in self.segments:
                if (np.array(segment.stop) > wanted).any():
                    yield _from(wanted, read_segment(directory / segment.name))

        return RingSlots(np.array(self.first, np.int64), np.array(self.stop, np.int64), blocks)


def still_needed(saved: SavedRing, ring: RingSlots, directory: Path) -> list[Segment]:
    """The segments of the last checkpoint that `ring` can go on from, without a gap.

    A segment whose slots have all been overwritten is left out. Where a file is not there as it was
    written, the list ends: the ring still has its slots, and writes them anew.
    """
    if len(saved.first) != ring.first.size:
        return []
    if (ring.first < saved.first).any() or (ring.stop < saved.stop).any():
        return []  # not the ring that was saved
    segments = []
    for segment in saved.segments:
        if (np.array(segment.stop) > ring.first).any():
            try:
                verify(directory / segment.name, segment.record)
            except (Damaged, OSError):
                break
            segments.append(segment)
    return segments


def new_blocks(ring: RingSlots, segments: list[Segment], path: str) -> Iterator[Block]:
    """The blocks of `ring` that follow after those in `segments`.

    Raises:
      ValueError: the ring at `path` does not show every slot once and in order, so that what is
        saved could not be put back.
    """
    reached = np.maximum(segments[-1].stop if segments else 0, ring.first)
    for block in ring.blocks(reached):
        slots = int((block["stop"] - block["start"]).sum())
        lengths = {len(array) for name, array in block.items() if name not in ("start", "stop")}
        if (block["start"] != reached).any() or lengths != {slots}:
            raise ValueError(
                f"{path}: a block of the ring is not the one that begins at {reached}."
            )
        yield block
        reached = block["stop"]
    if (reached != ring.stop).any():
        raise ValueError(f"{path}: the ring's blocks end at {reached} instead of {ring.stop}.")


def write_segment(path: Path, block: Block) -> Segment:
    """Writes `block` durably to `path`."""
    arrays = {name: array for name, array in block.items() if name not in ("start", "stop")}
    start, stop = block["start"].tolist(), block["stop"].tolist()
    described = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    header = json.dumps({"start": start, "stop": stop, "arrays": described}).encode()
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    with durable_file(path) as file:
        with compressor.stream_writer(file, closefd=False) as stream:  # type: ignore[arg-type]
            stream.write(len(header).to_bytes(4, "little") + header)
            for array in arrays.values():
                stream.write(raw_bytes(array))
        record = file.record()
    return Segment(path.name, record.size, record.sha256, start, stop)


def read_segment(path: Path) -> Block:
    """Returns the block that `write_segment` was given."""
    try:
        with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            length = int.from_bytes(_read(stream, np.empty(4, np.uint8)), "little")
            header = json.loads(bytes(_read(stream, np.empty(length, np.uint8))))
            block = {
                name: _read(stream, np.empty(shape, dtype))
                for name, dtype, shape in header["arrays"]
            }
            stream.read(1)  # nothing is left but the checksum, which is compared now
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise UserError(
            f"{path} has been removed or changed while its checkpoint was being read ({error}): "
            "run the same command again."
        ) from error
    return block | {name: np.array(header[name], np.int64) for name in ("start", "stop")}


def _read(stream: zstandard.ZstdDecompressionReader, array: np.ndarray) -> np.ndarray:
    """Fills `array` from the stream."""
    rest = raw_bytes(array)
    while len(rest):
        count = stream.readinto(rest)
        if not count:
            raise EOFError("it ends too early")
        rest = rest[count:]
    return array


def _from(wanted: np.ndarray, block: Block) -> Block:
    """The slots of `block` that are numbered `wanted` [columns] or higher."""
    start = np.maximum(block["start"], wanted)
    if (start == block["start"]).all():
        return block
    stop = np.maximum(block["stop"], start)
    ends = np.cumsum(block["stop"] - block["start"])
    kept = stop - start
    trimmed = {
        name: np.concatenate(
            [array[end - count : end] for end, count in zip(ends, kept, strict=True)]
        )
        for name, array in block.items()
        if name not in ("start", "stop")
    }
    return trimmed | {"start": start, "stop": stop}
