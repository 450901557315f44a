"""The three data frames on runs: a row per run, per iteration or per episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

SEED, LENGTH = "Runner.seed", "Runner.num_iterations"
_LARGEST = 2**63 - 1
COLUMNS = {  # the columns of `Runs.runs` and their dtypes
    "run": "str",
    "config": "object",
    "agent": "object",
    "environment": "object",
    "seed": "Int64",
    "agent_steps": "int64",
    "iterations": "int64",
    "planned_iterations": "Int64",
    "finished": "bool",
    "stopped": "object",
    "protocol": "object",
    "commit": "object",
    "processor": "object",
    "started": "object",
    "settings": "object",
}
EPISODES = {
    "run": "str",
    "iteration": "int64",
    "phase": "str",
    "agent_steps": "int64",
    "stream": "int64",
    "return": "float64",
    "length": "int64",
}


class Runs(NamedTuple):
    """Three tables about runs. In each, the column `run` is the path of the run's directory.

    Attributes:
      runs: a row for each run. `config` is the name of the gin file, if the run's provenance has it.
        `settings` is a dict from each binding in force to its value as gin text, without the seed.
        `protocol` is one text for the protocols of the environment and of the evaluation. `finished`
        says whether the run has all planned iterations or a callback ended it as intended, and
        `stopped` is the sentence of that callback. What is not known about a run is None.
      iterations: a row for each iteration: `run`, `iteration`, `agent_steps`, `frames` (agent steps
        times the protocol's frame skip; NaN without a frame skip), `seconds` (of training, since the run
        began), and every number that was logged, as `train_...` and `eval_...`. A number that is missing
        is NaN.
      episodes: a row for each whole episode: `run`, `iteration`, `phase` ("train" or "eval"),
        `agent_steps`, `stream` (the number of the environment, from 0), `return` (raw), `length` (agent
        steps), and `info_...` for each name in the run's Runner.info_metrics.
    """

    runs: pd.DataFrame
    iterations: pd.DataFrame
    episodes: pd.DataFrame


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dicts, with None for missing values."""
    rows: list[dict[Any, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    return rows


def whole(value: Any) -> int | None:
    """A whole number, which may be written as text; None if it is none or needs more than 63 bits."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) <= _LARGEST else None


def frame(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """A data frame of `rows`, whose `columns` have these dtypes; missing values are None."""
    data = {
        name: pd.Series([row.get(name) for row in rows], dtype=dtype)
        for name, dtype in columns.items()
    }
    return pd.DataFrame(data)
