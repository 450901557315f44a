"""Scores over several environments, for groups that have runs in the same environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from dopamine_lite.analysis.comparison import aggregate, profiles
from dopamine_lite.analysis.published import human_scores, normalized
from dopamine_lite.analysis.report.numbers import numbers

_HUMAN = "Scores are human-normalized: 0 is a random agent and 1 a human tester (Mnih et al. 2015)."
_RANGE = (
    "These environments have no common scale, so scores are normalized by the runs on this page: "
    "in each environment, 0 is the lowest final score of any run in these groups and 1 is the "
    "highest. Such scores compare these groups with each other and with nothing else."
)


class Suite(NamedTuple):
    """Groups and the environments that all of them have been scored in.

    aggregates: what `aggregate` returns across the environments; profile: what `profiles` returns;
    styles: the number of each group's color.
    """

    name: str
    about: str
    environments: list[str]
    aggregates: pd.DataFrame
    profile: pd.DataFrame
    styles: dict[str, int]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The interquartile mean, mean and median of each group: value, low, high."""
        return [
            {"label": group}
            | {
                row["statistic"]: numbers([row["value"], row["low"], row["high"]])
                for row in rows.to_dict("records")
            }
            for group, rows in self.aggregates.groupby("group", sort=False)
        ]

    def profiles(self) -> dict[str, Any]:
        """The data that the page's script draws."""
        return {
            "name": self.name,
            "profiles": [
                {
                    "label": group,
                    "style": self.styles[str(group)],
                    "x": numbers(rows["threshold"]),
                    "y": numbers(rows["value"]),
                    "low": numbers(rows["low"]) if rows["low"].notna().all() else None,
                    "high": numbers(rows["high"]) if rows["high"].notna().all() else None,
                }
                for group, rows in self.profile.groupby("group", sort=False)
            ],
        }


def suites(scored: Sequence[pd.DataFrame], groups: Sequence[Mapping[str, Any]]) -> list[Suite]:
    """A suite for each set of two or more environments in which groups have been scored.

    Large ones come first.

    Args:
      scored: what `scores` returns, with a column `metric` that all scores of a suite share.
      groups: the groups of the page, with "name" and "style".
    """
    styles = {group["name"]: group["style"] for group in reversed(groups)}
    found = []
    table = pd.concat(scored, ignore_index=True)
    for _, of_metric in table.groupby("metric", sort=False):
        where = {
            group: frozenset(rows["environment"])
            for group, rows in of_metric.groupby("group", sort=False)
        }
        for environments in dict.fromkeys(where.values()):
            members = [group for group, own in where.items() if environments <= own]
            rows = of_metric[
                of_metric["group"].isin(members) & of_metric["environment"].isin(environments)
            ]
            if suite := _suite(rows, styles):
                found.append(suite)
    return sorted(found, key=lambda suite: -len(suite.environments) * len(suite.styles))


def _suite(rows: pd.DataFrame, styles: dict[str, int]) -> Suite | None:
    """The suite of these rows; None without two groups and two environments with a scale."""
    if rows["group"].nunique() < 2:
        return None
    human = human_scores()
    about, bounds = _HUMAN, human
    if not set(rows["environment"]) <= set(human["environment"]):
        about = _RANGE
        ends = rows.groupby("environment", sort=False)["score"].agg(low="min", high="max")
        bounds = ends[ends["low"] < ends["high"]].reset_index()
        rows = rows[rows["environment"].isin(bounds["environment"])]
    environments = [str(name) for name in rows["environment"].unique()]
    if len(environments) < 2:
        return None
    scaled = normalized(rows, bounds)
    return Suite(
        ", ".join(environments),
        about,
        environments,
        aggregate(scaled, across=True).assign(of="normalized score"),
        profiles(scaled),
        {str(group): styles[group] for group in rows["group"].unique()},
    )
