"""The report page's content on one environment: its groups, their scores and their provenance."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from dopamine_lite.analysis.comparison import aggregate
from dopamine_lite.analysis.groups import differing_settings
from dopamine_lite.analysis.report.learning import (
    Say,
    frames_per_step,
    group_curves,
    seed_curves,
)
from dopamine_lite.analysis.report.numbers import count, numbers
from dopamine_lite.analysis.run_tables import Runs
from dopamine_lite.analysis.scoring import scores
from dopamine_lite.analysis.selection import UNFINISHED, remarks
from dopamine_lite.common.printable import printable
from dopamine_lite.reporting import provenance

_VERSIONS = ("dopamine_lite", "python", "tensorflow", "keras", "numpy", "gymnasium", "ale-py")


class Environment:
    """The page's content on one environment.

    Args:
      name: the environment's name.
      runs: its runs, with a column `group`.
      drawn: the same runs, with only the iterations that are drawn.
      metrics: the columns of iterations that are drawn.
      paths: each run's directory, by the run's name.
    """

    def __init__(
        self, name: str, runs: Runs, drawn: Runs, metrics: list[str], paths: dict[str, str]
    ):
        self.name = name
        self.warnings: list[str] = []  # shown before the figures
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
        drawn = only(self._drawn, rows[rows["iterations"] > 0])
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
    """The phase that scores finished runs ("eval" if a run has one), and their `scores`."""
    finished = only(runs, runs.runs[runs.runs["finished"]])
    last = finished.iterations.groupby("run").tail(1)
    for phase in ("eval", "train"):
        column = f"{phase}_average_return"
        if column in last and last[column].notna().any():
            return phase, scores(finished, phase, report=say).assign(metric=column)
    columns = ("group", "environment", "seed", "run", "agent_steps", "score", "area", "metric")
    return None, pd.DataFrame(columns=columns)


def _settings(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Each setting of a group's runs and its value, or its values."""
    names = {name for settings in rows["settings"] for name in settings}
    found = []
    for name in sorted(name for name in names if not name.startswith("import ")):
        values = dict.fromkeys(str(own.get(name, "not set")) for own in rows["settings"])
        found.append((printable(name), printable("; ".join(values))))
    return found


def _protocol(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The parts of a group's protocol; empty if the protocol is not known."""
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


def only(runs: Runs, rows: pd.DataFrame) -> Runs:
    """Only the runs in `rows`."""
    kept = set(rows["run"])
    return Runs(rows, *(frame[frame["run"].isin(kept)] for frame in runs[1:]))
