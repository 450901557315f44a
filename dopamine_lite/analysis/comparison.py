"""Seeds to statistics: learning curves with bands, aggregates, who beats whom."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dopamine_lite.analysis import statistics
from dopamine_lite.analysis.run_tables import Runs
from dopamine_lite.analysis.runs import to_stderr
from dopamine_lite.analysis.scoring import check_column, selected
from dopamine_lite.analysis.selection import Report
from dopamine_lite.common.errors import UserError

X = {"steps": "agent_steps", "frames": "frames", "time": "seconds"}
_GRID = 100  # points of a curve whose runs share no x
_ALL = "all"
_ESTIMATE = ("value", "low", "high", "why")  # columns


def curves(
    runs: Runs,
    metric: str = "eval_average_return",
    x: str = "steps",
    statistic: str = "mean",
    resamples: int = 2_000,
    seed: int = 0,
    report: Report = to_stderr,
) -> pd.DataFrame:
    """The learning curve of each group over its seeds, with a 95% band at each point.

    The band comes from the bootstrap over seeds. A curve has the points that all runs of the group have
    logged. If runs were logged at different x, as they are for wall times, each run is interpolated
    linearly between the values of x that all of them have reached. If a run has no number at a point,
    the group has NaN there, because a mean over the other runs would jump from point to point.

    Args:
      runs: what `load_runs` or `select` returns.
      metric: a column of `Runs.iterations`, such as "train_average_return".
      x: "steps" (agent steps), "frames" or "time" (seconds of training).
      statistic: the statistic over seeds: "mean", "iqm" or "median".
      resamples: number of resamples in the bootstrap.
      seed: seed of the bootstrap.
      report: called with a sentence if points are missing.

    Returns:
      A row for each point: `environment`, `group`, `x`, `seeds`, `value`, and the ends of the band,
      `low` and `high`, which are NaN for a group with fewer than three seeds.

    Raises:
      UserError: no run has such a metric, or such an x.
    """
    chosen = selected(runs, report)
    check_column(chosen, metric)
    along = X[x]
    parts = []
    for (environment, group), rows in _cells(chosen.runs):
        lines = [
            chosen.iterations[chosen.iterations["run"] == run][[along, metric]].to_numpy(float)
            for run in rows["run"]
        ]
        points, values = _on_common_points(lines)  # [T], [T, seeds]
        if not np.isfinite(points).all():
            raise UserError(
                f"Runs of {group} in {environment} have no {along}: choose another `x`."
            )
        gaps = np.isnan(values).any(1)
        if gaps.any():
            report(
                f"{gaps.sum()} of {len(gaps)} points of {group} in {environment} lack the {metric} "
                "of at least one run and are not drawn."
            )
        value, low, high = _band(values, statistics.STATISTICS[statistic], resamples, seed)
        parts.append(
            pd.DataFrame(
                {
                    "environment": environment,
                    "group": group,
                    "x": points,
                    "seeds": values.shape[1],
                    "value": value,
                    "low": low,
                    "high": high,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def aggregate(
    table: pd.DataFrame,
    column: str = "score",
    across: bool = False,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Interquartile mean, mean and median of each group, with 95% intervals (Agarwal et al. 2021).

    The intervals are percentiles of the stratified bootstrap, in which seeds are drawn within each
    environment. They say how far a number would vary with other seeds in the same environments.

    Args:
      table: what `scores` returns. To take environments together, give what `normalized` returns,
        because raw returns of different environments have no common scale.
      column: "score" or "area".
      across: True takes the environments that all groups have together; False takes each by itself.
      resamples: number of resamples in the bootstrap.
      seed: seed of the bootstrap.

    Returns:
      A row for each group, environment and statistic: `environment` ("all" if they are taken together),
      `environments` (their number), `group`, `seeds` (the fewest in an environment), `statistic` ("iqm",
      "mean" or "median"), `value`, `low`, `high`, and `why`: the reason why there is no interval, or
      None.

    Raises:
      UserError: environments are to be taken together, and the groups have none in common.
    """
    rows = []
    for environment, group, arrays in _arrays(table, column, across):
        seeds = min(map(len, arrays))
        for name, statistic in statistics.STATISTICS.items():
            found = statistics.estimate(statistic, arrays, resamples, seed)
            rows.append(
                {
                    "environment": environment,
                    "environments": len(arrays),
                    "group": group,
                    "seeds": seeds,
                    "statistic": name,
                    **found._asdict(),
                    "why": _why(seeds),
                }
            )
    columns = ["environment", "environments", "group", "seeds", "statistic", *_ESTIMATE]
    return pd.DataFrame(rows, columns=columns)


