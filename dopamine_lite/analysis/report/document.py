"""The content of the report page as plain numbers and texts, and the tables beside the page.

This module only arranges what `dopamine_lite.analysis` computes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import pandas as pd

from dopamine_lite.analysis.report.environment import Environment, only
from dopamine_lite.analysis.report.learning import (
    NAMES,
    logged_metrics,
    metric_label,
    thinned,
)
from dopamine_lite.analysis.report.numbers import count
from dopamine_lite.analysis.report.suites import Suite, suites
from dopamine_lite.analysis.run_tables import Runs
from dopamine_lite.analysis.selection import grouped
from dopamine_lite.common.printable import printable

_MOST_VALUES = 5_000_000  # in iterations.csv, which is left out if there would be more
_COLORS = 10  # in report.css
_AXES = (
    {"key": "steps", "label": "Agent steps", "short": "Steps"},
    {"key": "frames", "label": "Frames", "short": "Frames"},
    {"key": "time", "label": "Training time", "short": "Time"},
)
_ABOUT = {  # the meaning of a score; the key: its phase
    "eval": "The mean return of the evaluation in each run's last iteration.",
    "train": "The mean return of the training episodes in each run's last iteration.",
}
_METHOD = (
    "The seed is the unit: each run counts once, whatever the number of its episodes. Curves are "
    "means over seeds at the points that all runs of a group have, with pointwise 95 % bands. IQM "
    "is the interquartile mean, the mean of the middle half of the runs. Intervals and bands are "
    "percentiles of the bootstrap over seeds (Agarwal et al. 2021); with fewer than three seeds "
    "there are none. They say how a number would vary with other seeds, and nothing about other "
    "environments or settings.",
    "Returns are raw: sums of the environment's own rewards. An agent step is one action. Frames "
    "are agent steps times the protocol's frame skip, if it has one. Training time is what the "
    "runs themselves took, without evaluation; compare it only between runs on the same kind of "
    "machine.",
)
_FILES = {
    "profiles.csv": "performance profiles, with their bands",
    "aggregates.csv": "interquartile mean, mean and median of each group, with intervals",
    "scores.csv": "the final score and the area under the curve of each run",
    "curves.csv": "the curves over agent steps as they are drawn, with their bands",
    "iterations.csv": "what every run logged in every iteration",
    "runs.csv": "every run with its settings, protocol, commit and processor",
}


class Report(NamedTuple):
    """The page's content and the tables beside it.

    document: what the page shows, in JSON's types.
    tables: the tables that it links to, by file name.
    said: the page's sentences about the runs, the general ones first, then those on each environment.
    """

    document: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    said: list[str]


def build(runs: Runs, title: str, by: Sequence[str] = (), told: Sequence[str] = ()) -> Report:
    """The report on `runs`.

    Runs that have not finished form groups of their own, with curves but no scores. Runs with different
    protocols are never in the same group. The page says both.

    Args:
      runs: what `load_runs` returns; episodes are not used.
      title: the title of the page.
      by: what to group runs by, as for `analysis.select`.
      told: the sentences that `load_runs` reported.

    Raises:
      UserError: no run has a known environment and seed, or a seed occurs twice in a group.
    """
    notes = list(told)
    named, paths = _shortly_named(runs)
    chosen = grouped(named, by, across_protocols=True, unfinished=True, report=notes.append)
    metrics = logged_metrics(chosen.iterations)
    drawn, every = thinned(chosen, len(metrics))
    notes += _how_it_was_made(chosen, every)
    environments = [
        Environment(str(name), only(chosen, rows), only(drawn, rows), metrics, paths)
        for name, rows in chosen.runs.groupby("environment", sort=False)
    ]
    groups = [
        group | {"environment": place}
        for place, environment in enumerate(environments)
        for group in environment.groups()
    ]
    _number(groups)
    across = suites([environment.scores for environment in environments], groups)
    tables = _tables(chosen, environments, groups, across)
    notes = _at_their_places(notes, environments)
    document = {
        "title": printable(title),
        "summary": _summary(len(environments), len(groups), len(chosen.runs)),
        "notes": notes,
        "axes": _AXES,
        "environments": [{"name": environment.name} for environment in environments],
        "groups": groups,
        "across": across,
        "files": [{"name": name, "about": _FILES[name]} for name in tables],
        "method": _METHOD,
        "data": _data(environments, groups, metrics, across),
    }
    warnings = [warning for environment in environments for warning in environment.warnings]
    return Report(document, tables, [*notes, *dict.fromkeys(warnings)])


def _how_it_was_made(chosen: Runs, every: int) -> Iterator[str]:
    """What a reader should know first. Each drawn iteration stands for `every` iterations."""
    if unfinished := int((~chosen.runs["finished"]).sum()):
        verb = "has" if unfinished == 1 else "have"
        yield (
            f"{unfinished:,} of {count(len(chosen.runs), 'run')} {verb} not finished: unfinished "
            "runs form groups of their own, which have curves up to the present but no scores."
        )
    if every > 1:
        yield (
            f"Long curves are thinned: the page shows one of every {every:,} iterations of the "
            "longest, and always the last."
        )
    if chosen.iterations.size > _MOST_VALUES:
        yield (
            f"There is no iterations.csv, because it would hold {chosen.iterations.size:,} "
            "numbers: dopamine_lite.analysis.load_runs reads them from the runs."
        )


def _data(
    environments: Sequence[Environment],
    groups: Sequence[dict[str, Any]],
    metrics: list[str],
    across: Sequence[Suite],
) -> dict[str, Any]:
    """The data that the page's script draws."""
    drawn = ("name", "label", "detail", "facts", "style", "frames", "curves", "seeds", "score")
    return {
        "axes": _AXES,
        "metrics": [{"key": name, "label": metric_label(name)} for name in metrics],
        "environments": [
            _drawn_environment(environment, number, groups)
            for number, environment in enumerate(environments)
        ],
        "groups": [{name: group[name] for name in drawn} for group in groups],
        "across": [suite.profiles() for suite in across],
    }


