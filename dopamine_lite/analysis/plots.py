"""Learning curves of runs, drawn from their logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dopamine_lite.common.metrics.logbook import read_episodes, read_iterations

if Path("matplotlibrc").exists():
    # Matplotlib takes such a file of the current directory, which may be a stranger's, before the
    # user's own, and it can have programs executed, such as LaTeX.
    matplotlib.rcdefaults()
matplotlib.use("Agg")  # files only, no window
from matplotlib import pyplot

_EXPLORATION = ("epsilon", "temperature", "entropy")  # what a training metric says of exploration
_SIZE = (9, 5)  # inches


class Curves(NamedTuple):
    """What a run's logs tell of its learning: E training episodes in I iterations."""

    name: str
    steps: np.ndarray  # [E] agent steps at the end of each training episode
    returns: np.ndarray  # [E] raw
    iteration_steps: np.ndarray  # [I] agent steps at the end of each iteration
    evaluations: np.ndarray  # [I] mean evaluation return; NaN where there was none
    # [I] of each number that training logs; NaN where it was missing
    metrics: dict[str, np.ndarray]


def read_curves(directory: Path) -> Curves:
    """The curves of the run in `directory`."""
    episodes = [line for line in read_episodes(directory) if line["phase"] == "train"]
    iterations = read_iterations(directory)
    return Curves(
        str(directory),
        np.array([line["agent_steps"] for line in episodes]),
        np.array([line["return"] for line in episodes], float),
        np.array([line["agent_steps"] for line in iterations]),
        np.array([line.get("eval", {}).get("average_return") for line in iterations], float),
        {
            name: np.array([line["train"].get(name) for line in iterations], float)
            for name in dict.fromkeys(name for line in iterations for name in line["train"])
        },
    )


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of each value and the up to `window` - 1 before it: [M] -> [M]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    stops = np.arange(1, len(values) + 1)
    starts = np.maximum(stops - window, 0)
    return (sums[stops] - sums[starts]) / (stops - starts)


def draw_learning(runs: Sequence[Curves], window: int, by_episode: bool = False) -> Figure:
    """Running mean of the training returns and mean evaluation of each run, by agent steps.

    On an axis of its own, how each explored; of a single run also every episode.
    """
    figure, axes = pyplot.subplots(figsize=_SIZE, layout="constrained")
    alone = len(runs) == 1
    for index, run in enumerate(runs):
        along = np.arange(1, len(run.steps) + 1) if by_episode else run.steps
        if alone:
            axes.plot(along, run.returns, ".", color="0.8", markersize=2, label="episode")
        label = f"mean of {window} episodes" if alone else run.name
        axes.plot(along, running_mean(run.returns, window), color=f"C{index}", label=label)
        axes.plot(
            _iteration_positions(run, by_episode),
            run.evaluations,
            "o--",
            color=f"C{index}",
            markersize=4,
            linewidth=0.8,
            label="evaluation" if alone else None,
        )
    _label(axes, "return", by_episode)
    _draw_exploration(axes, runs, by_episode)
    return figure


def draw_metric(runs: Sequence[Curves], name: str, by_episode: bool = False) -> Figure:
    """What training logged as `name`, the mean of each iteration, of each run that did."""
    figure, axes = pyplot.subplots(figsize=_SIZE, layout="constrained")
    for index, run in enumerate(runs):
        if name in run.metrics:
            _draw_means(axes, run, name, by_episode, color=f"C{index}", label=run.name)
    _label(axes, name, by_episode)
    return figure


def _label(axes: Axes, what: str, by_episode: bool) -> None:
    axes.set_xlabel("training episode" if by_episode else "agent step")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel(what)
    axes.grid(alpha=0.3)
    axes.legend(loc="best")


def _draw_exploration(axes: Axes, runs: Sequence[Curves], by_episode: bool) -> None:
    """Dotted, each run in its colour; a single run's in one of its own, like its axis."""
    own, names = axes.twinx(), []
    for index, run in enumerate(runs):
        name = next((name for name in _EXPLORATION if name in run.metrics), None)
        if name is not None:
            names.append(name)
            color = "C1" if len(runs) == 1 else f"C{index}"
            _draw_means(own, run, name, by_episode, color=color, linestyle=":", alpha=0.7)
    if not names:
        own.remove()
        return
    own.set_ylabel(", ".join(dict.fromkeys(names)), color="C1" if len(runs) == 1 else "black")
    low, high = own.dataLim.intervaly
    if 0 <= low <= high:  # the entropy of a density can be below; where all is missing low > high
        own.set_ylim(0, 1.05 * high or 1)
    axes.set_zorder(own.get_zorder() + 1)  # returns and legend in front
    axes.patch.set_visible(False)


def _draw_means(axes: Axes, run: Curves, name: str, by_episode: bool, **style: Any) -> None:
    """A step for each iteration, as long as it was and as high as its mean of the metric."""
    edges = np.concatenate([[0], _iteration_positions(run, by_episode)])
    axes.stairs(run.metrics[name], edges, baseline=None, linewidth=1.5, **style)


def _iteration_positions(run: Curves, by_episode: bool) -> np.ndarray:
    if by_episode:
        return np.searchsorted(run.steps, run.iteration_steps, side="right")
    return run.iteration_steps
