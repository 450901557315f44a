"""What the report page says about runs, in plain numbers and texts; and the tables beside the page.

This module only arranges what `dopamine_lite.analysis` computes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import pandas as pd

from dopamine_lite.analysis.comparison import aggregate
from dopamine_lite.analysis.groups import differing_settings
from dopamine_lite.analysis.report.learning import (
    NAMES,
    Say,
    frames_per_step,
    group_curves,
    logged_metrics,
    metric_label,
    seed_curves,
    thinned,
)
from dopamine_lite.analysis.report.numbers import count, numbers
from dopamine_lite.analysis.report.suites import Suite, suites
from dopamine_lite.analysis.run_tables import Runs
from dopamine_lite.analysis.scoring import scores
from dopamine_lite.analysis.selection import UNFINISHED, grouped, remarks
from dopamine_lite.common.printable import printable
from dopamine_lite.reporting import provenance

_MOST_VALUES = 5_000_000  # in iterations.csv, which is left out where there are more
_COLORS = 10  # in report.css
_VERSIONS = ("dopamine_lite", "python", "tensorflow", "keras", "numpy", "gymnasium", "ale-py")
_AXES = (
    {"key": "steps", "label": "Agent steps", "short": "Steps"},
    {"key": "frames", "label": "Frames", "short": "Frames"},
    {"key": "time", "label": "Training time", "short": "Time"},
)
_ABOUT = {  # what a score is, by its phase
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

    Runs that have not finished make groups of their own, with curves and without scores. Runs with
    different protocols are never in one group. The page says both.

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
        _Environment(str(name), _of(chosen, rows), _of(drawn, rows), metrics, paths)
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
    """What a reader should know first; `every` is how many iterations a drawn one stands for."""
    if unfinished := int((~chosen.runs["finished"]).sum()):
        verb = "has" if unfinished == 1 else "have"
        yield (
            f"{unfinished:,} of {count(len(chosen.runs), 'run')} {verb} not finished: unfinished "
            "runs make groups of their own, with curves as far as they have come and without "
            "scores."
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


class _Environment:
    """What the page says about one environment.

    Args:
      name: the environment's name.
      runs: its runs, with a column `group`.
      drawn: the same runs, with only those iterations that are drawn.
      metrics: the columns of iterations that are drawn.
      paths: each run's directory, by the run's name.
    """

    def __init__(
        self, name: str, runs: Runs, drawn: Runs, metrics: list[str], paths: dict[str, str]
    ):
        self.name = name
        self.warnings: list[str] = []  # before the figures
        self._runs, self._drawn, self._metrics, self._paths = runs, drawn, metrics, paths
        self.phase, self.scores = _final_scores(runs, self.warnings.append)
        self.aggregates = pd.concat(
            [
                aggregate(self.scores, column).assign(of=column)
                for column in ("score", "area")
                if self.scores[column].notna().any()
            ]
            or [pd.DataFrame()],
            ignore_index=True,
        )
        self.remarks = list(remarks(runs.runs[runs.runs["finished"]]))

    def groups(self) -> list[dict[str, Any]]:
        """The groups of this environment."""
        return [
            self._group(str(name), rows)
            for name, rows in self._runs.runs.groupby("group", sort=False)
        ]

    def _group(self, name: str, rows: pd.DataFrame) -> dict[str, Any]:
        label, _, protocol = name.partition(" [") if name.endswith("]") else (name, "", "")
        label = label.removesuffix(UNFINISHED)
        finished = bool(rows["finished"].all())
        drawn = _of(self._drawn, rows[rows["iterations"] > 0])
        differing = set(differing_settings(self._runs.runs)) - {"agent", "config"}
        settings = _settings(rows)
        return {
            "name": name,
            "label": label,
            "detail": protocol.removesuffix("]"),
            "finished": finished,
            "facts": count(len(rows), "seed") + ("" if finished else ", unfinished"),
            "notes": list(remarks(rows)) if finished else [_unfinished(rows)],
            "protocol": _protocol(rows),
            "differing": [(key, value) for key, value in settings if key in differing],
            "common": [(key, value) for key, value in settings if key not in differing],
            "provenance": _provenance(rows, self._paths),
            "runs": [_run(row) for row in rows.to_dict("records")],
            "score": self._score(name),
            "frames": frames_per_step(drawn.iterations),
            "curves": group_curves(drawn, self._metrics, self.warnings.append),
            "seeds": seed_curves(drawn),
        }

    def _score(self, group: str) -> dict[str, Any]:
        """The final scores of a group by seed, and their aggregates: value, low, high."""
        rows = self.scores[self.scores["group"] == group]
        found: dict[str, Any] = {
            "seeds": rows["seed"].tolist(),
            "values": numbers(rows["score"]),
            "note": None,
            **dict.fromkeys(("iqm", "mean", "median", "area")),
        }
        if rows.empty:
            return found
        own = self.aggregates[self.aggregates["group"] == group]
        for row in own.to_dict("records"):
            key = row["statistic"] if row["of"] == "score" else "area"
            if row["of"] == "score" or row["statistic"] == "mean":
                found[key] = numbers([row["value"], row["low"], row["high"]])
            found["note"] = f"no interval: {row['why']}" if row["why"] else None
        return found


def _final_scores(runs: Runs, say: Say) -> tuple[str | None, pd.DataFrame]:
    """The phase that finished runs are scored by, "eval" where one has it; and their `scores`."""
    finished = _of(runs, runs.runs[runs.runs["finished"]])
    last = finished.iterations.groupby("run").tail(1)
    for phase in ("eval", "train"):
        column = f"{phase}_average_return"
        if column in last and last[column].notna().any():
            return phase, scores(finished, phase, report=say).assign(metric=column)
    columns = ("group", "environment", "seed", "run", "agent_steps", "score", "area", "metric")
    return None, pd.DataFrame(columns=columns)


def _data(
    environments: Sequence[_Environment],
    groups: Sequence[dict[str, Any]],
    metrics: list[str],
    across: Sequence[Suite],
) -> dict[str, Any]:
    """What the page's script draws."""
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
    environment: _Environment, number: int, groups: Sequence[dict[str, Any]]
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
    """Gives each group its place and the number of its color: a name's own where colors suffice."""
    names = list(dict.fromkeys(group["name"] for group in groups))
    seen: dict[int, int] = {}
    for place, group in enumerate(groups):
        within = seen[group["environment"]] = seen.get(group["environment"], -1) + 1
        group["place"] = place
        group["style"] = names.index(group["name"]) if len(names) <= _COLORS else within


