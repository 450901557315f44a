"""Reads finished, evaluated runs into curves.csv and final.csv beside this file.

python baselines/collect.py RUN_DIRECTORY... adds their rows, or replaces them where config,
environment, bindings and seed are the same; without directories it only prints the table of
final.csv: the mean over seeds with its 95 % interval by Student's t, which takes the seeds' means
as normal.
"""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from absl import flags
from rich.console import Console
from rich.table import Table

from dopamine_lite import configuration
from dopamine_lite.cli import train
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.sources import Sources
from dopamine_lite.reporting import provenance
from dopamine_lite.reporting.log_reader import read_iterations

HERE = Path(__file__).parent
EPISODES = 100
KEY = ("config", "environment", "bindings", "seed")
CURVES = (*KEY, "agent_steps", "train_episodes", "train_return", "eval_episodes", "eval_return")
FINAL = (
    *KEY,
    "agent_steps",
    "evaluation_episodes",
    "evaluation_return",
    "evaluation_low",
    "evaluation_high",
    "last_train_return",
    "commit",
    "protocol",
    "processor",
    "threads",
    "hours",
)
TOLD = (  # in other columns
    "Runner.seed",
    "AtariEnvironment.game",
    "MinAtarEnvironment.game",
    "tensorflow_threads.intra_op",
)


def main(directories: list[Path]) -> None:
    """Takes the runs in `directories` in, all or none, and prints the table.

    Raises:
      UserError: a directory holds no run that has been trained and evaluated.
    """
    curves, final = _read("curves.csv"), _read("final.csv")
    for directory in directories:
        new_curves, new_final = _run(directory)
        key = _key(new_final)
        curves = [row for row in curves if _key(row) != key] + new_curves
        final = [row for row in final if _key(row) != key] + [new_final]
    if directories:
        _write("curves.csv", CURVES, curves)
        _write("final.csv", FINAL, final)
    _print(final)


def show(directories: list[Path]) -> None:
    """Prints the table of the runs in `directories` alone, and writes nothing; raises as `main`."""
    _print([_run(directory)[1] for directory in directories])


def _run(directory: Path) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows of one run directory for curves.csv and final.csv."""
    made = provenance.read(directory)
    iterations = read_iterations(directory)
    if made is None or not iterations:
        raise UserError(f"{directory} holds no run that has finished an iteration.")
    planned = _planned_iterations(directory)
    if len(iterations) != planned:
        raise UserError(
            f"{directory} has finished {len(iterations)} of its {planned} iterations: let it end."
        )
    steps = iterations[-1]["agent_steps"]
    evaluation = _evaluation(directory, steps)
    low, high = evaluation["summary"].get("interval_95") or (None, None)
    started = made["started"]
    starts = [_sources(directory, start) for start in (started, *made["resumed"])]
    if not starts[0].gin_files:
        raise UserError(f"{directory} does not tell its config: `{started['command']}` began it.")
    key = {
        "config": " + ".join(map(_config, starts[0].gin_files)),
        "environment": made["environment"],
        "bindings": _bindings(starts),
        "seed": made["seed"],
    }
    curves = [key | _point(row) for row in iterations]
    final = key | {
        "agent_steps": steps,
        "evaluation_episodes": evaluation["summary"]["episodes"],
        "evaluation_return": evaluation["summary"]["mean"],
        "evaluation_low": low,
        "evaluation_high": high,
        "last_train_return": iterations[-1]["train"]["average_return"],
        "commit": _short(started["commits"]["dopamine_lite"]),
        "protocol": "; ".join(f"{name} {value}" for name, value in evaluation["protocol"].items()),
        "processor": (started.get("machine") or {}).get("processor"),
        "threads": (started.get("threads") or {}).get("intra_op"),
        "hours": _hours(iterations),
    }
    return [_text(row) for row in curves], _text(final)


def _hours(iterations: list[dict[str, Any]]) -> float:
    """What training and its evaluations took, by the clock."""
    times = [row.get("time", {}) for row in iterations]
    names = ("train_seconds", "eval_seconds")
    return round(sum(time.get(name, 0.0) for time in times for name in names) / 3600, 3)


def _planned_iterations(directory: Path) -> int:
    config = configuration.statements((directory / "config.gin").read_text(encoding="utf-8"))
    return int(config["Runner.num_iterations"])


def _point(iteration: dict[str, Any]) -> dict[str, Any]:
    """What curves.csv tells of an iteration; nothing of an evaluation where there is none."""
    training, evaluation = iteration["train"], iteration.get("eval", {})
    return {
        "agent_steps": iteration["agent_steps"],
        "train_episodes": training["episodes"],
        "train_return": training["average_return"],
        "eval_episodes": evaluation.get("episodes"),
        "eval_return": evaluation.get("average_return"),
    }


def is_evaluated(directory: Path) -> bool:
    """Whether `_evaluation` of the last checkpoint is there."""
    try:
        _evaluation(directory, read_iterations(directory)[-1]["agent_steps"])
    except UserError:
        return False
    return True


def _evaluation(directory: Path, steps: int) -> dict[str, Any]:
    """What `evaluate` wrote of the checkpoint at `steps`, with seed 0 and over 100 episodes."""
    names = (
        f"checkpoint-{steps}-episodes-{EPISODES}-seed-0.json",
        f"checkpoint-{steps}-seed-0.json",  # as it was called at first
    )
    for path in (directory / "evaluations" / name for name in names):
        if path.is_file():
            evaluation: dict[str, Any] = json.loads(path.read_text())
            if evaluation["summary"]["episodes"] == EPISODES:
                return evaluation
    raise UserError(
        f"{directory} has no evaluation of its last checkpoint over {EPISODES} episodes: "
        f"`dopamine-lite evaluate --base_dir {shlex.quote(str(directory))}` makes it."
    )


def _sources(directory: Path, start: dict[str, Any]) -> Sources:
    """The gin files and bindings that the run was started or resumed by.

    Runs of earlier versions tell them by their command alone.
    """
    if "config" in start:
        return Sources(**{name: tuple(each) for name, each in start["config"].items()})
    words = shlex.split(start["command"])
    flag_values = flags.FlagValues()
    train.define_flags(flag_values)
    try:
        flag_values(words[words.index("train") :])
    except (ValueError, flags.Error) as error:
        raise UserError(
            f"{directory} was not made by `dopamine-lite train` but by `{start['command']}`."
        ) from error
    return Sources(tuple(flag_values.gin_files), tuple(flag_values.gin_bindings))


def _config(name: str) -> str:
    """A gin file by its name and its directory's, wherever that is."""
    path = Path(name)
    return "/".join(path.with_suffix(path.suffix or ".gin").parts[-2:])