def improvement(
    table: pd.DataFrame, resamples: int = statistics.RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """The probability that a run of one group scores higher than a run of another.

    It is the mean of Mann and Whitney's U / (n m) over the environments that both groups have. It uses
    only ranks, so scores of different environments need no common scale.

    Args:
      table: what `scores` returns.
      resamples: number of resamples in the bootstrap of the interval.
      seed: seed of the bootstrap.

    Returns:
      A row for each pair of groups with an environment in common: `group`, `over` (the other group),
      `environments` (their number), `seeds` and `seeds_over` (the fewest in an environment), `value`,
      `low`, `high`, and `why`: the reason why there is no interval, or None.
    """
    cells = {key: rows["score"].to_numpy(float) for key, rows in _cells(table)}
    rows = []
    for group, over in itertools.combinations(table["group"].unique(), 2):
        shared = [name for name, other in cells if other == group and (name, over) in cells]
        if not shared:
            continue
        of_group = [cells[name, group] for name in shared]
        of_over = [cells[name, over] for name in shared]
        found = statistics.probability_of_improvement(of_group, of_over, resamples, seed)
        seeds, seeds_over = min(map(len, of_group)), min(map(len, of_over))
        rows.append(
            {
                "group": group,
                "over": over,
                "environments": len(shared),
                "seeds": seeds,
                "seeds_over": seeds_over,
                **found._asdict(),
                "why": _why(min(seeds, seeds_over)),
            }
        )
    columns = ["group", "over", "environments", "seeds", "seeds_over", *_ESTIMATE]
    return pd.DataFrame(rows, columns=columns)


def profiles(
    table: pd.DataFrame,
    thresholds: Sequence[float] | np.ndarray | None = None,
    resamples: int = 2_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Performance profiles: for each group, the share of runs that score above each threshold.

    Args:
      table: what `normalized` returns for several environments.
      thresholds: the thresholds; None: 101 from the lowest score to the highest.
      resamples: number of resamples in the bootstrap of the band, which is stratified by environment.
      seed: seed of the bootstrap.

    Returns:
      A row for each group and threshold: `group`, `threshold`, `environments`, `seeds`, `value`, and the
      ends of the band at this threshold, `low` and `high`.
    """
    if thresholds is None:
        thresholds = np.linspace(table["score"].min(), table["score"].max(), 101)
    at = np.asarray(thresholds, float)
    parts = []
    for _, group, arrays in _arrays(table, "score", across=True):
        value, low, high = statistics.profile(arrays, at, resamples, seed)
        about = {"group": group, "environments": len(arrays), "seeds": min(map(len, arrays))}
        points = {"threshold": at, "value": value, "low": low, "high": high}
        parts.append(pd.DataFrame(about | points))
    return pd.concat(parts, ignore_index=True)


def _on_common_points(lines: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The x [T] that all runs have and their values [T, runs], from [points, (x, value)] of each."""
    shared = lines[0][:, 0]
    for line in lines[1:]:
        shared = np.intersect1d(shared, line[:, 0])
    shortest = min(len(line) for line in lines)
    if len(shared) == shortest:  # the longer runs only continue
        at = [line[np.isin(line[:, 0], shared), 1] for line in lines]
        return shared, np.stack(at, axis=1)
    first, last = max(line[0, 0] for line in lines), min(line[-1, 0] for line in lines)
    points = np.linspace(first, last, _GRID)
    return points, np.stack([np.interp(points, *line.T) for line in lines], axis=1)


def _band(
    values: np.ndarray, statistic: Callable[..., np.ndarray], resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The statistic over seeds [T, seeds] at each point, and the ends of its interval: [T] each."""
    value, low, high = (np.full(len(values), np.nan) for _ in range(3))
    whole = ~np.isnan(values).any(1)
    if whole.any():
        value[whole] = statistic(values[whole])
        if statistics.has_interval([values]):
            low[whole], high[whole] = statistics.interval(
                statistic, [values[whole]], resamples, seed
            )
    return value, low, high


def _cells(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for (environment, group), rows in table.groupby(["environment", "group"], sort=False):
        yield (str(environment), str(group)), rows


def _arrays(
    table: pd.DataFrame, column: str, across: bool
) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Environment, group and the group's scores: in each environment, or over all that groups share."""
    cells = {key: _known(rows[column]) for key, rows in _cells(table)}
    cells = {key: values for key, values in cells.items() if len(values)}
    if not across:
        for (environment, group), values in cells.items():
            yield environment, group, [values]
        return
    groups = list(dict.fromkeys(group for _, group in cells))
    shared = _in_all(cells, groups)
    if not shared:
        raise UserError(
            "The groups have no environment in common, so there is no result over all environments."
        )
    for group in groups:
        yield _ALL, group, [cells[name, group] for name in shared]


def common_environments(table: pd.DataFrame) -> list[str]:
    """The environments in which every group of `table` has runs, in its order."""
    cells = [key for key, _ in _cells(table)]
    return _in_all(cells, {group for _, group in cells})


def _in_all(cells: Collection[tuple[str, str]], groups: Collection[str]) -> list[str]:
    """The environments that have a cell with each of the groups."""
    environments = dict.fromkeys(environment for environment, _ in cells)
    return [name for name in environments if all((name, group) in cells for group in groups)]


def _known(values: pd.Series) -> np.ndarray:
    return values.dropna().to_numpy(float)


def _why(seeds: int) -> str | None:
    if seeds >= statistics.FEWEST_SEEDS:
        return None
    return f"fewer than {statistics.FEWEST_SEEDS} seeds"


def as_json(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table in JSON's types, with null for NaN."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows
