"""A first look at runs: training returns, evaluations, exploration or any metric, from their logs.

Runs of one group (`groups.group_names`) form one line: the mean over seeds, with a band if there are
three or more. Figures are made as in `figures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dopamine_lite.analysis import figures, statistics
from dopamine_lite.analysis.groups import group_names, short_agent
from dopamine_lite.analysis.run_tables import Runs, records

_EXPLORATION = ("epsilon", "temperature", "entropy")  # training metrics that show exploration
_SIZE = (8.5, 4.6)  # inches
_SHARE = 0.05  # the share of a run that its running mean covers
_FEWEST_EPISODES = 5  # in a running mean, once that many have ended
_GRID = 200  # points of a mean over runs
_RESAMPLES = 2_000
_GREY = "0.45"
_OWN_EXPLORATION = "#8C8C3C"  # the color of a single group's exploration and of its axis


class Curves(NamedTuple):
    """A run's learning, from its logs: E training episodes in I iterations."""

    name: str
    group: str
    steps: np.ndarray  # [E] agent steps at the end of each training episode
    returns: np.ndarray  # [E] raw
    iteration_steps: np.ndarray  # [I] agent steps at the end of each iteration
    evaluations: np.ndarray  # [I] mean evaluation return; NaN where there was none
    # [I] for each number that training logs; NaN where it was missing
    metrics: dict[str, np.ndarray]


def curves_of(runs: Runs) -> list[Curves]:
    """The curves of `runs` from `load_runs`, in the groups of `group_names` in each environment.

    Runs of one group with the same seed are not replicates of each other, so each becomes a group of its
    own, named after its path.
    """
    table = runs.runs.assign(group=group_names(runs.runs))
    if table["environment"].nunique() > 1:
        table["group"] = [f"{group}, {where}" for group, where in _pairs(table)]
    twice = set(table[table.duplicated(["group", "seed"])]["group"])
    table["group"] = [
        run if group in twice else group
        for run, group in zip(table["run"], table["group"], strict=True)
    ]
    return [
        _curves(row["run"], row["group"], runs.iterations, runs.episodes) for row in records(table)
    ]


