"""A whole comparison: every table and figure on groups of runs, and notes for the reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from dopamine_lite.analysis import comparison, figures, groups, published, scoring, statistics
from dopamine_lite.analysis.run_tables import Runs, records
from dopamine_lite.analysis.selection import select
from dopamine_lite.common.errors import UserError

_ENOUGH_SEEDS = 10  # with at least this many, a percentile interval is about as wide as it claims
_NAMES = {"iqm": "IQM", "mean": "mean", "median": "median"}
_PHASES = {"eval": "evaluation", "train": "training", "evaluations": "evaluation"}


class Comparison(NamedTuple):
    """What `compare` finds. Each table is documented at the function that makes it."""

    what: str  # what a score is, in words
    method: str  # how the intervals were made, in words
    runs: pd.DataFrame  # the runs that count, with their groups
    scores: pd.DataFrame
    final: pd.DataFrame  # `aggregate` of the scores, by environment
    areas: pd.DataFrame  # `aggregate` of the areas, by environment
    across: pd.DataFrame  # `aggregate` of normalized scores over environments, if there are any
    improvement: pd.DataFrame
    profiles: pd.DataFrame  # of normalized scores over environments; empty without normalization
    curves: pd.DataFrame
    references: pd.DataFrame  # published results in these environments
    notes: tuple[str, ...]  # sentences on what is left out and what may be misleading
    x: str  # the column on the curves' horizontal axis
    y: str  # what the curves show
    statistic: str  # of the curves


def compare(
    runs: Runs,
    by: Sequence[str] = (),
    environments: Sequence[str] = (),
    references: Sequence[pd.DataFrame] = (),
    score: str | None = None,
    metric: str = "average_return",
    last: int = 1,
    x: str = "steps",
    statistic: str = "mean",
    bounds: pd.DataFrame | None = None,
    across_protocols: bool = False,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares groups of runs, with the seed as the replicate (Agarwal et al. 2021).

    Args:
      runs: what `load_runs` returns.
      by, across_protocols: as for `select`.
      environments: the environments to compare runs in; empty for all.
      references: tables of `load_reference`, to be shown beside the runs.
      score, metric, last: as for `scoring.scores`; score None: "eval", or "train" if all that the
        references have for these environments is training returns.
      x, statistic: the horizontal axis and the statistic of the curves, as for `comparison.curves`.
      bounds: the bounds to normalize scores by, as for `published.normalized`; None: no normalization.
      resamples, seed: the number of resamples and the seed of every bootstrap.

    Raises:
      UserError: for the reasons that `select` and `scoring.scores` have.
    """
    notes: list[str] = []
    chosen = select(_within(runs, environments), by, across_protocols, notes.append)
    if not by and (besides := groups.unnamed_differences(chosen.runs)):
        notes.append(besides)
    shown = _shown(references, chosen.runs["environment"].unique(), notes)
    phase = score or _score_for(shown, notes)
    table = scoring.scores(chosen, phase, metric, last, notes.append)
    column = _curve_column(chosen, phase, metric)
    points = comparison.curves(
        chosen, column, x, statistic, min(resamples, 2_000), seed, notes.append
    )
    final, areas = (
        comparison.aggregate(table, name, False, resamples, seed) for name in ("score", "area")
    )
    scaled = table if bounds is None else published.normalized(table, bounds)
    across, profiles = _across(scaled, bounds is not None, resamples, seed, notes)
    if areas["value"].isna().any() or len(areas) < len(final):
        notes.append("Runs whose curves have gaps have no area under the curve.")
    _tell_of_references(shown, column, notes)
    if len(shown) and (comparison.X[x] not in shown or shown[comparison.X[x]].isna().all()):
        notes.append(
            f"The published results have no {comparison.X[x]}, so the plot leaves them out."
        )
    if statistics.FEWEST_SEEDS <= final["seeds"].min() < _ENOUGH_SEEDS:
        notes.append(
            "Intervals over few seeds are too narrow: a 95 % interval for the mean of normally "
            "distributed scores holds the true mean in 75 % of experiments with 3 seeds, 84 % with "
            "5, 90 % with 10 and 93 % with 20."
        )
    return Comparison(
        _what(phase, metric, last),
        f"95 % intervals: percentiles of {resamples:,} bootstrap resamples of the seeds within each "
        f"environment, seed {seed}; the seed is the replicate, never the episode.",
        chosen.runs,
        table,
        final,
        areas,
        across,
        comparison.improvement(table, resamples, seed),
        profiles,
        points,
        shown,
        tuple(notes),
        comparison.X[x],
        _readable(column),
        statistic,
    )


