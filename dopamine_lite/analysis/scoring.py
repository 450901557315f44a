"""Scores: one number for each run, from its logs or from evaluations of its last checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dopamine_lite.analysis import statistics
from dopamine_lite.analysis.run_tables import Runs
from dopamine_lite.analysis.runs import to_stderr
from dopamine_lite.analysis.selection import Report, select, some
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.names import did_you_mean
from dopamine_lite.files import strict_json

SCORES = ("eval", "train", "evaluations")
_EVALUATION = re.compile(r"checkpoint-(\d+)-episodes-(\d+)-seed-(\d+)\.json")


def scores(
    runs: Runs,
    score: str = "eval",
    metric: str = "average_return",
    last: int = 1,
    report: Report = to_stderr,
) -> pd.DataFrame:
    """The score of each run, and the area under its whole curve.

    Args:
      runs: what `load_runs` returns, for which `select` is called here, or what `select` returns.
      score: "eval" takes `metric` in the evaluation phase of the last iteration, and "train" in its
        training phase. "evaluations" takes the mean return in the file that `dopamine-lite evaluate`
        wrote for the last checkpoint; all runs need an evaluation with the same number of episodes.
      metric: a number that iterations log; "evaluations" takes only "average_return".
      last: the number of last iterations whose mean is the score.
      report: called with a sentence if runs are left out.

    Returns:
      A row for each run: `group`, `environment`, `seed`, `run`, `agent_steps`, `score`, and `area`: the
      mean of the same metric over the agent steps of the whole run, by the trapezoid rule from its
      first point to its last. The area is NaN if a point is missing.

    Raises:
      UserError: no run has such a number.
    """
    if score not in SCORES:
        raise UserError(f"There is no score {score!r}: choose one of {', '.join(SCORES)}.")
    chosen = selected(runs, report)
    column = f"{'eval' if score == 'evaluations' else score}_{metric}"
    if score == "evaluations":
        if metric != "average_return" or last != 1:
            raise UserError(
                "`score` evaluations compares the mean return of the last checkpoint: leave out "
                "`metric` and `last`."
            )
        final: Mapping[Any, float] = _evaluated(chosen.runs)
    else:
        check_column(chosen, column)
        final = _final(chosen.iterations, column, last)
    table = chosen.runs[["group", "environment", "seed", "run", "agent_steps"]].copy()
    table["score"] = table["run"].map(final).astype(float)
    areas = (
        {run: _area(points, column) for run, points in chosen.iterations.groupby("run")}
        if column in chosen.iterations
        else {}
    )
    table["area"] = table["run"].map(areas).astype(float)
    missing = table["score"].isna()
    if missing.all():
        raise UserError(_nothing(score, metric))
    if missing.any():
        report(
            f"{missing.sum()} of {len(table)} runs left out, because they have no {column} at "
            f"their end: {some(table[missing]['run'])}. The remaining runs may flatter their "
            "groups."
        )
    return table[~missing].reset_index(drop=True)


def selected(runs: Runs, report: Report) -> Runs:
    return runs if "group" in runs.runs else select(runs, report=report)


def check_column(runs: Runs, column: str) -> None:
    if column in runs.iterations and runs.iterations[column].notna().any():
        return
    logged = [
        name
        for name in map(str, runs.iterations)
        if name.startswith(("train_", "eval_")) and runs.iterations[name].notna().any()
    ]
    if column == "eval_average_return" and not any(name.startswith("eval_") for name in logged):
        raise UserError(_nothing("eval", "average_return"))
    raise UserError(
        f"No run logs {column}{did_you_mean(column, logged)}: the metrics are "
        f"{', '.join(sorted(logged))}."
    )


def _nothing(score: str, metric: str) -> str:
    if score == "eval":
        return (
            f"No run has a {metric} from an evaluation at its end: compare training returns with "
            "`score` train, or `evaluate` each run and give `score` evaluations."
        )
    return f"No run has {metric} at its end: its last iteration had no whole episode."


def _final(iterations: pd.DataFrame, column: str, last: int) -> dict[Any, float]:
    """Each run's mean over its `last` last iterations; NaN if one of them has no value."""
    if last < 1:
        raise UserError(f"`last` is {last}: give the number of iterations, 1 or more.")
    ends = iterations.groupby("run", sort=False)[column]
    if last > ends.size().min():
        raise UserError(f"`last` is {last}, but one run has only {ends.size().min()} iterations.")
    return {run: float(values.iloc[-last:].mean(skipna=False)) for run, values in ends}


def _area(points: pd.DataFrame, column: str) -> float:
    return statistics.area_under(
        points["agent_steps"].to_numpy(float), points[column].to_numpy(float)
    )


def _evaluated(table: pd.DataFrame) -> dict[str, float]:
    """The mean return of each run's last checkpoint, from the files of `evaluate`."""
    found = {
        str(run): _evaluations(Path(run), steps)
        for run, steps in zip(table["run"], table["agent_steps"], strict=True)
    }
    common = set.intersection(*(set(each) for each in found.values())) if found else set()
    if not common:
        without = [run for run, each in found.items() if not each]
        if without:
            raise UserError(
                f"{without[0]} has no evaluation of its last checkpoint, and `score` evaluations "
                "needs one of every run: make it with `evaluate`."
            )
        raise UserError(
            "The runs were evaluated over different numbers of episodes or with different seeds: "
            "`evaluate` each with the same `episodes` and `seed`."
        )
    most = max(common)
    return {run: each[most] for run, each in found.items()}


def _evaluations(directory: Path, steps: int) -> dict[tuple[int, int], float]:
    """Mean returns of the checkpoint at `steps`; the key: (episodes, minus the seed)."""
    found = {}
    for path in sorted((directory / "evaluations").glob(f"checkpoint-{steps}-episodes-*.json")):
        match = _EVALUATION.fullmatch(path.name)
        if not match:
            continue
        try:
            returns = strict_json.expect(list, strict_json.read(path)["returns"])
            values = [float(each) for each in returns]
            if len(values) != int(match[2]) or not values:
                raise ValueError(f"it has {len(values)} returns")
            found[int(match[2]), -int(match[3])] = float(np.mean(values))
        except (ValueError, TypeError, KeyError, json.JSONDecodeError) as error:
            raise UserError(
                f"{path} is damaged ({error}): evaluate the run again, or remove the file."
            ) from error
    return found
