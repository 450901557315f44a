"""The steps in the files that Weights & Biases writes beside a run.

`run-ID.wandb` is a log in LevelDB's format: a header of 7 bytes, then blocks of 32 KiB that hold records
cut into fragments. Each record is a `Record` of W&B's protocol. A record with a point of the history has
an item called "_step". https://github.com/google/leveldb/blob/main/doc/log_format.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dopamine_lite.files.plain_files import open_to_read
from dopamine_lite.files.strict_json import parse

_HEADER, _BLOCK = 7, 32_768
_FRAGMENT = struct.Struct("<IHB")  # checksum, length, kind
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_STEP = "_step"


def last_step(directory: Path, run_id: str) -> int:
    """The greatest step in the histories that earlier starts of a run left; -1 if there are none."""
    files = directory.glob(f"*run-*-{run_id}/run-{run_id}.wandb")
    return max((int(point[_STEP]) for file in files for point in history(file)), default=-1)


def history(path: Path) -> Iterator[dict[str, Any]]:
    """The points in a file, oldest first; if a kill has cut it off, the points before the cut."""
    from wandb.proto.wandb_internal_pb2 import Record

    with open_to_read(path) as file:
        content = file.read()
    for data in _records(content):
        record = Record.FromString(data)
        if record.WhichOneof("record_type") == "history":
            yield {
                item.key or "/".join(item.nested_key): parse(item.value_json)
                for item in record.history.item
            }


def _records(content: bytes) -> Iterator[bytes]:
    place, parts = _HEADER, b""
    while place + _FRAGMENT.size <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _FRAGMENT.size:  # the end of a block is filled with zeros
            place += left
            continue
        _, length, kind = _FRAGMENT.unpack_from(content, place)
        place += _FRAGMENT.size
        fragment = content[place : place + length]
        if len(fragment) < length or kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
            return
        place += length
        parts = fragment if kind in (_FULL, _FIRST) else parts + fragment
        if kind in (_FULL, _LAST):
            yield parts