def comparison_table(found: Comparison) -> pd.DataFrame:
    """The numbers for a paper's table, as texts such as "249 [195, 265]".

    It has a row for each group in each environment, with the columns environment, group, seeds, steps
    (agent steps at the end), IQM, mean, median and area (the interquartile mean of the areas under the
    runs' curves).
    """
    rows = []
    cells = found.final.groupby(["environment", "group"], sort=False)
    for (environment, group), estimates in cells:
        here = (found.scores["environment"] == environment) & (found.scores["group"] == group)
        rows.append(
            {
                "environment": str(environment),
                "group": str(group),
                "seeds": str(estimates["seeds"].iloc[0]),
                "steps": _span(found.scores[here]["agent_steps"]),
                **_written(estimates),
                "area": _area(found.areas, environment, group),
            }
        )
    return pd.DataFrame(rows)


def across_table(found: Comparison) -> pd.DataFrame:
    """The same table for normalized scores over environments; empty if scores are not normalized."""
    rows = (
        [
            {
                "environments": str(estimates["environments"].iloc[0]),
                "group": str(group),
                "seeds": str(estimates["seeds"].iloc[0]),
                **_written(estimates),
            }
            for group, estimates in found.across.groupby("group", sort=False)
        ]
        if len(found.across)
        else []
    )
    return pd.DataFrame(rows)


def improvement_table(found: Comparison) -> pd.DataFrame:
    """The probability that a run of one group beats a run of another group, as texts."""
    return pd.DataFrame(
        [
            {
                "group": row["group"],
                "over": row["over"],
                "environments": str(row["environments"]),
                "probability": _estimate(row, "{:.2f}"),
            }
            for row in records(found.improvement)
        ]
    )


def reference_table(found: Comparison) -> pd.DataFrame:
    """Published results for these environments: up to where the runs end, and at their own end."""
    rows = []
    key = ["environment", "reference", "agent", "metric", "protocol"]
    ends = found.runs.groupby("environment")["agent_steps"].max()
    for values, points in found.references.groupby(key, sort=False):
        environment, reference, agent, *_ = map(str, values)
        ordered = points.dropna(subset=["agent_steps"]).sort_values("agent_steps")
        if ordered.empty:
            continue
        before = ordered[ordered["agent_steps"] <= ends[environment]]
        near = (before if len(before) else ordered).iloc[-1 if len(before) else 0]
        rows.append(
            {
                "environment": environment,
                "published": f"{agent}, {reference}",
                "nearest": _at(near),
                "last": _at(ordered.iloc[-1]),
            }
        )
    return pd.DataFrame(rows)


def comparison_figures(found: Comparison) -> Iterator[tuple[str, Figure]]:
    """The figures, each with the name of its file."""
    references = found.references if len(found.references) else None
    yield (
        "curves",
        figures.draw_curves(
            found.curves, references, x=found.x, y=found.y, statistic=found.statistic
        ),
    )
    yield "intervals", figures.draw_intervals(found.final, x=found.what.partition(":")[0])
    if len(found.improvement):
        yield "improvement", figures.draw_improvement(found.improvement)
    if len(found.profiles):
        yield "profiles", figures.draw_profiles(found.profiles)
        yield "normalized", figures.draw_intervals(found.across, x="normalized score")


def as_json(found: Comparison) -> dict[str, Any]:
    """The whole comparison in JSON's types."""
    tables = {
        name: comparison.as_json(value)
        for name, value in found._asdict().items()
        if isinstance(value, pd.DataFrame)
    }
    return {
        "score": found.what,
        "method": found.method,
        "notes": list(found.notes),
        "curve": {"x": found.x, "y": found.y, "statistic": found.statistic},
        **tables,
    }


def number(value: float) -> str:
    """A score with the digits that matter: "16,654", "249.1", "13.0", "0.512"."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _within(runs: Runs, environments: Sequence[str]) -> Runs:
    if not environments:
        return runs
    known = sorted(runs.runs["environment"].dropna().unique())
    for name in environments:
        if name not in known:
            raise UserError(f"No run is in {name}: the environments are {', '.join(known)}.")
    return runs._replace(runs=runs.runs[runs.runs["environment"].isin(environments)])


def _shown(
    references: Sequence[pd.DataFrame], environments: Iterable[str], notes: list[str]
) -> pd.DataFrame:
    """The references' results in these environments. Reports a reference that has none."""
    parts = []
    for table in references:
        here = table[table["environment"].isin(list(environments))]
        if here.empty:
            name = table["reference"].iloc[0] if len(table) else "The reference"
            notes.append(f"{name} has no results in {', '.join(environments)}.")
        else:
            parts.append(here)
    if not parts:
        return pd.DataFrame(columns=["reference", *published.COLUMNS])
    return pd.concat(parts, ignore_index=True)


