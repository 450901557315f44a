"""`dopamine-lite inspect`: a run's settings, its progress, and whether it is intact.

The exit status is 3 if the newest checkpoint is damaged, so that scripts notice it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.cli.tables import print_table
from dopamine_lite.common.printable import printable
from dopamine_lite.runner.directory import CONFIG, progress

if TYPE_CHECKING:
    from dopamine_lite.checkpointing import Checkpointer

SUMMARY = (
    "Shows a run's settings, progress, checkpoints and provenance. The exit status is 3 if its newest "
    "checkpoint is damaged."
)
EXAMPLE = "dopamine-lite inspect --base_dir runs/cartpole"
_DAMAGED = 3  # the exit status
_UNITS = ("B", "kB", "MB", "GB", "TB")


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    flags.DEFINE_boolean("json", False, "Print everything as JSON.", flag_values=flag_values)


def run(flag_values: flags.FlagValues) -> int:
    report = inspect(run_directory.existing_run(flag_values))
    status = _DAMAGED if report["checkpoints"]["state"].startswith("damaged") else 0
    if flag_values.json:
        print(json.dumps(report, indent=1))
        return status
    report["disk_use"] = {name: _readable(size) for name, size in report["disk_use"].items()}
    report["provenance"] = _with_resumes_in_words(report["provenance"])
    times, last = report["time"], dict(report["last_iteration"])
    last["time"] = {name: value for name, value in last.get("time", {}).items() if name != "parts"}
    report["last_iteration"] = last
    for section, content in report.items():
        if section == "time":
            _print_times(times)
            continue
        rows = _rows(content)
        if rows:
            print_table(section.replace("_", " ").capitalize(), rows)
    return status


def inspect(directory: Path) -> dict[str, dict[str, Any]]:
    """The contents of the files of the run in `directory`, by section. Imports no TensorFlow."""
    from dopamine_lite import configuration
    from dopamine_lite.reporting import provenance

    text = configuration.config_text(directory / CONFIG)
    configuration.translated(text, str(directory / CONFIG))  # refuses what no start would read
    config = configuration.statements(text)
    known = provenance.read(directory) or {}
    agent = known.pop("agent", {})
    checkpoints = _checkpoints(directory / "checkpoints")
    done = progress(directory, lambda sentence: print(printable(sentence), file=sys.stderr))
    return {
        "run": {
            "directory": str(directory),
            "iterations": f"{done.iterations} of {'?' if done.planned is None else done.planned}",
            "agent_steps": done.agent_steps,
        },
        "experiment": {key: config[key] for key in config if key.startswith("Runner.")},
        "agent": agent,
        **_settings(config),
        "checkpoints": checkpoints,
        "last_iteration": done.records[-1] if done.records else {},
        "time": _times(done.records),
        "disk_use": {path.name: _size(path) for path in sorted(directory.iterdir())},
        "provenance": known,
    }


def _times(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The seconds of each part, in the run and in the last iteration; {} if they were not measured."""
    from dopamine_lite.reporting import time_parts

    measured = [record for record in records if time_parts.of_records([record])]
    if not measured:
        return {}
    return {
        "iterations": f"{len(measured)} of {len(records)}",
        "run": time_parts.of_records(measured),
        "last_iteration": time_parts.of_records(measured[-1:]),
    }


def _print_times(times: dict[str, Any]) -> None:
    from dopamine_lite.reporting import time_parts

    if times:
        measured, _, done = times["iterations"].partition(" of ")
        title = (
            "Time of the run" if measured == done else f"Time of {measured} of {done} iterations"
        )
        columns = [times["run"]]
        if measured != "1":
            title += ", and of the last iteration"
            columns.append(times["last_iteration"])
        print_table(title, time_parts.rows(*columns))


def _settings(config: dict[str, str]) -> dict[str, dict[str, str]]:
    """The bindings of the agent and its parts, of the environment and its parts, and all others."""
    left = {key: value for key, value in config.items() if value and not _is_of("Runner", key)}
    sections = {}
    for section in ("agent", "environment"):
        names = _referred_to(config.get(f"Runner.{section}", ""), left)
        own = {key: left[key] for name in names for key in left if _is_of(name, key)}
        left = {key: value for key, value in left.items() if key not in own}
        sections[f"{section}_settings"] = own
    return {**sections, "other_settings": left}