def _drawn_environment(
    environment: Environment, number: int, groups: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    own = [place for place, group in enumerate(groups) if group["environment"] == number]
    of = [groups[place] for place in own]
    curves = [curve for group in of for curve in group["curves"].values()]
    there = {
        "steps": bool(curves),
        "frames": any(group["frames"] and group["curves"] for group in of),
        "time": any("time" in curve for curve in curves),
    }
    phase = environment.phase
    return {
        "name": environment.name,
        "groups": own,
        "metrics": list(dict.fromkeys(name for group in of for name in group["curves"])),
        "axes": [name for name, is_there in there.items() if is_there],
        "warnings": environment.warnings,
        "remarks": environment.remarks,
        "score": {
            "label": NAMES[f"{phase}_average_return"] if phase else "",
            "about": _ABOUT[phase] if phase else "",
        },
    }


def _number(groups: Sequence[dict[str, Any]]) -> None:
    """Gives each group its place and color number: one color per name if there are enough colors."""
    names = list(dict.fromkeys(group["name"] for group in groups))
    seen: dict[int, int] = {}
    for place, group in enumerate(groups):
        within = seen[group["environment"]] = seen.get(group["environment"], -1) + 1
        group["place"] = place
        group["style"] = names.index(group["name"]) if len(names) <= _COLORS else within


def _at_their_places(notes: Iterable[str], environments: Sequence[Environment]) -> list[str]:
    """Gives each environment the notes that name it; returns the other notes."""
    rest = []
    for note in notes:
        of = [environment for environment in environments if f" in {environment.name} " in note]
        for environment in of:
            environment.warnings.insert(0, note)
        if not of:
            rest.append(note)
    return rest


def _tables(
    chosen: Runs,
    environments: Sequence[Environment],
    groups: Sequence[dict[str, Any]],
    across: Sequence[Suite],
) -> dict[str, pd.DataFrame]:
    aggregates = [each.aggregates for each in environments]
    profiles = [suite.profile.assign(suite=suite.name) for suite in across]
    found = {
        "aggregates.csv": pd.concat(aggregates + [suite.aggregates for suite in across]),
        "profiles.csv": pd.concat(profiles) if profiles else pd.DataFrame(),
        "scores.csv": pd.concat([each.scores for each in environments]),
        "curves.csv": _curve_table(environments, groups),
        "iterations.csv": chosen.iterations,
        "runs.csv": chosen.runs.assign(settings=chosen.runs["settings"].map(json.dumps)),
    }
    if chosen.iterations.size > _MOST_VALUES:
        del found["iterations.csv"]
    return {name: table for name, table in found.items() if len(table)}


def _curve_table(
    environments: Sequence[Environment], groups: Sequence[dict[str, Any]]
) -> pd.DataFrame:
    """A row for each point that is drawn along agent steps."""
    parts = [
        pd.DataFrame(
            {
                "environment": environments[group["environment"]].name,
                "group": group["name"],
                "metric": metric,
                "agent_steps": curve["x"],
                "value": curve["y"],
                "low": curve["low"],
                "high": curve["high"],
            }
        )
        for group in groups
        for metric, curves in group["curves"].items()
        if (curve := curves["steps"])["x"]
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _shortly_named(runs: Runs) -> tuple[Runs, dict[str, str]]:
    """The runs, with names relative to the directory that holds them all, and their paths by name."""
    paths = [str(run) for run in runs.runs["run"]]
    try:
        above = os.path.commonpath(paths)
    except ValueError:  # some are absolute
        above = ""
    if above in paths:  # a single run
        above = str(PurePath(above).parent)
    names = [str(PurePath(path).relative_to(above)) if above else path for path in paths]
    by_path = dict(zip(paths, names, strict=True))
    renamed = Runs(*(frame.assign(run=frame["run"].map(by_path)) for frame in runs))
    return renamed, dict(zip(names, paths, strict=True))


def _summary(environments: int, groups: int, runs: int) -> str:
    counts = (
        count(environments, "environment"),
        count(groups, "group"),
        count(runs, "run"),
    )
    return ", ".join(counts)