def _score_for(shown: pd.DataFrame, notes: list[str]) -> str:
    if len(shown) and set(shown["metric"]) == {published.TRAINING}:
        notes.append(
            "The published results are training returns, so the runs' training returns are "
            "compared; `score` eval compares their evaluations instead."
        )
        return "train"
    return "eval"


def _curve_column(runs: Runs, phase: str, metric: str) -> str:
    column = f"{'train' if phase == 'train' else 'eval'}_{metric}"
    lacking = column not in runs.iterations or runs.iterations[column].isna().all()
    return f"train_{metric}" if phase == "evaluations" and lacking else column


def _tell_of_references(shown: pd.DataFrame, column: str, notes: list[str]) -> None:
    """Notes each reference's protocol, and metrics that differ from the runs' metric."""
    own = published.TRAINING if column.startswith("train_") else published.EVALUATION
    for (reference, metric, protocol), _ in shown.groupby(
        ["reference", "metric", "protocol"], sort=False
    ):
        differs = "" if metric == own else f", but the runs' curves show the {own}"
        notes.append(f"{reference} shows the {metric}{differs}. Its protocol: {protocol}.")


def _across(
    table: pd.DataFrame, is_normalized: bool, resamples: int, seed: int, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    nothing = pd.DataFrame(), pd.DataFrame()
    if table["environment"].nunique() < 2:
        return nothing
    if not is_normalized:
        notes.append(
            "Raw scores of different environments have no common scale and are not averaged: "
            "`normalize` puts them on one scale and averages them."
        )
        return nothing
    shared = comparison.common_environments(table)
    if len(shared) < 2:
        notes.append(
            "The groups share fewer than two environments, so nothing is averaged over "
            "environments."
        )
        return nothing
    if len(shared) < table["environment"].nunique():
        notes.append(
            "Averages over environments include only the environments that all groups have: "
            f"{', '.join(shared)}."
        )
    table = table[table["environment"].isin(shared)]
    sizes = table.groupby(["environment", "group"]).size()
    if sizes.nunique() > 1:
        notes.append(
            "Environments have different numbers of seeds: an environment with more seeds weighs "
            "more in the interquartile mean over environments."
        )
    return (
        comparison.aggregate(table, "score", True, resamples, seed),
        comparison.profiles(table, None, min(resamples, 2_000), seed),
    )


def _what(score: str, metric: str, last: int) -> str:
    name = metric.removeprefix("average_").replace("_", " ")
    if score == "evaluations":
        return (
            "final evaluation return: the mean over the episodes that `dopamine-lite evaluate` played "
            "with each run's last checkpoint"
        )
    of = "the last iteration" if last == 1 else f"the last {last} iterations"
    return f"final {_PHASES[score]} {name}: {metric} of the {_PHASES[score]} phase of {of}"


def _readable(column: str) -> str:
    phase, _, metric = column.partition("_")
    return f"{_PHASES[phase]} {metric.removeprefix('average_').replace('_', ' ')}"


def _written(estimates: pd.DataFrame) -> dict[str, str]:
    rows = {row["statistic"]: row for row in records(estimates)}
    return {_NAMES[name]: _estimate(rows[name]) for name in _NAMES}


def _estimate(row: dict[str, Any], form: str | None = None) -> str:
    def written(value: float) -> str:
        return form.format(value) if form else number(value)

    if row["low"] is None:
        return written(row["value"])
    return f"{written(row['value'])} [{written(row['low'])}, {written(row['high'])}]"


def _area(areas: pd.DataFrame, environment: object, group: object) -> str:
    rows = areas[
        (areas["environment"] == environment)
        & (areas["group"] == group)
        & (areas["statistic"] == "iqm")
    ]
    return _estimate(records(rows)[0]) if len(rows) else ""


def _span(steps: pd.Series) -> str:
    low, high = int(steps.min()), int(steps.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _at(point: pd.Series) -> str:
    spread = "" if pd.isna(point["std"]) else f", sd {number(point['std'])}"
    runs = (
        ""
        if pd.isna(point["runs"])
        else f", {point['runs']:.0f} run{'s' * int(point['runs'] != 1)}"
    )
    return f"{number(point['value'])} at {figures.thousands(point['agent_steps'])}{spread}{runs}"
