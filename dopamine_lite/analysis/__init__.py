"""From run directories to numbers, intervals and pictures; and exact solutions to hold agents against.

    runs = load_runs("runs")                 # data frames: runs, iterations, episodes
    chosen = select(runs)                    # finished, each seed once, one protocol; groups named
    table = scores(chosen)                   # a number a run
    aggregate(table)                         # interquartile mean, mean, median, 95 % intervals
    improvement(table)                       # how probable it is that one group's run beats another's
    figures.draw_curves(curves(chosen))      # a matplotlib figure

Nothing here imports TensorFlow, executes anything of a run's, or touches matplotlib's backend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dopamine_lite.analysis.comparison import (
        aggregate as aggregate,
    )
    from dopamine_lite.analysis.comparison import (
        curves as curves,
    )
    from dopamine_lite.analysis.comparison import (
        improvement as improvement,
    )
    from dopamine_lite.analysis.comparison import (
        profiles as profiles,
    )
    from dopamine_lite.analysis.comparison import (
        scores as scores,
    )
    from dopamine_lite.analysis.groups import group_names as group_names
    from dopamine_lite.analysis.runs import Runs as Runs
    from dopamine_lite.analysis.runs import load_runs as load_runs
    from dopamine_lite.analysis.selection import select as select

_HOMES = {  # of the public names, imported when they are asked for
    "Runs": "runs",
    "aggregate": "comparison",
    "curves": "comparison",
    "group_names": "groups",
    "improvement": "comparison",
    "load_runs": "runs",
    "profiles": "comparison",
    "scores": "comparison",
    "select": "selection",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
