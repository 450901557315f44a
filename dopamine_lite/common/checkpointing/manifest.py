"""The manifest: a checkpoint's table of contents, by which a restore knows that all is there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dopamine_lite
from dopamine_lite.common.checkpointing.segments import SavedRing, Segment
from dopamine_lite.common.checkpointing.storage import (
    Damaged,
    FileRecord,
    durable_file,
    finding_damage,
)
from dopamine_lite.common.errors import UserError

SCHEMA = 1
_NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What belongs to the checkpoint `number`."""

    number: int
    files: dict[str, FileRecord]  # by name, in the checkpoint's directory
    rings: dict[str, SavedRing]  # by path in the state tree

    def segments(self) -> list[Segment]:
        """The segments of all rings."""
        return [segment for ring in self.rings.values() for segment in ring.segments]

    def write(self, directory: Path) -> None:
        """Writes manifest.json durably, with a digest of its own content."""
        content = {"schema": SCHEMA, "written_by": _program(), **asdict(self)}
        content["sha256"] = _digest(content)
        with durable_file(directory / _NAME) as file:
            file.write(json.dumps(content).encode())

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Reads what `write` wrote.

        Raises:
          Damaged: the manifest is missing or not as it was written.
          UserError: it is intact, but of a schema that this version does not know.
        """
        with finding_damage(_NAME):
            text = (directory / _NAME).read_bytes()
        try:
            content = json.loads(text)
            intact = content.pop("sha256") == _digest(content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"{_NAME} is not a manifest") from error
        if not intact:
            raise Damaged(f"{_NAME} does not have the content that was written")
        if content["schema"] != SCHEMA:
            raise UserError(
                f"{directory} was written by {content['written_by']} (checkpoint schema "
                f"{content['schema']}), and {_program()} reads schema {SCHEMA}: use the version "
                "that wrote it."
            )
        files = {name: FileRecord(**record) for name, record in content["files"].items()}
        return cls(content["number"], files, {k: _ring(v) for k, v in content["rings"].items()})


def _ring(content: dict[str, Any]) -> SavedRing:
    segments = [Segment(**segment) for segment in content["segments"]]
    return SavedRing(content["first"], content["stop"], segments)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _program() -> str:
    return f"dopamine_lite {dopamine_lite.__version__}"
