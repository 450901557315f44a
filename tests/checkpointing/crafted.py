"""Checkpoints that nobody saved: files rewritten, with digests that are right again."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from dopamine_lite.checkpointing import Checkpointer
from dopamine_lite.common.types import RingSlots

NUMBER = 7
CHECKPOINT = f"checkpoint-{NUMBER:012d}"


def slots() -> RingSlots:
    """Those of two environments, saved in blocks of three slots each."""
    first, stop = np.array([0, 2]), np.array([6, 5])

    def blocks(after: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        start = np.maximum(after, first)
        while (start < stop).any():
            end = np.minimum(start + 3, stop)
            count = int((end - start).sum())
            yield {
                **{"start": start, "stop": end, "rewards": np.arange(count, dtype=np.float32)},
                "frames": np.full((count, 4), 9, np.uint8),
            }
            start = end

    return RingSlots(first, stop, blocks)


def state() -> dict[str, Any]:
    """Something of every kind that a checkpoint holds."""
    return {
        "steps": 7,
        "agent": {"weights": np.ones((3, 4), np.float32), "names": np.array(["a", "bc"])},
        "moments": [np.float32(0.5), (1, 2.5, True), None, float("nan"), -(2**70)],
        "$odd": {"fortran": np.asfortranarray(np.ones((2, 3))), "empty": np.zeros((0, 5))},
        "replay": {"slots": slots(), "text": "é"},
    }


def save(directory: Path) -> Path:
    """Saves `state()`; returns the checkpoint's directory."""
    checkpointer = Checkpointer(directory)
    path = checkpointer.save(NUMBER, state())
    checkpointer.close()
    return path


def rewrite(path: Path, content: bytes) -> None:
    """Gives state.json or state.npz this content, and the manifest its digest."""
    path.write_bytes(content)

    def sign(manifest: dict) -> None:
        record = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest["files"][path.name] = record

    change_manifest(path.parent, sign)


def change_manifest(checkpoint: Path, change: Callable[[Any], Any]) -> None:
    """Lets `change` work on the manifest (or return another) and puts its digest right."""
    manifest = json.loads((checkpoint / "manifest.json").read_bytes())
    del manifest["sha256"]
    changed = change(manifest)
    manifest = manifest if changed is None else changed
    if isinstance(manifest, dict):
        content = json.dumps(manifest, sort_keys=True).encode()
        manifest["sha256"] = hashlib.sha256(content).hexdigest()
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def change_state(checkpoint: Path, change: Callable[[Any], Any]) -> None:
    """The same of state.json."""
    tree = json.loads((checkpoint / "state.json").read_bytes())
    changed = change(tree)
    rewrite(checkpoint / "state.json", json.dumps(tree if changed is None else changed).encode())


def arrays_of(checkpoint: Path) -> dict[str, bytes]:
    """The members of state.npz by name."""
    with zipfile.ZipFile(checkpoint / "state.npz") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def change_arrays(
    checkpoint: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED
) -> None:
    """Gives state.npz these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    rewrite(checkpoint / "state.npz", buffer.getvalue())


def npy(header: str, data: bytes = b"") -> bytes:
    """An .npy file whose header is this text."""
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def change_segment(checkpoint: Path, change: Callable[[Any, bytes], tuple[Any, bytes]]) -> None:
    """Lets `change` return another header (JSON or bytes) and data for the first segment."""
    replay = checkpoint.parent / "replay"

    def sign(manifest: dict) -> None:
        segment = manifest["rings"]["state['replay']['slots']"]["segments"][0]
        content = zstandard.ZstdDecompressor().stream_reader(
            (replay / segment["name"]).read_bytes()
        )
        whole = content.read()
        length = int.from_bytes(whole[:4], "little")
        header, data = change(json.loads(whole[4 : 4 + length]), whole[4 + length :])
        if not isinstance(header, bytes):
            header = json.dumps(header).encode()
            header = len(header).to_bytes(4, "little") + header
        compressed = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(header + data)
        segment |= {"size": len(compressed), "sha256": hashlib.sha256(compressed).hexdigest()}
        for name in (segment["name"], f"{segment['name']}.copy"):
            (replay / name).write_bytes(compressed)

    change_manifest(checkpoint, sign)


def load(directory: Path) -> dict[str, Any]:
    """Loads the state there with all blocks of its ring."""
    loaded = Checkpointer(directory, report=lambda _: None).load(rings=True).state
    read_rings(loaded)
    return loaded


def read_rings(value: Any) -> None:
    if isinstance(value, RingSlots):
        for _ in value.blocks(value.first):
            pass
    elif isinstance(value, dict | list | tuple):
        for child in value.values() if isinstance(value, dict) else value:
            read_rings(child)
