"""Segments: slots of a ring in an immutable, compressed file, one block of slots each.

A file is one zstd frame. It holds the header's length (4 bytes, little-endian), the header (JSON: start
and stop of each environment; name, dtype and shape of every array), and the bytes of the arrays in that
order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from dopamine_lite.checkpointing.arrays import check_shape
from dopamine_lite.checkpointing.storage import (
    Damaged,
    FileRecord,
    durable_file,
    replace_file,
    verify,
)
from dopamine_lite.checkpointing.tree import plain_dtype, raw_bytes
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.types import RingSlots
from dopamine_lite.files import strict_json
from dopamine_lite.files.plain_files import NotRegular, open_to_read
from dopamine_lite.files.strict_json import expect, wholes

Block = dict[str, np.ndarray]
_COPY = ".copy"


@dataclass(frozen=True)
class Segment:
    """A segment file and the slots in it."""

    name: str
    size: int
    sha256: str
    start: list[int]  # [N]
    stop: list[int]  # [N]

    @property
    def record(self) -> FileRecord:
        return FileRecord(self.size, self.sha256)


@dataclass(frozen=True)
class SavedRing:
    """A ring in a checkpoint: the segments hold every slot from `first` to `stop`."""

    first: list[int]  # [N]
    stop: list[int]  # [N]
    segments: list[Segment]  # in the order of their slots; the first may begin before `first`

    def slots(self, directory: Path) -> RingSlots:
        """The saved slots, read from the segments in `directory` one block at a time.

        Its `blocks` raise UserError if a segment has been removed or changed meanwhile.
        """

        def blocks(after: np.ndarray) -> Iterator[Block]:
            wanted = np.maximum(after, self.first)
            for segment in self.segments:
                if (np.array(segment.stop) > wanted).any():
                    yield _from(wanted, _read_either(directory, segment))

        return RingSlots(np.array(self.first, np.int64), np.array(self.stop, np.int64), blocks)


def still_needed(saved: SavedRing, ring: RingSlots, directory: Path) -> list[Segment]:
    """The segments of the last checkpoint that `ring` can go on from, without a gap.

    It leaves out a segment whose slots have all been overwritten. The list ends before the first damaged
    file: the ring still has the slots from that file on, and writes them again.
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
    """The blocks of `ring` that follow the blocks in `segments`.

    Raises:
      ValueError: the ring at `path` does not yield every slot once and in order, so a checkpoint could
        not be restored.
    """
    reached = np.maximum(segments[-1].stop if segments else 0, ring.first)
    for block in ring.blocks(reached):
        slots = int((block["stop"] - block["start"]).sum())
        lengths = {len(array) for name, array in block.items() if name not in ("start", "stop")}
        if (block["start"] != reached).any() or lengths != {slots}:
            raise ValueError(
                f"{path}: the ring has no block that begins at {reached}, where the next one "
                "should."
            )
        yield block
        reached = block["stop"]
    if (reached != ring.stop).any():
        raise ValueError(f"{path}: the ring's blocks end at {reached} instead of {ring.stop}.")


def copy_of(path: Path) -> Path:
    """The path of the copy of the segment at `path`."""
    return path.with_name(path.name + _COPY)


def verify_segment(directory: Path, segment: Segment) -> str | None:
    """Raises Damaged unless the segment or its copy is as it was written.

    Returns:
      A description of the damage if only the copy is intact.
    """
    path = directory / segment.name
    try:
        verify(path, segment.record)
        return None
    except Damaged as damage:
        try:
            verify(copy_of(path), segment.record)
        except Damaged as also:
            raise Damaged(f"{damage}, and {also}") from damage
        return str(damage)


def mend_segment(directory: Path, segment: Segment) -> str | None:
    """Makes both a segment and its copy intact, given that one of them is.

    A missing copy is made, because runs of earlier versions have none.

    Returns:
      A description of the damage, if there was any.

    Raises:
      OSError: the file cannot be written.
    """
    path = directory / segment.name
    problem = verify_segment(directory, segment)
    if problem is not None:
        replace_file(path, _content(copy_of(path)))
        return problem
    copy = copy_of(path)
    there = os.path.lexists(copy)
    try:
        verify(copy, segment.record)
    except Damaged as damage:
        replace_file(copy, _content(path))
        return str(damage) if there else None
    return None


