"""Reads a run's log files, even while the run writes them: records of lines, points of curves."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.files.plain_files import open_to_read
from dopamine_lite.files.strict_json import expect, number, parse, seconds_by_name, whole
from dopamine_lite.reporting.info_metrics import PREFIX

ITERATIONS, EPISODES = "iterations.jsonl", "episodes.jsonl"
_LONGEST_LINE = 1 << 16  # bytes; an episode's line is shorter


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def read_iterations(
    base_dir: Path, report: Callable[[str], None] = _to_stderr
) -> list[dict[str, Any]]:
    """The records in a run's iterations.jsonl, oldest first.

    An incomplete last line, which is possible while a run writes, is left out and reported.

    Args:
      base_dir: the run's directory.
      report: called with a sentence about it.

    Raises:
      UserError: a Logbook does not write such a line, or the path does not lead to a regular file.
    """
    return _read(Path(base_dir) / "logs" / ITERATIONS, _check_iteration, report)


def read_episodes(
    base_dir: Path, report: Callable[[str], None] = _to_stderr
) -> list[dict[str, Any]]:
    """The records in a run's episodes.jsonl, read as in `read_iterations`."""
    return _read(Path(base_dir) / "logs" / EPISODES, _check_episode, report)


def newest_steps(base_dir: Path) -> int:
    """The agent steps of a run at the last whole line of its episodes.jsonl, read from its end.

    0 if there is no such line or it cannot be read; `read_episodes` reports what is wrong.
    """
    try:
        with open_to_read(Path(base_dir) / "logs" / EPISODES) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LONGEST_LINE))
            *_, last, _ = [b"", *file.read().split(b"\n")]
        record = parse(last)
        _check_episode(record)
    except (OSError, ValueError, UserError):
        return 0
    return whole(record["agent_steps"])


def read_points(base_dir: Path) -> dict[int, dict[str, float]]:
    """The points of a run's curves in TensorBoard: by agent step, their values by tag."""
    from dopamine_lite.reporting.event_file import read_scalars

    points: dict[int, dict[str, float]] = {}
    for path in sorted((Path(base_dir) / "logs").glob("events.out.tfevents.*")):
        for agent_steps, tag, value in read_scalars(path):
            points.setdefault(agent_steps, {})[tag] = value
    return dict(sorted(points.items()))


def _read(
    path: Path, check: Callable[[Any], None], report: Callable[[str], None]
) -> list[dict[str, Any]]:
    if path.parent.exists() and not path.parent.is_dir():
        raise UserError(f"{path.parent} is a file, but has to be a directory: move it away.")
    try:
        file = open_to_read(path)
    except FileNotFoundError:
        return []
    records = []
    with file:
        size = os.fstat(file.fileno()).st_size
        require_memory(size, f"reading {path}", "it is too large for this machine")
        for line_number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                report(
                    f"Line {line_number} of {path} is incomplete, because a run is still writing "
                    "it or the file has been cut off: it is left out."
                )
                break
            try:
                record = parse(line)
                check(record)
            except ValueError as error:
                raise UserError(
                    f"Line {line_number} of {path} is damaged ({error}): restore the file from a "
                    "copy, or remove the line to read the others."
                ) from error
            records.append(record)
    return records


def _check_iteration(record: Any) -> None:
    """Raises ValueError unless `record` is the record of an iteration."""
    _check_numbers(expect(dict, record), "train")
    if "eval" in record:
        _check_numbers(record, "eval")
    if "time" in record:
        times = dict(expect(dict, record["time"]))
        seconds_by_name(times.pop("parts", {}))  # earlier versions did not measure them
        _check_numbers({"time": times}, "time")
    for name in ("iteration", "agent_steps"):
        whole(_entry(record, name))
    if "stopped" in record:
        expect(str, record["stopped"])


def _check_episode(record: Any) -> None:
    """Raises ValueError unless `record` is the record of an episode."""
    expect(dict, record)
    for name in ("iteration", "agent_steps", "stream", "length"):
        whole(_entry(record, name))
    expect(str, _entry(record, "phase"))
    number(_entry(record, "return"))
    for name in record:
        if name.startswith(PREFIX):
            number(record[name])


def _check_numbers(record: dict[str, Any], name: str) -> None:
    for value in expect(dict, _entry(record, name)).values():
        number(value)


def _entry(record: dict[str, Any], name: str) -> Any:
    if name not in record:
        raise ValueError(f"it has no {json.dumps(name)}")
    return record[name]
