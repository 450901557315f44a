"""From run directories to numbers, intervals and pictures; and exact solutions to compare agents with.

    runs = load_runs("runs")                 # data frames: runs, iterations, episodes
    chosen = select(runs)                    # finished, each seed once, one protocol; groups named
    table = scores(chosen)                   # one number for each run
    aggregate(table)                         # interquartile mean, mean, median, 95 % intervals
    improvement(table)                       # the probability that one group's run beats another's
    draw_curves(curves(chosen))              # a matplotlib figure

Nothing here imports TensorFlow, executes code from a run, or touches matplotlib's backend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dopamine_lite.analysis.comparison import aggregate, curves, improvement, profiles
    from dopamine_lite.analysis.figures import (
        draw_curves,
        draw_improvement,
        draw_intervals,
        draw_profiles,
    )
    from dopamine_lite.analysis.groups import group_names
    from dopamine_lite.analysis.published import (
        human_scores,
        load_reference,
        normalized,
        references,
    )
    from dopamine_lite.analysis.run_tables import Runs
    from dopamine_lite.analysis.runs import load_runs
    from dopamine_lite.analysis.scoring import scores
    from dopamine_lite.analysis.selection import select

_HOMES = {  # the modules of the public names, imported on first use
    **dict.fromkeys(("aggregate", "curves", "improvement", "profiles"), "comparison"),
    **dict.fromkeys(
        ("draw_curves", "draw_improvement", "draw_intervals", "draw_profiles"), "figures"
    ),
    "group_names": "groups",
    **dict.fromkeys(("human_scores", "load_reference", "normalized", "references"), "published"),
    "Runs": "run_tables",
    "load_runs": "runs",
    "scores": "scoring",
    "select": "selection",
}
__all__ = [
    "Runs",
    "aggregate",
    "curves",
    "draw_curves",
    "draw_improvement",
    "draw_intervals",
    "draw_profiles",
    "group_names",
    "human_scores",
    "improvement",
    "load_reference",
    "load_runs",
    "normalized",
    "profiles",
    "references",
    "scores",
    "select",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