def _bindings(starts: list[Sources]) -> str:
    """What a run's starts bound, but for what other columns tell, in one order and spelling."""
    bound = {}
    for sources in starts:
        for binding in sources.gin_bindings:
            name, equals, value = (part.strip() for part in binding.partition("="))
            bound[name] = " ".join(f"{name} {equals} {value}".split())
    return "; ".join(bound[name] for name in sorted(bound.keys() - set(TOLD)))


def _short(commit: str | None) -> str:
    """Twelve digits, and what follows where the run's code differed; empty where none is known."""
    if commit is None:
        return ""
    digits, plus, changes = commit.partition("+")
    return digits[:12] + plus + changes


def _text(row: dict[str, Any]) -> dict[str, str]:
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _read(name: str) -> list[dict[str, str]]:
    path = HERE / name
    if not path.exists():
        return []
    with path.open(newline="") as file:
        columns = FINAL if name == "final.csv" else CURVES
        return [dict.fromkeys(columns, "") | row for row in csv.DictReader(file)]


def _write(name: str, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    rows.sort(key=lambda row: (*_group(row), int(row["seed"])))
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _group(row: dict[str, str]) -> tuple[str, str, str]:
    """What the seeds of one line of the table have in common."""
    return row["environment"], row["config"], row["bindings"]


def _print(final: list[dict[str, str]]) -> None:
    table = Table("environment", "config", "steps", "seeds", "evaluation", "last training")
    for group in dict.fromkeys(map(_group, final)):
        rows = [row for row in final if _group(row) == group]
        values = [
            _mean([row[column] for row in rows])
            for column in ("evaluation_return", "last_train_return")
        ]
        environment, config, bindings = group
        experiment = f"{config} with {bindings}" if bindings else config
        table.add_row(environment, experiment, rows[0]["agent_steps"], str(len(rows)), *values)
    Console(width=120).print(table)


def _mean(cells: list[str]) -> str:
    """The `interval` of these numbers; nothing where one is missing."""
    return "" if "" in cells else interval([float(cell) for cell in cells])


def interval(values: list[float]) -> str:
    """The mean, and in brackets its 95 % interval where there is more than one value."""
    low, high = bounds(values)
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({low:.1f} to {high:.1f})"


def bounds(values: list[float]) -> tuple[float, float]:
    """Student's 95 % interval for the mean; a single value is both of its bounds."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, mean
    half = float(scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values))
    return mean - half, mean + half


if __name__ == "__main__":
    try:
        main([Path(argument) for argument in sys.argv[1:]])
    except UserError as error:
        print(f"collect.py: {error}", file=sys.stderr)
        sys.exit(2)
