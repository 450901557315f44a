"""One checkpoint: the files in its directory, written, verified and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dopamine_lite.checkpointing.arrays import read_arrays, write_arrays
from dopamine_lite.checkpointing.manifest import Manifest
from dopamine_lite.checkpointing.segments import SavedRing, verify_segment
from dopamine_lite.checkpointing.storage import (
    Damaged,
    durable_file,
    finding_damage,
    sync_directory,
    verify,
)
from dopamine_lite.checkpointing.tree import Parts, decode
from dopamine_lite.common.types import RingSlots, State
from dopamine_lite.files import strict_json

_TREE, _ARRAYS = "state.json", "state.npz"


def write_checkpoint(
    directory: Path, number: int, parts: Parts, rings: dict[str, SavedRing]
) -> None:
    """Creates `directory` and writes a checkpoint there, durably. Its segments must be durable."""
    directory.mkdir()
    files = {}
    with durable_file(directory / _TREE) as file:
        file.write(json.dumps(parts.tree).encode())
    files[_TREE] = file.record()
    with durable_file(directory / _ARRAYS) as file:
        write_arrays(file, parts.arrays)
    files[_ARRAYS] = file.record()
    Manifest(number, files, rings).write(directory)
    sync_directory(directory)


def verify_checkpoint(directory: Path, number: int, replay: Path | None) -> Manifest:
    """Returns the manifest of the checkpoint in `directory`, if every byte is as it was written.

    Of a segment and its copy, one intact file is enough.

    Args:
      directory: the directory of the checkpoint.
      number: the number that the checkpoint should have.
      replay: the directory of its segments; None: the segments are not examined.

    Raises:
      Damaged: a file is not as it was written; the message says which, and what is wrong with it.
      UserError: the checkpoint has another schema version, or would not fit into memory.
    """
    manifest = Manifest.read(directory)
    if manifest.number != number:
        raise Damaged(f"its manifest belongs to checkpoint {manifest.number}")
    for name in (_TREE, _ARRAYS):
        if name not in manifest.files:
            raise Damaged(f"its manifest does not list {name}")
        verify(directory / name, manifest.files[name])
    if replay is not None:
        for segment in manifest.segments():
            verify_segment(replay, segment)
    return manifest


def read_checkpoint(directory: Path, manifest: Manifest, replay: Path | None) -> State:
    """Returns the state in the verified `directory`.

    Its RingSlots read the segments in `replay` on demand; without `replay`, they are None.

    Raises:
      Damaged: the files match their digests, but do not hold the state of a run.
      UserError: the state would not fit into memory.
    """
    arrays = dict(enumerate(read_arrays(directory / _ARRAYS)))
    rings = dict(manifest.rings)

    def load_array(index: int) -> np.ndarray:
        return arrays.pop(strict_json.whole(index))

    def load_ring(path: str) -> RingSlots | None:
        ring = rings.pop(strict_json.expect(str, path))
        return None if replay is None else ring.slots(replay)

    try:
        with finding_damage(_TREE):
            tree = strict_json.expect(dict, strict_json.read(directory / _TREE))
        state: State = decode(tree, load_array, load_ring)
        if arrays or rings:
            raise ValueError("it leaves arrays or rings out")
    except KeyError as error:
        raise Damaged(f"{_TREE} names {error}, which is missing or named twice") from error
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{_TREE} is not the state of a run ({error})") from error
    return state
