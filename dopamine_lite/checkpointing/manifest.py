"""The manifest: a checkpoint's table of contents, which shows a restore that nothing is missing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dopamine_lite
from dopamine_lite.checkpointing.segments import SavedRing, Segment
from dopamine_lite.checkpointing.storage import (
    Damaged,
    FileRecord,
    durable_file,
    finding_damage,
)
from dopamine_lite.common.errors import UserError
from dopamine_lite.files import strict_json
from dopamine_lite.files.strict_json import expect, whole, wholes

SCHEMA = 1
_NAME = "manifest.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SEGMENT = re.compile(r"segment-\d{12,}-\d{6,}\.zst")


@dataclass(frozen=True)
class Manifest:
    """The files and rings of the checkpoint `number`."""

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
        """Reads the manifest that `write` wrote.

        Raises:
          Damaged: the manifest is missing or not as it was written.
          UserError: it is intact, but this version does not know its schema.
        """
        try:
            with finding_damage(_NAME):
                content = expect(dict, strict_json.read(directory / _NAME))
            intact = content.pop("sha256", None) == _digest(content)
        except (ValueError, RecursionError) as error:
            raise Damaged(f"{_NAME} is not a manifest") from error
        if not intact:
            raise Damaged(f"{_NAME} does not have the content that was written")
        try:
            schema, program = whole(content["schema"]), expect(str, content["written_by"])
            if schema == SCHEMA:
                return cls(whole(content["number"]), _files(content), _rings(content))
        except KeyError as error:
            raise Damaged(f"{_NAME} lacks {error}") from error
        except ValueError as error:
            raise Damaged(f"{_NAME} is not a manifest ({error})") from error
        raise UserError(
            f"{directory} was written by {program} (checkpoint schema {schema}), but {_program()} "
            f"reads schema {SCHEMA}: use the version that wrote it."
        )


def _files(content: dict[str, Any]) -> dict[str, FileRecord]:
    return {
        name: FileRecord(whole(expect(dict, record)["size"]), _sha256(record))
        for name, record in expect(dict, content["files"]).items()
    }


def _rings(content: dict[str, Any]) -> dict[str, SavedRing]:
    rings = {path: _ring(expect(dict, v)) for path, v in expect(dict, content["rings"]).items()}
    names = [segment.name for ring in rings.values() for segment in ring.segments]
    if len(set(names)) < len(names):
        raise ValueError("a segment is listed twice")
    return rings


def _ring(content: dict[str, Any]) -> SavedRing:
    """The ring, whose segments follow each other without a gap; raises ValueError if they do not."""
    segments = [_segment(expect(dict, segment)) for segment in expect(list, content["segments"])]
    first, stop = wholes(content["first"]), wholes(content["stop"])
    reached = [0] * len(first)
    for segment in segments:
        for old, least, new, end in zip(
            reached, first, segment.start, segment.stop, strict=True
        ):  # slots that were overwritten before they were saved are left out
            if not (old <= new <= max(old, least) and new <= end):
                raise ValueError(f"{segment.name} does not follow the previous segment")
        reached = segment.stop
    if [max(pair) for pair in zip(reached, first, strict=True)] != stop:
        raise ValueError("a ring's segments are not its slots")
    return SavedRing(first, stop, segments)


def _segment(content: dict[str, Any]) -> Segment:
    name = expect(str, content["name"])
    if not _SEGMENT.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is not a segment's name")
    start, stop = wholes(content["start"]), wholes(content["stop"])
    return Segment(name, whole(content["size"]), _sha256(content), start, stop)


def _sha256(record: dict[str, Any]) -> str:
    value: str = expect(str, record["sha256"])
    if not _SHA256.fullmatch(value):
        raise ValueError(f"{value[:70]!r} is not a digest")
    return value


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _program() -> str:
    return f"dopamine_lite {dopamine_lite.__version__}"
