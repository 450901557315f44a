"""Tables that were collected from runs, such as baselines/curves.csv, as data frames of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dopamine_lite import configuration
from dopamine_lite.analysis.run_tables import (
    COLUMNS,
    EPISODES,
    SEED,
    Runs,
    frame,
    records,
    whole,
)
from dopamine_lite.common.errors import UserError


def read_collected(path: Path) -> Runs:
    """The runs of a table such as baselines/curves.csv, with a row per iteration and no episodes.

    The table's columns are config, environment, bindings, seed, agent_steps, train_episodes,
    train_return, eval_episodes and eval_return. Protocols come from the final.csv next to the table, if
    there is one.

    Raises:
      UserError: the file is not such a table.
    """
    table = read_csv(path)
    if "seed" in table and not pd.api.types.is_integer_dtype(table["seed"]):
        raise UserError(f"{path} has a seed that is not a whole number.")
    needed = ["config", "environment", "bindings", "seed", "agent_steps", "train_return"]
    missing = [name for name in [*needed, "eval_return"] if name not in table]
    if missing:
        raise UserError(
            f"{path} is not a table of runs such as baselines/curves.csv: it has no column "
            f"{missing[0]}."
        )
    key = ["config", "environment", "bindings", "seed"]
    final = _final_beside(path, key)
    runs, iterations = [], []
    for values, points in (
        table.astype({"bindings": object}).fillna({"bindings": ""}).groupby(key, sort=False)
    ):
        config, environment, bindings, seed = map(str, values)
        name = " ".join(filter(None, [config, environment, bindings, f"seed={seed}"]))
        known = final.get(tuple(map(str, values)), {})
        runs.append(
            {
                "run": name,
                "config": config,
                "agent": _agent_of_config(config),
                "environment": environment,
                "seed": int(seed),
                "agent_steps": int(points["agent_steps"].max()),
                "iterations": len(points),
                "planned_iterations": len(points),
                "finished": True,
                "protocol": known.get("protocol"),
                "commit": known.get("commit"),
                "settings": _bound(bindings),
            }
        )
        iterations.append(
            pd.DataFrame(
                {
                    "run": name,
                    "iteration": np.arange(len(points)),
                    "agent_steps": points["agent_steps"].to_numpy(np.int64),
                    "frames": points["agent_steps"].to_numpy(float)
                    * (_frame_skip(known.get("protocol")) or np.nan),
                    "seconds": np.nan,
                    "train_average_return": points["train_return"].to_numpy(float),
                    "eval_average_return": points["eval_return"].to_numpy(float),
                    "train_episodes": _column(points, "train_episodes"),
                    "eval_episodes": _column(points, "eval_episodes"),
                }
            )
        )
    return Runs(frame(runs, COLUMNS), pd.concat(iterations, ignore_index=True), frame([], EPISODES))


def read_csv(path: Path) -> pd.DataFrame:
    """The content of a CSV file; raises UserError if the file is not CSV."""
    try:
        return pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV file ({' '.join(str(error).split())}).") from error


def _final_beside(path: Path, key: list[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    """The protocol and commit of each run, from the final.csv next to a curves.csv."""
    beside = path.with_name("final.csv")
    if path.name != "curves.csv" or not beside.is_file():
        return {}
    table = read_csv(beside)
    if not {*key, "protocol", "commit"} <= set(table):
        return {}
    return {
        tuple("" if row[name] is None else str(row[name]) for name in key): row
        for row in records(table)
    }


def _agent_of_config(config: str) -> str | None:
    """The agent that a packaged config binds, because a table names no agent."""
    packaged = configuration.packaged_configs()
    path = (packaged / config).resolve()
    if not (path.is_relative_to(packaged.resolve()) and path.is_file()):
        return None  # a table must not open any other file
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == "Runner.agent":
            return value.strip().lstrip("@")
        if line.startswith("include "):
            included = _agent_of_config(line.removeprefix("include ").strip().strip("\"'"))
            if included:
                return included
    return None


def _bound(bindings: str) -> dict[str, str]:
    """The column "bindings" of a table as a dict."""
    pairs = (part.partition("=") for part in bindings.split("; ") if part)
    return {
        name.strip(): value.strip()
        for name, _, value in pairs
        if name.strip() != SEED and not configuration.may_change(name.strip())
    }


def _frame_skip(protocol: Any) -> int | None:
    """The frame skip in a table's protocol."""
    for part in str(protocol or "").split("; "):
        name, _, value = part.partition(" ")
        if name == "frame_skip":
            return whole(value)
    return None


def _column(points: pd.DataFrame, name: str) -> np.ndarray:
    return points[name].to_numpy(float) if name in points else np.full(len(points), np.nan)