def _pairs(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    yield from zip(table["group"], table["environment"].fillna("unknown"), strict=True)


def _curves(name: str, group: str, iterations: pd.DataFrame, episodes: pd.DataFrame) -> Curves:
    points = iterations[iterations["run"] == name]
    ended = episodes[(episodes["run"] == name) & (episodes["phase"] == "train")]
    metrics = {
        str(column).removeprefix("train_"): points[column].to_numpy(float)
        for column in points
        if str(column).startswith("train_") and points[column].notna().any()
    }
    evaluations = "eval_average_return"
    return Curves(
        name,
        group,
        ended["agent_steps"].to_numpy(),
        ended["return"].to_numpy(float),
        points["agent_steps"].to_numpy(),
        points[evaluations].to_numpy(float)
        if evaluations in points
        else np.full(len(points), np.nan),
        metrics,
    )


def title_of(runs: Runs) -> str:
    """The environments and agents, such as "CartPole-v1, DQN"."""
    agents = dict.fromkeys(map(short_agent, runs.runs["agent"]))
    environments = dict.fromkeys(runs.runs["environment"].fillna("unknown"))
    return f"{', '.join(environments)}: {', '.join(agents)}"


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of each value and up to `window` - 1 values before it: [M] -> [M]."""
    stops = np.arange(1, len(values) + 1)
    return _means(values, np.maximum(stops - window, 0))


def recent_mean(values: np.ndarray, steps: np.ndarray, width: float) -> np.ndarray:
    """The mean of each value and the values in the `width` steps before it, at least five in all.

    Args:
      values, steps: [M], steps in ascending order.

    Returns:
      [M]; the first few are means of fewer values.
    """
    starts = np.searchsorted(steps, steps - width, side="right")
    least = np.maximum(np.arange(1, len(values) + 1) - _FEWEST_EPISODES, 0)
    return _means(values, np.minimum(starts, least))


def draw_learning(
    runs: Sequence[Curves],
    window: int | None = None,
    by_episode: bool = False,
    title: str | None = None,
) -> Figure:
    """Draws, for each group, the running mean of training returns and the mean evaluation.

    The exploration of each group has an axis of its own. For a single run, every episode is drawn, too.

    Args:
      runs: what `curves_of` returns.
      window: the number of episodes in the running mean; None: as many as a twentieth of the longest run
        has, in the unit of the horizontal axis, steps or episodes.
      by_episode: whether the horizontal axis counts training episodes instead of agent steps.
      title: the title above the plot; None: no title.
    """
    groups = _grouped(runs)
    colors = figures.group_colors(list(groups))
    smoothing = _Smoothing.of(runs, window, by_episode)
    with figures.new_figure(1, title, size=_SIZE) as (figure, (axes,)):
        if len(runs) == 1:
            _draw_episodes(axes, runs[0], by_episode)
        for group, members in groups.items():
            color = colors[group][0]
            label = "" if len(runs) == 1 else _label(group, members)
            _draw_training(axes, members, smoothing, color, label)
            _draw_evaluations(
                axes, members, by_episode, color if len(groups) > 1 else figures.COLORS[1]
            )
        figures.label_axes(axes, _x_label(by_episode), "return")
        exploration = _draw_exploration(axes, groups, colors, by_episode)
        figures.show_legend(figure, [axes], [*_explained(runs, groups, smoothing), *exploration])
    return figure


def draw_metric(
    runs: Sequence[Curves], name: str, by_episode: bool = False, title: str | None = None
) -> Figure:
    """Draws the training metric `name`, averaged over each iteration, for each group that logs it."""
    groups = _grouped(run for run in runs if name in run.metrics)
    colors = figures.group_colors(list(groups))
    with figures.new_figure(1, title, size=_SIZE) as (figure, (axes,)):
        several = False
        for group, members in groups.items():
            edges, means, low, high = _iteration_means(members, name, by_episode)
            style: dict[str, Any] = {"color": colors[group][0], "label": _label(group, members)}
            axes.stairs(means, edges, baseline=None, linewidth=1.5, **style)
            if np.isfinite(low).any():
                several = True
                axes.stairs(high, edges, baseline=low, fill=True, alpha=0.2, color=colors[group][0])
        figures.label_axes(axes, _x_label(by_episode), name)
        line = Line2D([], [], color=_GREY, label="mean of each training phase")
        bands: list[Artist] = [figures.band_explanation("mean")] if several else []
        figures.show_legend(figure, [axes], [line, *bands])
    return figure


class _Smoothing(NamedTuple):
    """How training returns are averaged, and the words for it."""

    window: int | None  # episodes; None: `width`
    width: float  # steps or episodes
    by_episode: bool

    @classmethod
    def of(cls, runs: Iterable[Curves], window: int | None, by_episode: bool) -> _Smoothing:
        ends = [len(run.steps) if by_episode else int(run.steps.max(initial=1)) for run in runs]
        return cls(window, max(1.0, float(f"{_SHARE * max(ends):.2g}")), by_episode)

    def means(self, run: Curves) -> np.ndarray:
        if self.window is not None:
            return running_mean(run.returns, self.window)
        return recent_mean(run.returns, _episode_positions(run, self.by_episode), self.width)

    def begin(self, episodes: int) -> int:
        """The index of the first mean to draw: means of one or two episodes only jump about."""
        return (
            _FEWEST_EPISODES - 1 if self.window is None and episodes >= 2 * _FEWEST_EPISODES else 0
        )

    def words(self) -> str:
        if self.window is not None:
            return f"training: mean of the last {self.window:,} episodes"
        if self.by_episode:
            return f"training: mean of the last {max(self.width, _FEWEST_EPISODES):,.0f} episodes"
        return (
            f"training: mean of the episodes of the last {self.width:,.0f} agent steps "
            f"(at least {_FEWEST_EPISODES})"
        )


def _means(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The mean of values[start : i + 1] for each i and its start."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    stops = np.arange(1, len(values) + 1)
    return (sums[stops] - sums[starts]) / (stops - starts)


def _grouped(runs: Iterable[Curves]) -> dict[str, list[Curves]]:
    groups: dict[str, list[Curves]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    return groups


def _label(group: str, members: Sequence[Curves]) -> str:
    return group if len(members) == 1 else f"{group} ({len(members)} seeds)"


def _x_label(by_episode: bool) -> str:
    return "training episode" if by_episode else "agent steps"


def _episode_positions(run: Curves, by_episode: bool) -> np.ndarray:
    return np.arange(1, len(run.steps) + 1) if by_episode else run.steps


def _iteration_positions(run: Curves, by_episode: bool) -> np.ndarray:
    if by_episode:
        return np.searchsorted(run.steps, run.iteration_steps, side="right")
    return run.iteration_steps


def _draw_episodes(axes: Axes, run: Curves, by_episode: bool) -> None:
    along = _episode_positions(run, by_episode)
    axes.plot(along, run.returns, ".", color="0.8", markersize=2, label="a training episode")


def _draw_training(
    axes: Axes, members: Sequence[Curves], smoothing: _Smoothing, color: str, label: str
) -> None:
    lines = []
    for run in members:
        at, means = _episode_positions(run, smoothing.by_episode), smoothing.means(run)
        begin = smoothing.begin(len(at))
        lines.append(np.stack([at[begin:], means[begin:]], axis=1))
    points = _over_runs([line for line in lines if len(line)])
    figures.draw_band(axes, points, (color, "-"), label)


def _draw_evaluations(axes: Axes, members: Sequence[Curves], by_episode: bool, color: str) -> None:
    points = _evaluation_points(members, by_episode).dropna(subset=["value"])
    axes.plot(points["x"], points["value"], "o--", color=color, markersize=4, linewidth=1)
    axes.fill_between(
        points["x"], points["low"], points["high"], color=color, alpha=0.1, linewidth=0
    )


def _evaluation_points(members: Sequence[Curves], by_episode: bool) -> pd.DataFrame:
    """The mean over runs at each iteration; interpolated if their iterations differ."""
    count = min(len(run.iteration_steps) for run in members)
    first = members[0].iteration_steps[:count]
    if all(np.array_equal(run.iteration_steps[:count], first) for run in members):
        at = np.mean([_iteration_positions(run, by_episode)[:count] for run in members], axis=0)
        value, low, high = _band(np.stack([run.evaluations[:count] for run in members], axis=1))
        return pd.DataFrame({"x": at, "value": value, "low": low, "high": high})
    lines = []
    for run in members:
        known = ~np.isnan(run.evaluations)
        at = _iteration_positions(run, by_episode)
        lines.append(np.stack([at[known], run.evaluations[known]], axis=1))
    if not all(map(len, lines)):
        return pd.DataFrame({"x": [], "value": [], "low": [], "high": []})
    return _over_runs(lines)


def _over_runs(lines: Sequence[np.ndarray]) -> pd.DataFrame:
    """The mean over runs with its band, as far as all runs go: columns x, value, low, high.

    The points of a single run stay as they are; several runs are interpolated.
    """
    if len(lines) == 1:
        x, values = lines[0][:, 0], lines[0][:, 1:]
    else:
        first = max(line[0, 0] for line in lines)
        last = max(first, min(line[-1, 0] for line in lines))
        x = np.linspace(first, last, _GRID)
        values = np.stack([np.interp(x, *line.T) for line in lines], axis=1)
    value, low, high = _band(values)
    return pd.DataFrame({"x": x, "value": value, "low": low, "high": high})


def _band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over runs of [T, runs] and the ends of its interval, NaN for fewer than three runs."""
    nothing = np.full(len(values), np.nan)
    whole = ~np.isnan(values).any(1)
    low, high = nothing.copy(), nothing
    if whole.any() and statistics.has_interval([values]):
        low[whole], high[whole] = statistics.interval(
            statistics.mean, [values[whole]], _RESAMPLES, seed=0
        )
    return values.mean(1), low, high


def _draw_exploration(
    axes: Axes,
    groups: dict[str, list[Curves]],
    colors: dict[str, tuple[str, str]],
    by_episode: bool,
) -> list[Artist]:
    """Draws dotted lines in the groups' colors; a single group has a color that matches the axis."""
    own, names = axes.twinx(), []
    for group, members in groups.items():
        name = next((name for name in _EXPLORATION if name in members[0].metrics), None)
        if name is None or not all(name in run.metrics for run in members):
            continue
        names.append(name)
        color = _OWN_EXPLORATION if len(groups) == 1 else colors[group][0]
        edges, means, *_ = _iteration_means(members, name, by_episode)
        own.stairs(
            means, edges, baseline=None, linewidth=1.5, color=color, linestyle=":", alpha=0.8
        )
    if not names:
        own.remove()
        return []
    said = ", ".join(dict.fromkeys(names))
    color = _OWN_EXPLORATION if len(groups) == 1 else "black"
    own.set_ylabel(said, color=color)
    own.spines["top"].set_visible(False)
    low, high = own.dataLim.intervaly
    if 0 <= low <= high:  # the entropy of a density can be negative; if all is missing, low > high
        own.set_ylim(0, 1.05 * high or 1)
    axes.set_zorder(own.get_zorder() + 1)  # puts returns and legend in front
    axes.patch.set_visible(False)
    color = _OWN_EXPLORATION if len(groups) == 1 else _GREY
    label = f"{said}: mean of an iteration, on the right axis"
    return [Line2D([], [], color=color, linestyle=":", label=label)]


def _iteration_means(
    members: Sequence[Curves], name: str, by_episode: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges [I + 1] of the iterations that all runs have, and the metric's mean and interval [I]."""
    count = min(len(run.iteration_steps) for run in members)
    positions = np.mean([_iteration_positions(run, by_episode)[:count] for run in members], axis=0)
    values = np.stack([run.metrics[name][:count] for run in members], axis=1)
    return np.concatenate([[0], positions]), *_band(values)


def _explained(
    runs: Sequence[Curves], groups: dict[str, list[Curves]], smoothing: _Smoothing
) -> list[Artist]:
    """The meaning of the lines, for the legend."""
    color = figures.COLORS[0] if len(groups) == 1 else _GREY
    handles: list[Artist] = [Line2D([], [], color=color, label=smoothing.words())]
    if any(np.isfinite(run.evaluations).any() for run in runs):
        color = figures.COLORS[1] if len(groups) == 1 else _GREY
        style: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "--", "linewidth": 1}
        handles.append(
            Line2D([], [], color=color, label="evaluation: mean of its episodes", **style)
        )
    if max(map(len, groups.values())) >= statistics.FEWEST_SEEDS:
        handles.append(figures.band_explanation("mean"))
    return handles
