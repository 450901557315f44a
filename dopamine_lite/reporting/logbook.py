"""The log files of a run: JSON lines and TensorBoard events, cut back exactly when it resumes.

    iterations.jsonl   a line for each iteration; equal in equal runs, except for "time"
    episodes.jsonl     a line for each whole episode; equal in equal runs
    events.out.tfevents.*   curves, histograms and hyperparameters; equal in equal runs, except for
                       wall times and speeds

JSON has no NaN and no infinity: both are written as null.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dopamine_lite.checkpointing.storage import make_directory, sync_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.files.plain_files import (
    check_directory,
    check_regular,
    open_to_append,
    open_to_read,
    separate,
)
from dopamine_lite.files.strict_json import expect, whole
from dopamine_lite.reporting.info_metrics import PREFIX
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord
from dopamine_lite.reporting.log_reader import EPISODES, ITERATIONS

if TYPE_CHECKING:
    from dopamine_lite.reporting.event_file import EventFile

_LINES = (ITERATIONS, EPISODES)
_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)")
_SECONDS_BETWEEN_FLUSHES = 5.0


class Logbook:
    """Appends to the logs in one directory. A file is created with its first entry.

    The state of a logbook is the size of each file on the disk, and the digest of each file of lines.
    Setting a state cuts the files back to these sizes, so that entries that a stopped run logged after
    that are not logged twice. The rest must match the digest.

    Entries are buffered. An entry some seconds later, `get_state` and `close` hand them to the operating
    system. After an OSError, such as a full disk, there is at worst an incomplete last line or event,
    which `set_state` cuts off.

    Args:
      directory: the directory of the logs.
      report: called with a sentence if a log or some events are missing.

    Raises:
      UserError: the directory is a link or a file.
    """

    def __init__(self, directory: Path, report: Callable[[str], None] = print):
        check_directory(directory)
        self._directory = Path(directory)
        self._report = report
        self._lines: dict[str, BinaryIO] = {}
        self._digests: dict[str, hashlib._Hash] = {}  # of the content of each file of lines
        self._events: EventFile | None = None
        self._hyperparameters: dict[str, bool | float | str] = {}
        self._newest_events = 0  # number of the newest event file so far
        self._flushed = time.monotonic()

    def iteration(self, record: Mapping[str, Any]) -> None:
        """Writes a line of iterations.jsonl. Values that differ between equal runs go below "time"."""
        self._append(ITERATIONS, record)
        self._flush()

    def episodes(
        self, iteration: int, phase: str, agent_steps: int, records: Iterable[EpisodeRecord]
    ) -> None:
        """Writes a line of episodes.jsonl for each of the episodes that ended at `agent_steps`."""
        for record in records:
            self._append(
                EPISODES,
                {
                    "iteration": iteration,
                    "phase": phase,
                    "agent_steps": agent_steps,
                    "stream": record.environment,  # the logs' name for it
                    "return": record.episode_return,
                    "length": record.length,
                    **{f"{PREFIX}{name}": value for name, value in record.infos.items()},
                },
            )
        self._flush_now_and_then()

    def scalars(self, agent_steps: int, values: Mapping[str, float]) -> None:
        """Adds a point to TensorBoard's curve of each tag."""
        if values:
            self._event_file().scalars(agent_steps, values)
        self._flush_now_and_then()

    def histograms(self, agent_steps: int, values: Mapping[str, np.ndarray]) -> None:
        """Adds a slice to TensorBoard's histogram of each tag; infinities and NaN are left out."""
        for tag, array in values.items():
            self._event_file().histogram(agent_steps, tag, array)
        self._flush_now_and_then()

    def hyperparameters(self, values: Mapping[str, bool | float | str]) -> None:
        """Writes `values` at the start of each new file of events, for TensorBoard's table of runs."""
        self._hyperparameters = dict(values)

    def end_session(self) -> None:
        """Marks the run as finished. Call it before the last `get_state`."""
        self._event_file().end_session()

    def get_state(self) -> State:
        """Returns the marks by which `set_state` recognizes each log, once all logs are on the disk.

        These are, by name, the size in bytes and, for files of lines, the SHA-256.
        """
        self._flush()
        for file in self._open_files():
            os.fsync(file.fileno())
        if self._directory.is_dir():
            sync_directory(self._directory)
        state: State = {}
        for path in self._logs():
            size = path.stat().st_size
            if path.name in _LINES:
                state[path.name] = {"size": size, "sha256": self._digest(path).hexdigest()}
            else:
                state[path.name] = size
        return state

    def set_state(self, state: State) -> None:
        """Cuts the logs back to `state`, and removes logs that are not in it.

        Raises:
          UserError: a file of lines is not the file that was saved, or something is not a file. Nothing
            has been changed in these cases.
        """
        self.close()
        self._digests.clear()
        logs = self._logs()
        sizes = {name: _size_and_digest(saved) for name, saved in state.items()}
        for path in logs:
            check_regular(path, os.lstat(path))
            if path.name in _LINES and path.name in sizes:
                self._digests[path.name] = _check_continued(path, *sizes[path.name])
        self._newest_events = max(map(_number, logs), default=0)
        for path in logs:
            if path.name in sizes:
                self._cut(path, sizes[path.name][0])
            else:
                path.unlink()
        for name in sorted(state.keys() - {path.name for path in logs}):
            self._report(
                f"{self._directory / name} is missing, so its entries are lost; the run itself is "
                "complete and goes on."
            )

    def close(self) -> None:
        """Writes the buffered entries. A further entry opens the files again."""
        files = list(self._open_files())
        self._lines.clear()
        self._events = None
        for file in files:
            file.close()

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if name not in self._lines:
            make_directory(self._directory)
            path = self._directory / name
            with contextlib.suppress(FileNotFoundError):
                separate(path)
            self._lines[name] = open_to_append(path)
            self._digest(path)
        line = json.dumps(_json(record), allow_nan=False).encode() + b"\n"
        self._lines[name].write(line)
        self._digests[name].update(line)

    def _digest(self, path: Path) -> hashlib._Hash:
        """The digest of a file of lines, computed from the file unless it is known."""
        if path.name not in self._digests:
            with open_to_read(path) as file:
                self._digests[path.name] = hashlib.file_digest(file, "sha256")
        return self._digests[path.name]

    def _event_file(self) -> EventFile:
        """The event file; a new one after a resume, because a file that shrank confuses TensorBoard."""
        if self._events is None:
            from dopamine_lite.reporting.event_file import (
                EventFile,
            )  # takes 0.25 s, for writing only

            make_directory(self._directory)
            # TensorBoard reads the files in the order of their names, and may still have a removed file
            # open. So the number, a time in seconds, never goes back and never repeats.
            self._newest_events = max(
                int(time.time()),
                self._newest_events + 1,
                *(_number(log) + 1 for log in self._logs()),
            )
            name = f"events.out.tfevents.{self._newest_events:010d}.dopamine_lite"
            self._events = EventFile(self._directory / name)
            if self._hyperparameters:
                self._events.hyperparameters(self._hyperparameters)
        return self._events

    def _open_files(self) -> Iterator[BinaryIO | EventFile]:
        yield from self._lines.values()
        if self._events is not None:
            yield self._events

    def _flush_now_and_then(self) -> None:
        if time.monotonic() - self._flushed > _SECONDS_BETWEEN_FLUSHES:
            self._flush()

    def _flush(self) -> None:
        for file in self._open_files():
            file.flush()
        self._flushed = time.monotonic()

    def _logs(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        return sorted(
            path
            for path in self._directory.iterdir()
            if path.name in _LINES or _EVENTS.match(path.name)
        )

    def _cut(self, path: Path, size: int) -> None:
        present = path.stat().st_size
        if present < size:  # events; missing lines were refused before
            self._report(
                f"{path} has {present:,} bytes instead of {size:,}, so its last entries are lost; "
                "the run itself is complete and goes on."
            )
        elif present > size:
            separate(path)
            with open_to_append(path) as file:
                file.truncate(size)


def _size_and_digest(saved: Any) -> tuple[int, str | None]:
    """Size and digest of a log in a checkpoint. For events, and from earlier versions, only the size."""
    try:
        if isinstance(saved, dict):
            return whole(saved.get("size")), expect(str, saved.get("sha256"))
        return whole(saved), None
    except ValueError as error:
        raise UserError(
            f"The checkpoint's record of a log is damaged ({error}): restore the checkpoint from a copy."
        ) from error


def _check_continued(path: Path, size: int, sha256: str | None) -> hashlib._Hash:
    """The digest of the first `size` bytes; raises UserError if they are not what was logged."""
    digest = hashlib.sha256()
    rest, lines, last = size, 0, b"\n"
    with open_to_read(path) as file:
        while rest and (block := file.read(min(rest, 1 << 20))):
            digest.update(block)
            lines += block.count(b"\n")
            rest -= len(block)
            last = block[-1:]
    if rest:
        where = f"in the middle of line {lines + 1:,}" if last != b"\n" else f"after line {lines:,}"
        problem = f"it ends {where}, with {size - rest:,} bytes instead of {size:,}"
    elif last != b"\n" or sha256 not in (None, digest.hexdigest()):
        problem = f"its first {lines:,} lines are not the lines that the run logged"
    else:
        return digest
    raise UserError(
        f"{path} is not the log that its checkpoint continues: {problem}. Put it back as it was, "
        "or move it away to go on without its entries."
    )


def _number(path: Path) -> int:
    """The number in an event file's name; 0 for the other logs."""
    match = _EVENTS.match(path.name)
    return int(match[1]) if match else 0


def _json(value: Any) -> Any:
    """`value` for JSON, with null for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
