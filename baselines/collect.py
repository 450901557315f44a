"""Reads finished, evaluated runs into curves.csv and final.csv beside this file.

python baselines/collect.py RUN_DIRECTORY... adds their rows, or replaces them where config,
environment and seed are the same; without directories it only prints the table of final.csv: the
mean over seeds with its 95 % interval by Student's t, which takes the seeds' means as normal.
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
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
KEY = ("config", "environment", "seed")
CURVES = (*KEY, "agent_steps", "train_episodes", "train_return", "eval_episodes", "eval_return")
FINAL = (
    *KEY,
    "agent_steps",
    "evaluation_episodes",
    "evaluation_return",
    "last_train_return",
    "commit",
    "protocol",
)


def main(directories: list[Path]) -> None:
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


def _run(directory: Path) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows of one run directory for curves.csv and final.csv."""
    provenance = json.loads((directory / "provenance.json").read_text())
    lines = (directory / "logs" / "iterations.jsonl").read_text().splitlines()
    iterations = [json.loads(line) for line in lines]
    steps = iterations[-1]["agent_steps"]
    name = f"checkpoint-{steps}-seed-0.json"
    evaluation = json.loads((directory / "evaluations" / name).read_text())
    started = provenance["started"]
    command = shlex.split(started["command"])
    config = Path(command[command.index("--gin_files") + 1])
    key = {
        "config": f"{config.parent.name}/{config.name}",
        "environment": provenance["environment"],
        "seed": provenance["seed"],
    }
    curves = [
        key
        | {
            "agent_steps": row["agent_steps"],
            "train_episodes": row["train"]["episodes"],
            "train_return": row["train"]["average_return"],
            "eval_episodes": row["eval"]["episodes"],
            "eval_return": row["eval"]["average_return"],
        }
        for row in iterations
    ]
    final = key | {
        "agent_steps": steps,
        "evaluation_episodes": evaluation["summary"]["episodes"],
        "evaluation_return": evaluation["summary"]["mean"],
        "last_train_return": iterations[-1]["train"]["average_return"],
        "commit": _short(started["commits"]["dopamine_lite"]),
        "protocol": "; ".join(f"{name} {value}" for name, value in evaluation["protocol"].items()),
    }
    return [_text(row) for row in curves], _text(final)


def _short(commit: str) -> str:
    """Twelve digits, and "+changes" where the run's code was not what was committed."""
    digits, plus, changes = commit.partition("+")
    return digits[:12] + plus + changes


def _text(row: dict[str, Any]) -> dict[str, str]:
    return {
        name: f"{value:.6g}" if isinstance(value, float) else str(value)
        for name, value in row.items()
    }


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _read(name: str) -> list[dict[str, str]]:
    path = HERE / name
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(name: str, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    rows.sort(key=lambda row: (row["environment"], row["config"], int(row["seed"])))
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _print(final: list[dict[str, str]]) -> None:
    table = Table("environment", "config", "steps", "seeds", "evaluation", "last training")
    groups = dict.fromkeys((row["environment"], row["config"]) for row in final)
    for environment, config in groups:
        rows = [
            row for row in final if (row["environment"], row["config"]) == (environment, config)
        ]
        values = [
            interval([float(row[column]) for row in rows])
            for column in ("evaluation_return", "last_train_return")
        ]
        table.add_row(environment, config, rows[0]["agent_steps"], str(len(rows)), *values)
    Console(width=120).print(table)


def interval(values: list[float]) -> str:
    mean = np.mean(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    return f"{mean:.1f} ({mean - half:.1f} to {mean + half:.1f})"


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
