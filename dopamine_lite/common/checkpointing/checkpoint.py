"""One checkpoint: the files in its directory, written, verified and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dopamine_lite.common.checkpointing.manifest import Manifest
from dopamine_lite.common.checkpointing.segments import SavedRing
from dopamine_lite.common.checkpointing.storage import (
    Damaged,
    durable_file,
    sync_directory,
    verify,
)
from dopamine_lite.common.checkpointing.tree import Parts, decode
from dopamine_lite.common.replay.ring import RingSlots
from dopamine_lite.common.types import State

_TREE, _ARRAYS = "state.json", "state.npz"


def write_checkpoint(
    directory: Path, number: int, parts: Parts, rings: dict[str, SavedRing]
) -> None:
    """Writes a checkpoint durably to `directory`, which it creates; its segments must be durable."""
    directory.mkdir()
    files = {}
    with durable_file(directory / _TREE) as file:
        file.write(json.dumps(parts.tree).encode())
    files[_TREE] = file.record()
    with durable_file(directory / _ARRAYS) as file:
        named = {str(index): array for index, array in enumerate(parts.arrays)}
        np.savez(file, allow_pickle=False, **named)
    files[_ARRAYS] = file.record()
    Manifest(number, files, rings).write(directory)
    sync_directory(directory)


def verify_checkpoint(directory: Path, number: int, replay: Path | None) -> Manifest:
    """Returns the manifest of the checkpoint in `directory`, every byte of which is as written.

    Args:
      directory: of the checkpoint.
      number: it should have.
      replay: directory of its segments; None: these are not examined.

    Raises:
      Damaged: it is not; says which file is wrong, and how.
      UserError: the checkpoint is of another schema version.
    """
    manifest = Manifest.read(directory)
    if manifest.number != number:
        raise Damaged(f"its manifest is that of checkpoint {manifest.number}")
    for name, record in manifest.files.items():
        verify(directory / name, record)
    if replay is not None:
        for segment in manifest.segments():
            verify(replay / segment.name, segment.record)
    return manifest


def read_checkpoint(directory: Path, manifest: Manifest, replay: Path | None) -> State:
    """Returns the state in `directory`, which has been verified.

    Its RingSlots are read from the segments in `replay` when asked to, or are None without it.
    """
    tree = json.loads((directory / _TREE).read_bytes())

    def load_ring(path: str) -> RingSlots | None:
        return None if replay is None else manifest.rings[path].slots(replay)

    with np.load(directory / _ARRAYS, allow_pickle=False) as arrays:
        state: State = decode(tree, lambda index: arrays[str(index)], load_ring)
    return state