def _referred_to(value: str, config: dict[str, str]) -> list[str]:
    """The parts that a value refers to, then those that their settings refer to, and so on."""
    names: list[str] = []
    waiting = [value]
    while waiting:
        for name in re.findall(r"@([\w./]+)", waiting.pop(0)):
            if name not in names:
                names.append(name)
                waiting += [config[key] for key in config if _is_of(name, key)]
    return names


def _is_of(name: str, key: str) -> bool:
    """Whether the binding `key` belongs to the part `name`, in a scope or not."""
    return key.rpartition(".")[0] == name


def _with_resumes_in_words(known: dict[str, Any]) -> dict[str, Any]:
    """Provenance with a line for each resume and a line for its changes, instead of full records."""
    from dopamine_lite.reporting import provenance

    if "resumed" not in known:
        return known
    before, lines = known["started"], {}
    for number, start in enumerate(known["resumed"], start=1):
        lines[str(number)] = _start_in_words(start)
        for index, sentence in enumerate(provenance.changes(before, start), start=1):
            lines[f"{number}.change_{index}"] = sentence
        before = start
    count = len(known["resumed"])
    times = {0: "never", 1: "once"}.get(count, f"{count} times")
    # Last, because the lines are long, and there may be many.
    rest = {name: value for name, value in known.items() if name != "resumed"}
    return rest | {"resumed": times} | {f"resumed.{name}": line for name, line in lines.items()}


def _start_in_words(start: dict[str, Any]) -> str:
    """ "2026-11-27 10:02 UTC at agent step 20,000 by 2 actors (processes) with commit 1a2b3c4"."""
    date, _, clock = str(start.get("time", "at an unknown time")).partition("T")
    words = f"{date} {clock[:5]} UTC" if clock else date
    steps = start.get("agent_steps")  # earlier versions did not record it
    if isinstance(steps, int):
        words += f" at agent step {steps:,}"
    if "actors" in start:
        number, backend = start["actors"]["number"], start["actors"]["backend"]
        words += f" by {number} actor{'s' if number > 1 else ''} ({backend})"
    commit, _, changes = str(start.get("commits", {}).get("dopamine_lite") or "").partition("+")
    if commit:
        words += f" with commit {commit[:7]}{' and local changes' if changes else ''}"
    return words


def _checkpoints(directory: Path) -> dict[str, Any]:
    """The numbers of the checkpoints, and whether the newest can be restored as it was written."""
    from dopamine_lite.checkpointing import Checkpointer
    from dopamine_lite.checkpointing.storage import Damaged

    checkpointer = Checkpointer(directory)
    numbers = checkpointer.numbers()
    if not numbers:
        return {"numbers": [], "newest": None, "state": "none yet"}
    newest = numbers[-1]
    try:
        problems = checkpointer.verify(newest)
    except Damaged as damage:
        if newest not in checkpointer.numbers():
            return _checkpoints(directory)  # the run has removed it meanwhile
        state = f"damaged: {damage}; {_what_is_left(checkpointer, numbers[:-1])}"
    else:
        state = "intact"
        if problems:
            state += f" by copies, from which the next `train` repairs it: {'; '.join(problems)}"
    kept = checkpointer.kept()
    return {"numbers": numbers, "newest": newest, "state": state} | ({"kept": kept} if kept else {})


def _what_is_left(checkpointer: Checkpointer, older: list[int]) -> str:
    """What the next `train` does if the newest checkpoint is lost."""
    from dopamine_lite.checkpointing.storage import Damaged

    for number in reversed(older):
        with contextlib.suppress(Damaged):
            checkpointer.verify(number)
            return f"the next `train` goes on from checkpoint {number}"
    return "no earlier checkpoint is intact"


def _size(path: Path) -> int:
    """Bytes of the files at or below `path`; files that a run removes meanwhile do not count."""
    below = (Path(parent, name) for parent, _, names in os.walk(path) for name in names)
    size = 0
    for file in [path] if path.is_file() else below:
        with contextlib.suppress(FileNotFoundError):
            size += file.lstat().st_size
    return size


def _readable(size: int) -> str:
    """A number of bytes with three digits and a unit."""
    amount, units = float(size), iter(_UNITS)
    unit = next(units)
    while amount >= 1000 and unit != _UNITS[-1]:
        amount, unit = amount / 1000, next(units)
    return f"{amount:.3g} {unit}"


def _rows(content: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested `content` as lines of a table, with dots in nested names."""
    rows = []
    for name, value in content.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, str(value) if name == "seed" else _in_digits(value)))
    return rows


def _in_digits(value: Any) -> str:
    """A number with a readable number of digits; anything else unchanged."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{6 if abs(value) < 1e6 else 15}g}"