def write_segment(path: Path, block: Block) -> Segment:
    """Writes `block` durably to `path` and to its copy."""
    arrays = {name: array for name, array in block.items() if name not in ("start", "stop")}
    start, stop = block["start"].tolist(), block["stop"].tolist()
    described = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    header = json.dumps({"start": start, "stop": stop, "arrays": described}).encode()
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    with durable_file(path, copy_of(path)) as file:
        with compressor.stream_writer(file, closefd=False) as stream:  # type: ignore[arg-type]
            stream.write(len(header).to_bytes(4, "little") + header)
            for array in arrays.values():
                stream.write(raw_bytes(array))
        record = file.record()
    return Segment(path.name, record.size, record.sha256, start, stop)


def read_segment(path: Path, segment: Segment) -> Block:
    """Returns the block that `write_segment` was given when it returned `segment`.

    Raises:
      UserError: the file has changed, is not a segment, or would not fit into memory.
    """
    try:
        with open_to_read(path) as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            length = int.from_bytes(_read(stream, np.empty(4, np.uint8)), "little")
            strict_json.require_memory_to_parse(length, path)
            header = strict_json.parse(bytes(_read(stream, np.empty(length, np.uint8))))
            described = _described(header, segment)
            size = sum(check_shape(shape, dtype.itemsize) for dtype, shape in described.values())
            require_memory(size, f"reading {path}", "it is too large for this machine")
            block = {
                name: _read(stream, np.empty(shape, dtype))
                for name, (dtype, shape) in described.items()
            }
            if stream.read(1):  # only the checksum is left, which this read compares
                raise ValueError("it holds more than its header says")
    except (OSError, EOFError, zstandard.ZstdError, NotRegular) as error:
        raise UserError(
            f"{path} has been removed or changed while its checkpoint was being read ({error}): "
            "run the same command again."
        ) from error
    except (KeyError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not a segment of a replay memory ({error}): restore it from a copy."
        ) from error
    return block | {
        "start": np.array(segment.start, np.int64),
        "stop": np.array(segment.stop, np.int64),
    }


def _described(header: object, segment: Segment) -> dict[str, tuple[np.dtype, list[int]]]:
    """Dtype and shape of each array by its name; raises ValueError if they do not form a block."""
    content = expect(dict, header)
    if (content["start"], content["stop"]) != (segment.start, segment.stop):
        raise ValueError("its slots are not the slots that its checkpoint names")
    slots = sum(segment.stop) - sum(segment.start)
    described = {}
    for entry in expect(list, content["arrays"]):
        name, dtype, shape = expect(list, entry)
        described[expect(str, name)] = plain_dtype(dtype), wholes(shape)
    if any(shape[:1] != [slots] for _, shape in described.values()):
        raise ValueError("the length of an array is not its number of slots")
    if not described or not described.keys().isdisjoint(("start", "stop")):
        raise ValueError("its arrays are not a block's")
    return described


def _read_either(directory: Path, segment: Segment) -> Block:
    """The segment's block, read from its copy if the segment itself is damaged."""
    path = directory / segment.name
    try:
        return read_segment(path, segment)
    except UserError:
        if not copy_of(path).exists():
            raise
        return read_segment(copy_of(path), segment)


def _content(path: Path) -> bytes:
    with open_to_read(path) as file:
        return file.read()


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
    """The slots of `block` with the numbers `wanted` [N] or higher."""
    start = np.maximum(block["start"], wanted)
    if (start == block["start"]).all():
        return block
    stop = np.maximum(block["stop"], start)
    ends = np.cumsum(block["stop"] - block["start"])
    kept = stop - start
    trimmed = {
        name: np.concatenate(
            [array[end - count : end] for end, count in zip(ends, kept, strict=True)],
            dtype=array.dtype,  # otherwise it would have the machine's byte order
        )
        for name, array in block.items()
        if name not in ("start", "stop")
    }
    return trimmed | {"start": start, "stop": stop}