def _settings(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Each setting of a group's runs and its value, or its values."""
    names = {name for settings in rows["settings"] for name in settings}
    found = []
    for name in sorted(name for name in names if not name.startswith("import ")):
        values = dict.fromkeys(str(own.get(name, "not set")) for own in rows["settings"])
        found.append((printable(name), printable("; ".join(values))))
    return found


def _protocol(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The parts of a group's protocol; nothing where it is not known."""
    texts = rows["protocol"].dropna().unique()
    parts = [part.partition(" ") for text in texts for part in text.split("; ")]
    return [(printable(name.replace("_", " ")), printable(value)) for name, _, value in parts]


def _provenance(rows: pd.DataFrame, paths: dict[str, str]) -> list[tuple[str, str]]:
    starts = [
        start
        for run in rows[rows["started"].notna()]["run"]  # a row of a table has no directory
        if (known := provenance.read(Path(paths[run]))) is not None
        for start in (known["started"], *known["resumed"])
    ]
    versions: dict[str, dict[str, None]] = {name: {} for name in _VERSIONS}
    for start in starts:
        for name, found in versions.items():
            if version := start.get("versions", {}).get(name):
                found[str(version)] = None
    known = {
        "config": _joined(rows["config"]),
        "agent": _joined(rows["agent"]),
        "commit": _joined(rows["commit"]),
        "processor": _joined(rows["processor"]),
        "started": _joined([_span(rows["started"])]),
        "versions": ", ".join(
            f"{name} {' and '.join(found)}" for name, found in versions.items() if found
        ),
    }
    return [(name, printable(text)) for name, text in known.items() if text]


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value and value == value))


def _span(times: pd.Series) -> str:
    """From the first to the last day."""
    days = sorted(str(time)[:10] for time in times.dropna())
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def _run(row: dict[Hashable, Any]) -> dict[str, Any]:
    planned = row["planned_iterations"]
    progress = f"{row['iterations']:,} of {planned:,} iterations" if planned == planned else ""
    return {
        "name": printable(row["run"]),
        "seed": int(row["seed"]),
        "agent_steps": f"{row['agent_steps']:,}",
        "state": row["stopped"] or ("finished" if row["finished"] else progress or "unfinished"),
        "commit": printable(row["commit"] or ""),
    }


def _unfinished(rows: pd.DataFrame) -> str:
    done = rows["iterations"]
    span = " to ".join(dict.fromkeys(f"{number:,}" for number in (done.min(), done.max())))
    return (
        f"Not finished ({span} iterations so far): the curve goes as far as all of these runs have "
        "come, and there is no final score."
    )


def _at_their_places(notes: Iterable[str], environments: Sequence[_Environment]) -> list[str]:
    """Gives what is said of an environment to it; returns the rest."""
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
    environments: Sequence[_Environment],
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
    environments: Sequence[_Environment], groups: Sequence[dict[str, Any]]
) -> pd.DataFrame:
    """A row a point that is drawn along agent steps."""
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
    """The runs by names that leave out the directory they are all in; and their paths by name."""
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


def _of(runs: Runs, rows: pd.DataFrame) -> Runs:
    """Only the runs in `rows`."""
    kept = set(rows["run"])
    return Runs(rows, *(frame[frame["run"].isin(kept)] for frame in runs[1:]))


def _summary(environments: int, groups: int, runs: int) -> str:
    counts = (
        count(environments, "environment"),
        count(groups, "group"),
        count(runs, "run"),
    )
    return ", ".join(counts)
