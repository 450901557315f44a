"""The log files of a run: JSON lines and TensorBoard events, cut back exactly when it resumes.

    iterations.jsonl   a line an iteration; equal in equal runs, except for "time"
    episodes.jsonl     a line a whole episode; equal in equal runs
    events.out.tfevents.*   curves and histograms; equal in equal runs, except for wall times

JSON has no NaN and no infinity: both are written as null.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dopamine_lite.common.checkpointing.storage import make_directory, sync_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.iteration_statistics import EpisodeRecord
from dopamine_lite.common.types import State

if TYPE_CHECKING:
    from dopamine_lite.common.metrics.event_file import EventFile

_ITERATIONS, _EPISODES = "iterations.jsonl", "episodes.jsonl"
_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)")
_SECONDS_BETWEEN_FLUSHES = 5.0


class Logbook:
    """Appends to the logs in one directory; makes none of them before its first entry.

    Its state is the size of each file, on the disk. Taking a state back cuts the files to these
    sizes, so that whatever a stopped run had logged since then is logged once, not twice.

    Entries are buffered, and handed to the system some seconds later with a further entry, by
    `get_state` and by `close`. An OSError (the disk is full) leaves at worst a part of a last line
    or event, which `set_state` cuts off.

    Args:
      directory: of the logs.
      report: called with a sentence where a log is not what the state says it was.
    """

    def __init__(self, directory: Path, report: Callable[[str], None] = print):
        self._directory = Path(directory)
        self._report = report
        self._lines: dict[str, BinaryIO] = {}
        self._events: EventFile | None = None
        self._newest_events = 0  # number of the newest event file there has been
        self._flushed = time.monotonic()

    def iteration(self, record: Mapping[str, Any]) -> None:
        """Writes a line of iterations.jsonl; what differs between equal runs goes below "time"."""
        self._append(_ITERATIONS, record)
        self._flush()

    def episodes(
        self, iteration: int, phase: str, agent_steps: int, records: Iterable[EpisodeRecord]
    ) -> None:
        """Writes a line of episodes.jsonl for each of the episodes that ended at `agent_steps`."""
        for record in records:
            self._append(
                _EPISODES,
                {
                    "iteration": iteration,
                    "phase": phase,
                    "agent_steps": agent_steps,
                    "stream": record.stream,
                    "return": record.episode_return,
                    "length": record.length,
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

    def get_state(self) -> State:
        """Returns the size in bytes of each log by its name, once all of them are on the disk."""
        self._flush()
        for file in self._open_files():
            os.fsync(file.fileno())
        if self._directory.is_dir():
            sync_directory(self._directory)
        return {path.name: path.stat().st_size for path in self._logs()}

    def set_state(self, state: State) -> None:
        """Cuts the logs back to `state` and removes those that it does not know."""
        self.close()
        logs = self._logs()
        self._newest_events = max(map(_number, logs), default=0)
        for path in logs:
            if path.name in state:
                self._cut(path, state[path.name])
            else:
                path.unlink()
        for name in sorted(state.keys() - {path.name for path in logs}):
            self._report(
                f"{self._directory / name} is missing: what was logged there is lost; "
                "the run itself is whole and goes on."
            )

    def close(self) -> None:
        """Writes what is buffered; a further entry opens the files again."""
        files = list(self._open_files())
        self._lines.clear()
        self._events = None
        for file in files:
            file.close()

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if name not in self._lines:
            make_directory(self._directory)
            self._lines[name] = open(self._directory / name, "ab")  # noqa: SIM115 (stays open)
        line = json.dumps(_json(record), allow_nan=False)
        self._lines[name].write(line.encode() + b"\n")

    def _event_file(self) -> EventFile:
        """The event file; a new one after a resume, as a file that shrank confuses TensorBoard."""
        if self._events is None:
            from dopamine_lite.common.metrics.event_file import EventFile  # 0.25 s; not to read

            make_directory(self._directory)
            # TensorBoard reads the files in the order of their names, and may still have one open
            # that was removed: the number, a time in seconds, never goes back and never repeats.
            self._newest_events = max(
                int(time.time()),
                self._newest_events + 1,
                *(_number(log) + 1 for log in self._logs()),
            )
            name = f"events.out.tfevents.{self._newest_events:010d}.dopamine_lite"
            self._events = EventFile(self._directory / name)
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
            if path.name in (_ITERATIONS, _EPISODES) or _EVENTS.match(path.name)
        )

    def _cut(self, path: Path, size: int) -> None:
        present = path.stat().st_size
        if present < size:
            self._report(
                f"{path} has {present:,} bytes instead of {size:,}: the rest of what was logged "
                "there is lost; the run itself is whole and goes on."
            )
            size = present
            if path.name in (_ITERATIONS, _EPISODES):  # else the next line would join half a line
                size = path.read_bytes().rfind(b"\n") + 1
        os.truncate(path, size)


def read_iterations(base_dir: Path) -> list[dict[str, Any]]:
    """The records in a run's iterations.jsonl, oldest first, without a line half written.

    Raises:
      UserError: a line is not JSON.
    """
    return _read(Path(base_dir) / "logs" / _ITERATIONS)


def read_episodes(base_dir: Path) -> list[dict[str, Any]]:
    """The same of episodes.jsonl."""
    return _read(Path(base_dir) / "logs" / _EPISODES)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if line.endswith(b"\n"):
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise UserError(
                    f"Line {number} of {path} is damaged ({error}): remove it to read the others."
                ) from error
    return records


def _number(path: Path) -> int:
    """The number in an event file's name; 0 for the other logs."""
    match = _EVENTS.match(path.name)
    return int(match[1]) if match else 0


def _json(value: Any) -> Any:
    """`value` in the numbers that JSON has; null for the others."""
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
