"""The learning curves on the page: each group's curves and each of its runs, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from dopamine_lite.analysis.comparison import curves
from dopamine_lite.analysis.report.numbers import numbers
from dopamine_lite.analysis.run_tables import Runs
from dopamine_lite.common.printable import printable

MOST_POINTS, FEWEST_POINTS = 1_000, 100  # of a curve on the page
NAMES = {"eval_average_return": "Evaluation return", "train_average_return": "Training return"}
_ALL_POINTS = 150_000  # of all curves along agent steps: about 8 MB of page
_RESAMPLES = 1_000  # of a band, which is drawn and need not be exact
_RETURNS = tuple(NAMES)
_PHASES = {"train": "Training", "eval": "Evaluation"}
Say = Callable[[str], None]


def thinned(runs: Runs, metrics: int) -> tuple[Runs, int]:
    """The iterations to draw (in long groups every n-th and the last), and the largest n."""
    groups = runs.runs.groupby(["environment", "group"], sort=False)
    curves = groups.ngroups * max(1, metrics)
    most = min(MOST_POINTS, max(FEWEST_POINTS, _ALL_POINTS // curves))
    longest = groups["iterations"].transform("max")
    every = dict(zip(runs.runs["run"], -(-longest // most), strict=True))
    last = dict(zip(runs.runs["run"], longest - 1, strict=True))
    table = runs.iterations
    step, end = table["run"].map(every), table["run"].map(last)
    kept = table[(end - table["iteration"]) % step == 0] if len(table) else table
    return runs._replace(iterations=kept), max(every.values())


def logged_metrics(iterations: pd.DataFrame) -> list[str]:
    """The columns with logged numbers, returns first."""
    logged = [
        str(name)
        for name in iterations
        if str(name).partition("_")[0] in _PHASES and iterations[name].notna().any()
    ]
    return sorted(logged, key=lambda name: (_RETURNS.index(name) if name in _RETURNS else 9, name))


def metric_label(name: str) -> str:
    phase, _, rest = name.partition("_")
    return NAMES.get(name) or f"{_PHASES[phase]}: {printable(rest).replace('_', ' ')}"


def group_curves(runs: Runs, metrics: Iterable[str], say: Say) -> dict[str, dict[str, Any]]:
    """x, value, low and high of each point, by metric and by horizontal axis."""
    found: dict[str, dict[str, Any]] = {}
    timed = runs.iterations["seconds"].notna().all()
    for metric in metrics:
        if not runs.iterations[metric].notna().any():
            continue
        tell: Say = say if metric in _RETURNS else _silent
        found[metric] = {"steps": _curve(runs, metric, "steps", tell)}
        if timed:
            found[metric]["time"] = _curve(runs, metric, "time", _silent)
    return found


def _curve(runs: Runs, metric: str, x: str, say: Say) -> dict[str, Any]:
    table = curves(runs, metric, x, resamples=_RESAMPLES, report=say)
    table = table[table["value"].notna()]
    banded = table["low"].notna().any()
    return {
        "x": numbers(table["x"], digits=9),
        "y": numbers(table["value"]),
        "low": numbers(table["low"]) if banded else None,
        "high": numbers(table["high"]) if banded else None,
    }


def _silent(_: str) -> None:
    pass


def seed_curves(runs: Runs) -> list[dict[str, Any]]:
    """Each run's own returns."""
    seeds = dict(zip(runs.runs["run"], runs.runs["seed"], strict=True))
    return [
        {
            "seed": int(seeds[run]),
            "steps": rows["agent_steps"].tolist(),
            "time": numbers(rows["seconds"]) if rows["seconds"].notna().all() else None,
            "y": {name: numbers(rows[name]) for name in _RETURNS if name in rows},
        }
        for run, rows in runs.iterations.groupby("run", sort=False)
    ]


def frames_per_step(iterations: pd.DataFrame) -> int | None:
    """The frame skip, if all of these iterations have the same one."""
    ratios = (iterations["frames"] / iterations["agent_steps"]).unique()
    return int(ratios[0]) if len(ratios) == 1 and math.isfinite(ratios[0]) else None
