"""Run directories as data frames: a row per run, per iteration or per episode."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dopamine_lite import callbacks, configuration
from dopamine_lite.analysis.collected import read_collected
from dopamine_lite.analysis.run_tables import COLUMNS, EPISODES, LENGTH, SEED, Runs, frame, whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable
from dopamine_lite.files.strict_json import expect
from dopamine_lite.reporting import provenance
from dopamine_lite.reporting.info_metrics import PREFIX
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from dopamine_lite.runner.directory import CONFIG, find_runs, is_run
from dopamine_lite.study import study
from dopamine_lite.study.suggestions import JOURNAL

_PRUNED = "prune"  # the first word of the callback Prune's reason for stopping a run
EVALUATION = ("schedule", "evaluation_steps", "evaluation_episodes")  # the Runner's protocol
_NO_EVALUATION = "continuous_train"  # the schedule in which the other two settings mean nothing
_COMMIT_DIGITS = 12
_CALLBACKS = "Runner.callbacks"
_OBSERVERS = frozenset(
    name
    for name in callbacks.__all__
    if not getattr(vars(callbacks)[name], "part_of_experiment", True)
)


def to_stderr(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr)


def load_runs(
    paths: str | Path | Iterable[str | Path],
    episodes: bool = True,
    report: Callable[[str], None] = to_stderr,
) -> Runs:
    """Reads the runs in the directories `paths` and below them, in the order of their paths.

    A directory with a config.gin is a run, and no further runs are looked for inside it. Links are not
    followed, and nothing in the runs is executed. A table that was collected from runs, such as
    baselines/curves.csv, is read as well. A run that is still being trained can be read.

    Args:
      paths: the paths of directories or of such tables.
      episodes: whether to read the episodes, of which there may be millions.
      report: called with a sentence if a log ends in the middle of a line, or if trials of a study have
        not begun.

    Raises:
      UserError: there is no run in or below one of the paths, or a log of a run is damaged.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not given:
        raise UserError("Name at least one directory with runs.")
    parts: list[Runs] = []
    seen: set[Path] = set()
    empty: list[Path] = []
    for path in given:
        if path.is_file():
            parts.append(read_collected(path))
            continue
        _report_missing_trials(path, report)
        found = list(find_runs(path))
        empty += [] if found else [path]
        for directory in found:
            if directory.resolve() not in seen:
                seen.add(directory.resolve())
                parts.append(_read_run(directory, episodes, report))
    if empty:
        raise UserError(" ".join(map(_no_run, empty)))
    return joined(parts)


def joined(parts: Iterable[Runs]) -> Runs:
    """The rows of all `parts`."""
    listed = list(parts)
    frames = [pd.concat(tables, ignore_index=True) for tables in zip(*listed, strict=True)]
    return Runs(*frames)


def was_pruned(stopped: object) -> bool:
    """Whether a run ended because a search pruned it, so that its end is not a result."""
    return isinstance(stopped, str) and stopped.casefold().startswith(_PRUNED)


def _no_run(path: Path) -> str:
    if not path.exists():
        return f"There is no {path}: name a directory with runs."
    return (
        f"There is no run in or below {path} (no {CONFIG}): name a directory with runs, or make one "
        "there with `train`."
    )


def _report_missing_trials(path: Path, report: Callable[[str], None]) -> None:
    """Reports how many trials of a study in `path` have no run yet. The runs alone cannot tell.

    A search never runs all the trials that it has recorded, because it prunes some. A damaged record is
    reported, and the runs are read anyway.
    """
    try:
        known = study.read(path) if path.is_dir() and not (path / JOURNAL).exists() else None
    except UserError as error:
        report(str(error))
        return
    if known is None:
        return
    names = [entry["name"] for entry in known["trials"]]
    missing = [name for name in names if not is_run(path / name)]
    if missing:
        report(
            f"{len(missing):,} of {len(names):,} trials of the study in {path} have no run yet, such as "
            f"{missing[0]}: the same `sweep` command runs them."
        )


def _read_run(directory: Path, episodes: bool, report: Callable[[str], None]) -> Runs:
    settings = configuration.statements(configuration.config_text(directory / CONFIG))
    made = provenance.read(directory) or {}
    lines = read_iterations(directory, report)
    protocol = made.get("protocol")
    if protocol is not None:
        try:
            expect(dict, protocol)
        except ValueError as error:
            raise UserError(
                f"{directory / provenance.FILE} is damaged (its protocol: {error}): "
                "restore it from a copy."
            ) from error
    row = {"run": str(directory)} | _about(directory, settings, made, lines)
    ended = read_episodes(directory, report) if episodes else []
    infos = {name: "float64" for line in ended[:1] for name in line if name.startswith(PREFIX)}
    return Runs(
        frame([row], COLUMNS),
        _iterations(str(directory), lines, whole((protocol or {}).get("frame_skip"))),
        frame([{"run": str(directory)} | line for line in ended], EPISODES | infos),
    )


def _about(
    directory: Path,
    settings: Mapping[str, str],
    made: Mapping[str, Any],
    lines: list[dict[str, Any]],
) -> dict[str, Any]:
    """The row of a run, without its name."""
    started = made.get("started", {})
    planned = whole(settings.get(LENGTH))
    stopped = lines[-1].get("stopped") if lines else None
    stopped = None if stopped is None else printable(str(stopped))
    seed = made.get("seed", settings.get(SEED))
    agent = made.get("agent", {}).get("agent") or settings.get("Runner.agent", "").lstrip("@")
    commit = started.get("commits", {}).get("dopamine_lite")
    return {
        "config": _config(started),
        "agent": _text(agent) or None,
        "environment": _text(made.get("environment")),
        "seed": whole(seed),
        "agent_steps": lines[-1]["agent_steps"] if lines else 0,
        "iterations": len(lines),
        "planned_iterations": planned,
        "finished": bool(lines) and (len(lines) == planned or _ended_well(stopped)),
        "stopped": stopped,
        "protocol": _protocol(made.get("protocol"), settings),
        "commit": _short(_text(commit)),
        "processor": _text(started.get("machine", {}).get("processor")),
        "started": _text(started.get("time")),
        "settings": _of_experiment(settings),
    }


def _of_experiment(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings without the seed, imports, and the package's callbacks that change no result."""
    kept = {
        name: value
        for name, value in settings.items()
        if name != SEED
        and value != ""
        and name.rpartition(".")[0].rpartition("/")[2] not in _OBSERVERS
    }
    if _CALLBACKS in kept:
        names = [name.rpartition("/") for name in re.findall(r"@([\w./]+)", kept[_CALLBACKS])]
        left = ["@" + "".join(parts) for parts in names if parts[2] not in _OBSERVERS]
        kept[_CALLBACKS] = f"[{', '.join(left)}]"
        if not left and "%" not in settings[_CALLBACKS]:
            del kept[_CALLBACKS]
    return kept


def _ended_well(stopped: str | None) -> bool:
    return stopped is not None and not was_pruned(stopped)


def _protocol(protocol: Any, settings: Mapping[str, str]) -> str | None:
    """One text for the environment's protocol and the run's evaluation; None: not known."""
    if not protocol:
        return None
    parts = [f"{name} {_value(value)}" for name, value in protocol.items()]
    schedule = settings.get("Runner.schedule", "").strip("'\"")
    for name in EVALUATION[:1] if schedule == _NO_EVALUATION else EVALUATION:
        value = settings.get(f"Runner.{name}", "None")
        if value != "None":
            parts.append(f"{name} {value.strip(chr(39))}")
    return printable("; ".join(parts))


def _value(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)


def _iterations(run: str, lines: list[dict[str, Any]], frame_skip: int | None) -> pd.DataFrame:
    rows = []
    seconds = 0.0
    for line in lines:
        taken = line.get("time", {}).get("train_seconds")
        seconds += np.nan if taken is None else taken
        row = {
            "run": run,
            "iteration": line["iteration"],
            "agent_steps": line["agent_steps"],
            "frames": np.nan if frame_skip is None else float(line["agent_steps"]) * frame_skip,
            "seconds": seconds,
        }
        for phase in ("train", "eval"):
            for name, value in line.get(phase, {}).items():
                row[f"{phase}_{name}"] = np.nan if value is None else float(value)
        rows.append(row)
    columns = ["run", "iteration", "agent_steps", "frames", "seconds"]
    return pd.DataFrame(rows, columns=None if rows else columns).astype(
        {"run": "str", "iteration": "int64", "agent_steps": "int64", "frames": "float64"}
    )


def _config(start: Mapping[str, Any]) -> str | None:
    """The gin files of a run's start, each with its name and its directory's; None: not recorded."""
    config = start.get("config")
    known = config.get("gin_files") if isinstance(config, dict) else None
    names = known if isinstance(known, list) else _files_of_command(start.get("command"))
    if not names or not all(isinstance(name, str) and name for name in names):
        return None
    return printable(" + ".join(map(_config_name, names)))


def _files_of_command(command: Any) -> list[str]:
    """The files that a command names with --gin_files: runs of earlier versions record no more."""
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return []
    names = []
    for word, following in zip(words, [*words[1:], ""], strict=False):  # no words: no pairs
        flag, equals, value = word.partition("=")
        if flag in ("--gin_files", "-gin_files"):
            names.append(value if equals else following)
    return names


def _config_name(name: str) -> str:
    path = Path(name)
    return "/".join(path.with_suffix(path.suffix or ".gin").parts[-2:])


def _short(commit: str | None) -> str | None:
    """Twelve digits of the commit, and the suffix of a run whose code differed from it."""
    if commit is None:
        return None
    digits, plus, changes = commit.partition("+")
    return digits[:_COMMIT_DIGITS] + plus + changes


def _text(value: Any) -> str | None:
    return None if value is None else printable(str(value))
